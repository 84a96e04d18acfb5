-- Why a waiting job does not run at this very moment. All reasons are told, not only the first.
--
-- Each is {type, scope, until, number}: `scope` is "queue" or "key", `until` is in ms or -1, `number` what the type means.

-- @include lib/circuit
-- @include lib/wheel

local function add_limits(reasons, scope, limited, running, cost)
  if limited.paused then reasons[#reasons + 1] = { "paused", scope, -1, -1 } end
  if limited.concurrency < INFINITE and redis.call("ZCARD", running) >= limited.concurrency then
    reasons[#reasons + 1] = { "concurrency", scope, -1, limited.concurrency }
  end
  if limited.bucket and not can_pay(limited.bucket, cost) then
    reasons[#reasons + 1] = { "limit", scope, pay_instant(limited, cost), -1 }
  end
end

-- The jobs of the lane that go first: those of lower priority numbers that are due, and those before it in its line.
local function ahead_of(id, lane, own)
  local ahead = redis.call("ZRANK", waiting_key(lane.name, own), id) or 0
  for _, priority in ipairs(lane.queue.lines) do
    if priority < own then ahead = ahead + redis.call("ZCOUNT", waiting_key(lane.name, priority), "-inf", now) end
  end
  return ahead
end

local function reasons_of(id, job)
  local reasons = {}
  local run_at, cost = tonumber(job.run_at), tonumber(job.cost or 1)
  local lane = load_lane(job.lane)
  -- A job that was put off comes back when its circuit is tried, or before; what comes later than that waits for its own time.
  local opens_at = circuit_instant(lane.queue, job.worker) or 0
  if opens_at > now then reasons[1] = { "circuit", "worker", opens_at, -1 } end
  if run_at > now and run_at > opens_at then reasons[#reasons + 1] = { "runAt", "job", run_at, -1 } end
  if lane.blocked_until > now then reasons[#reasons + 1] = { "retryAfter", "key", lane.blocked_until, -1 } end
  add_limits(reasons, "key", lane, busy_key(lane.name), cost)
  add_limits(reasons, "queue", lane.queue, running_key(lane.queue.name), cost)
  if run_at <= now then
    reasons[#reasons + 1] = { "turn", "key", -1, ahead_of(id, lane, tonumber(job.priority or PRIORITY_DEFAULT)) }
  end
  return reasons
end
