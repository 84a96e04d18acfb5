-- Delete a schedule, and the run that it holds; the jobs it has made stay.
--
-- Returns {"ok", name} with its name, or ""; or {"schedule_not_found"}.
-- acknowledged
-- flags: allow-oom

-- @include lib/schedule

local id = ARGV[1]
local only_ended = ARGV[2] -- "1" if it is only to go when it has ended long enough ago, or ""

local name, ended_at = unpack(redis.call("HMGET", schedule_key(id), "name", "ended_at"))
if only_ended == "1" and not (ended_at and ended_at + ENDED_KEPT_MS <= now) then return { "schedule_not_found" } end
redis.call("ZREM", schedules_key, id)
redis.call("ZREM", schedule_ids_key, id)
redis.call("DEL", held_key(id))
if redis.call("DEL", schedule_key(id)) == 0 then return { "schedule_not_found" } end
return { "ok", name or "" }
