-- Read the ids of the shard's schedules, the next to fire first.
--
-- Returns {"ok", {id, ...}}.

-- @include lib/keys

local limit = tonumber(ARGV[1])

return { "ok", redis.call("ZRANGE", schedules_key, 0, limit - 1) }
