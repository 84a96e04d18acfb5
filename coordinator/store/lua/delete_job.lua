-- Cancel a job that waits, erase one that is final.
--
-- The same request repeated (its reply was lost) leaves what it cancelled, and must not go on to erase it.
--
-- Returns {"cancelled"}, {"erased"}, {"invalid_state", state} while it runs, or {"job_not_found"}.
-- flags: allow-oom

-- @include lib/fence
-- @include lib/finish
-- @include lib/waiting

local id = ARGV[2]
local request = ARGV[3] -- this call's random id

local job = load_attempt(id)
if not job.state then return { "job_not_found" } end
if job.state == "running" then return { "invalid_state", job.state } end
if job.state == "waiting" then
  drop_waiting(id, job.lane, job.priority, job.attempt)
  redis.call("HSET", job_key(id), "state", "cancelled", "reason", "user", "outcome", "cancelled", "finished_at", now,
    "cancelled_by", request)
  finish_job(id, "cancelled", job.queue)
  offer_touched()
  return { "cancelled" }
end
if redis.call("HGET", job_key(id), "cancelled_by") == request then return { "cancelled" } end
redis.call("ZREM", finished_key(job.state, job.queue), id)
erase_job(id)
return { "erased" }
