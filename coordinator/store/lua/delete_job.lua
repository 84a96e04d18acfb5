-- Cancel a job that waits, erase one that is final.
--
-- Returns {"cancelled"}, {"erased"}, {"invalid_state", state} while it runs, or {"job_not_found"}.
-- flags: allow-oom

-- @include lib/fence
-- @include lib/finish
-- @include lib/waiting

local id = ARGV[2]

local job = load_attempt(id)
if not job.state then return { "job_not_found" } end
if job.state == "running" then return { "invalid_state", job.state } end
if job.state == "waiting" then
  drop_waiting(id, job.lane, job.attempt)
  redis.call("HSET", job_key(id), "state", "cancelled", "reason", "user", "outcome", "cancelled", "finished_at", now)
  finish_job(id, "cancelled", job.queue)
  return { "cancelled" }
end
redis.call("ZREM", finished_key(job.state, job.queue), id)
erase_job(id)
return { "erased" }
