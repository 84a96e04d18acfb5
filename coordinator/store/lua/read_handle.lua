-- Read which job has a unique handle.
--
-- Returns {"ok", id}; the id is "" when none has.

-- @include lib/keys

local queue = ARGV[1]
local handle = ARGV[2] -- its digest

return { "ok", redis.call("GET", unique_key(queue, handle)) or "" }
