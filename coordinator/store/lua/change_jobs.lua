-- What people do to single jobs: cancel, delete, retry, run. One verb for all rows.
--
--   cancel   one that waits is cancelled; the function of one that runs is asked to stop
--   delete   one that waits is cancelled, one that is final is erased; one that runs is refused
--   retry    one that is dead or cancelled waits anew, as `lib/retry` has it
--   run      one that waits for its time is due now
--
-- The same request repeated (its reply was lost) leaves what it did: it must not go on to erase what it cancelled.
--
-- Returns {"ok", {{reply, state}, ...}, due_in_ms} with a reply per row: "cancelled", "requested", "erased", "retried",
-- "due", "invalid_state", "unique_conflict", "untold" or "job_not_found".
-- acknowledged
-- flags: allow-oom

-- @include lib/cancel
-- @include lib/events
-- @include lib/fence
-- @include lib/retry
-- @include lib/rows

local verb = ARGV[2]
local request = ARGV[3] -- this call's random id
-- Rows from ARGV[4], each: id

local function cancel(job)
  if job.state == "waiting" then
    redis.call("HSET", job_key(job.id), "changed_by", request)
    cancel_waiting(job, "user")
    return "cancelled"
  elseif job.state == "running" then
    redis.call("HSET", job_key(job.id), "cancel_requested", "user")
    return "requested"
  end
  return "invalid_state"
end

local function delete(job)
  if job.state == "waiting" then return cancel(job) end
  if job.state == "running" then return "invalid_state" end
  redis.call("ZREM", finished_key(job.state, job.queue), job.id)
  erase_job(job.id)
  tell_job("job.deleted", job, "")
  return "erased"
end

local function retry(job) return try_anew(job, request) end

local function run(job)
  if job.state ~= "waiting" then return "invalid_state" end
  local run_at, expires_ms = unpack(redis.call("HMGET", job_key(job.id), "run_at", "expires_ms"))
  if tonumber(run_at) > now then
    redis.call("HSET", job_key(job.id), "run_at", now)
    if expires_ms and never_called(job) then put_expiry(job.id, now + expires_ms) end
    put_waiting(job.id, job.lane, job.priority, now, job.attempt)
    tell_job("job.queued", job, "queued", "cause", "run")
  end
  return "due"
end

local VERBS = { cancel = cancel, delete = delete, retry = retry, run = run }
local DONE = { cancelled = "cancelled", waiting = "retried" }

local replies = {}
for id in each_row(4, 1) do
  local job = load_attempt(id)
  local reply
  if not job.state or job.is_erased then
    reply = "job_not_found"
  elseif verb ~= "run" and redis.call("HGET", job_key(id), "changed_by") == request then
    reply = DONE[job.state] or "retried"
  else
    reply = VERBS[verb](job)
  end
  replies[#replies + 1] = { reply, job.state or "" }
end

save_counts()
return { "ok", replies, offer_touched() }
