-- A job that is dead or cancelled waits anew, as if it had never been tried, if its unique handle is free and others have been
-- told of its end: they would be told of another.

-- @include lib/events
-- @include lib/fence
-- @include lib/waiting

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

-- Answers "retried", "invalid_state", "untold" or "unique_conflict". `request` is the random id of the call, by which its
-- repetition is known. The number of calls goes on, because it names a call to those that have seen the earlier ones.
local function try_anew(job, request)
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
