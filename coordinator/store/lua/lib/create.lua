-- A new job.

-- @include lib/waiting

-- `traits` are pairs of a field and its value, for what most jobs do not have: `priority`, `cost`, …
local function create_job(id, lane, run_at, timeout_ms, traits, spec)
  local trait = {}
  for field, value in string.gmatch(traits, "(%S+) (%S+)") do
    trait[field] = value
    redis.call("HSET", job_key(id), field, value)
  end
  redis.call("HSET", job_key(id), "state", "waiting", "lane", lane, "attempt", 0,
    "run_at", run_at, "created_at", now, "timeout_ms", timeout_ms, "spec", spec)
  redis.call("SADD", known_queues_key, queue_of(lane))
  put_waiting(id, lane, tonumber(trait.priority or PRIORITY_DEFAULT), run_at, 0)
end
