-- The two wheels: each queue stands in the outer one at the instant from which it may be claimed from, each lane of a
-- queue in the inner one.
--
-- A queue that is paused, full or empty is not in it; a lane that is paused or full stands at infinity. An entry may be
-- too early (the claim that finds nothing corrects it) but never too late: whatever could make a lane or a queue claimable
-- sooner touches it, and the script ends with `offer_touched`.

-- @include lib/circuit

-- A place behind all that became claimable before this turn. Those that one script serves stand a microsecond apart, in
-- the order in which they were served: were they level, their names would decide who comes first every time.
local served = 0

local function next_turn()
  served = served + 1
  return string.format("%.3f", math.min(turn + served * 0.001, now + 0.999))
end

-- When these limits can pay for a job. One whose circuit is open is put off by the claim that comes to it, unpaid.
local function payable_at(id, limits)
  if #limits == 0 then return 0 end
  local cost, worker = unpack(redis.call("HMGET", job_key(id), "cost", "worker"))
  if (circuit_instant(limits[1].queue or limits[1], worker) or 0) > now then return 0 end
  local instant = 0
  for _, limited in ipairs(limits) do instant = math.max(instant, pay_instant(limited, tonumber(cost or 1))) end
  return instant
end

-- When a claim can take the head of one of a lane's lines, as far as their times and these limits say; nil when nothing
-- waits. What is due stands before the lines behind it, even if it cannot be paid; what comes later does not yet.
local function head_instant(lane, limits)
  local soonest
  for _, priority in ipairs(lane.queue.lines) do
    local head = redis.call("ZRANGE", waiting_key(lane.name, priority), 0, 0, "WITHSCORES")
    if head[1] then
      local run_at = tonumber(head[2])
      local instant = math.max(run_at, payable_at(head[1], limits))
      soonest = math.min(soonest or instant, instant)
      if run_at <= now then break end
    end
  end
  return soonest
end

-- Nil when nothing waits in it.
local function lane_instant(lane)
  local instant = head_instant(lane, lane.bucket and { lane } or {})
  if not instant then return nil end
  if lane.paused then return INFINITE end
  if lane.concurrency < INFINITE and redis.call("ZCARD", busy_key(lane.name)) >= lane.concurrency then return INFINITE end
  return math.max(instant, lane.blocked_until)
end

-- A lane that is claimable already keeps its place, unless it has just been served.
local function place_lane(lane, is_served)
  local instant = lane_instant(lane)
  local wheel = lanes_key(lane.queue.name)
  if not instant then
    redis.call("ZREM", wheel, lane.name)
  elseif instant > now then
    if lane.bucket then keep_lane(lane) end
    redis.call("ZADD", wheel, string.format("%.0f", instant), lane.name)
  elseif is_served then
    redis.call("ZADD", wheel, next_turn(), lane.name)
  else
    redis.call("ZADD", wheel, "LT", string.format("%.3f", turn), lane.name)
  end
end

local function queue_instant(queue)
  if queue.paused then return nil end
  if queue.concurrency < INFINITE and redis.call("ZCARD", running_key(queue.name)) >= queue.concurrency then return nil end
  local head = redis.call("ZRANGE", lanes_key(queue.name), 0, 0, "WITHSCORES")
  if not head[1] or tonumber(head[2]) == INFINITE then return nil end
  local instant = tonumber(head[2])
  if not queue.bucket then return instant end
  -- A lane that stands too early, because limits have changed, has no say in what the queue has to pay.
  local lane = load_lane(head[1])
  if (lane_instant(lane) or INFINITE) > math.max(now, instant) then return instant end
  return math.max(instant, head_instant(lane, lane.bucket and { lane, queue } or { queue }))
end

-- After a claim: the queue goes to the end of the line.
local function turn_queue(queue)
  local instant = queue_instant(queue)
  if not instant then
    redis.call("ZREM", queues_key, queue.name)
  else
    redis.call("ZADD", queues_key, instant > now and instant or next_turn(), queue.name)
  end
end

-- A queue that is claimable already keeps its place. Returns the milliseconds until it is claimable if that is sooner than
-- before, else nil.
local function offer_queue(queue)
  local instant = queue_instant(queue)
  if not instant then return nil end
  instant = math.max(instant, turn)
  if redis.call("ZADD", queues_key, "LT", "CH", string.format("%.3f", instant), queue.name) == 1 then
    return math.floor(instant - now)
  end
end

local touched_queues, touched_lanes = {}, {}

local function touch_queue(name) touched_queues[name] = true end

local function touch_lane(name)
  touched_lanes[name] = true
  touch_queue(queue_of(name))
end

-- Returns how soon there is something to claim, in ms, if what was touched made that sooner, else -1.
local function offer_touched()
  for name in pairs(touched_lanes) do place_lane(load_lane(name), false) end
  local soonest = -1
  for name in pairs(touched_queues) do
    local due_in = offer_queue(load_queue(name))
    if due_in and (soonest == -1 or due_in < soonest) then soonest = due_in end
  end
  return soonest
end

-- Milliseconds until the first entry of a wheel, 0 if it has come, -1 if the wheel is empty.
local function due_in(wheel)
  local head = redis.call("ZRANGE", wheel, 0, 0, "WITHSCORES")
  if not head[1] or head[2] == "inf" then return -1 end
  -- What has a fraction of a millisecond is a turn, and has come within its millisecond.
  return math.max(0, math.floor(tonumber(head[2]) - now))
end
