-- Read one schedule.
--
-- Returns {"ok", now, next_at, {field, value, ...}} with `next_at` in ms or "inf", or {"schedule_not_found"}.

-- @include lib/clock
-- @include lib/keys

local id = ARGV[1]

local fields = redis.call("HGETALL", schedule_key(id))
if #fields == 0 then return { "schedule_not_found" } end
return { "ok", now, redis.call("ZSCORE", schedules_key, id) or "inf", fields }
