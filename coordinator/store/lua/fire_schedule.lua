-- Turn due ticks of a schedule into jobs and move the schedule on, in one step.
--
-- The tick that the caller believes to be due and the version it read are compared here: of all that fire one tick,
-- one does. This comparison is the whole argument that no tick makes two jobs; no leader is needed for it.
--
-- Returns {"ok", due_in_ms} as enqueue does, or {"already_fired"}.

-- @include lib/create
-- @include lib/rows

local id = ARGV[1]
local expected = ARGV[2] -- the tick that is due, ms
local version = ARGV[3]
local next_at = ARGV[4] -- ms, or "inf"
local last_at = ARGV[5] -- the newest tick that is run now, or ""
local missed = ARGV[6] -- ticks that were passed over
-- Rows from ARGV[7], each: id, lane, timeout_ms, traits, spec

local score = redis.call("ZSCORE", schedules_key, id)
if not score or tonumber(score) ~= tonumber(expected) or redis.call("HGET", schedule_key(id), "version") ~= version then
  return { "already_fired" }
end

local runs = 0
for job_id, lane, timeout_ms, traits, spec in each_row(7, 5) do
  -- A failover may have rolled the schedule back behind a job that it had made.
  if redis.call("EXISTS", job_key(job_id)) == 0 then
    create_job(job_id, lane, now, timeout_ms, traits, spec)
  end
  runs = runs + 1
end
redis.call("ZADD", schedules_key, next_at, id)
if last_at ~= "" then redis.call("HSET", schedule_key(id), "last_at", last_at) end
redis.call("HINCRBY", schedule_key(id), "runs", runs)
redis.call("HINCRBY", schedule_key(id), "missed", missed)
return { "ok", offer_touched() }
