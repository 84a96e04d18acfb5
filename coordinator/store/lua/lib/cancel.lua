-- The end of a job that waits and is not wanted any more.

-- @include lib/events
-- @include lib/finish
-- @include lib/waiting

-- `job` is as `load_attempt` gives it.
local function cancel_waiting(job, reason)
  drop_waiting(job.id, job.lane, job.priority, job.attempt)
  redis.call("ZREM", expiries_key, job.id)
  redis.call("HSET", job_key(job.id), "state", "cancelled", "reason", reason, "outcome", "cancelled", "finished_at", now)
  tell_job("job.cancelled", job, "cancelled", "reason", reason)
  finish_job(job, "cancelled")
end
