-- A new job.

-- @include lib/waiting

local function create_job(id, lane, run_at, timeout_ms, spec)
  redis.call("HSET", job_key(id), "state", "waiting", "lane", lane, "attempt", 0,
    "run_at", run_at, "created_at", now, "timeout_ms", timeout_ms, "spec", spec)
  redis.call("SADD", known_queues_key, queue_of(lane))
  put_waiting(id, lane, run_at, 0)
end
