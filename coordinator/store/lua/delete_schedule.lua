-- Delete a schedule, and the run that it holds; the jobs it has made stay.
--
-- Returns {"ok"} or {"schedule_not_found"}.
-- flags: allow-oom

-- @include lib/keys

local id = ARGV[1]

redis.call("ZREM", schedules_key, id)
redis.call("ZREM", schedule_ids_key, id)
redis.call("DEL", held_key(id))
if redis.call("DEL", schedule_key(id)) == 0 then return { "schedule_not_found" } end
return { "ok" }
