-- What people do to single jobs: cancel, delete, retry, run. One verb for all rows.
--
--   cancel   one that waits is cancelled; the function of one that runs is asked to stop
--   delete   one that waits is cancelled, one that is final is erased; one that runs is refused
--   retry    one that is dead or cancelled waits anew, as if it had never been tried, if its unique handle is free and
--            others have been told of its end: they would be told of another
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

-- Takes the handle back. False if another job has it and lives.
local function retake(job)
  if not job.unique then return true end
  local key = unique_key(job.queue, job.unique)
  local rival = redis.call("GET", key)
  if rival and rival ~= job.id then
    local state = redis.call("HGET", job_key(rival), "state")
    if state == "waiting" or state == "running" then return false end
  end
  redis.call("SET", key, job.id)
  return true
end

-- The number of calls goes on, because it names a call to those that have seen the earlier ones.
local function retry(job)
  if job.state ~= "dead" and job.state ~= "cancelled" then return "invalid_state" end
  if redis.call("ZSCORE", outbox_key, job.id) then return "untold" end
  if not retake(job) then return "unique_conflict" end
  redis.call("ZREM", finished_key(job.state, job.queue), job.id)
  redis.call("HINCRBY", job_key(job.id), "earlier", job.attempt + job.snoozes + job.throttles)
  redis.call("HDEL", job_key(job.id), "outcome", "reason", "finished_at", "started_at", "nonce", "lost", "snoozes",
    "throttles", "first_at", "cancel_requested", "expires_at", "progress", "message")
  redis.call("HSET", job_key(job.id), "state", "waiting", "attempt", 0, "run_at", now, "changed_by", request)
  if job.schedule then redis.call("ZADD", live_key(job.schedule), now, job.id) end
  put_waiting(job.id, job.lane, job.priority, now, 0)
  tell_job("job.queued", job, "queued", "cause", "replayed")
  return "retried"
end

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
