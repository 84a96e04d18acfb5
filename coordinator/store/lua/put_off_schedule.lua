-- Look at a schedule later whose tick cannot be fired now. The tick stays due.
--
-- Returns {"ok"}, or {"already_fired"} when it is another one by now.
-- flags: allow-oom

-- @include lib/schedule

local id = ARGV[1]
local expected = ARGV[2] -- the tick that is due, ms
local version = ARGV[3]
local look_at = ARGV[4] -- ms

if not is_due_as(id, expected, version) then return { "already_fired" } end
redis.call("HSET", schedule_key(id), "put_off_tick", expected)
redis.call("ZADD", schedules_key, look_at, id)
return { "ok" }
