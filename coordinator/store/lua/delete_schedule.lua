-- Delete a schedule; the jobs it has made stay.
--
-- Returns {"ok"} or {"schedule_not_found"}.
-- flags: allow-oom

-- @include lib/keys

local id = ARGV[1]

redis.call("ZREM", schedules_key, id)
if redis.call("DEL", schedule_key(id)) == 0 then return { "schedule_not_found" } end
return { "ok" }
