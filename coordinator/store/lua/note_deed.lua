-- Keep who has changed what, and forget what is older than the last so many.
--
-- The same twice is a call whose reply was lost.
--
-- Returns {"ok"}.
-- flags: allow-oom

local audit = KEYS[1] -- list of JSON, the newest first

local entry = ARGV[1] -- JSON
local kept = tonumber(ARGV[2])

if redis.call("LINDEX", audit, 0) ~= entry then redis.call("LPUSH", audit, entry) end
redis.call("LTRIM", audit, 0, kept - 1)
return { "ok" }
