-- The two wheels: each queue stands in the outer one at the instant from which it may be claimed from, each lane of a
-- queue in the inner one.
--
-- A queue that is paused, full or empty is not in it; a lane that is paused or full stands at infinity. An entry may be
-- too early (the claim that finds nothing corrects it) but never too late: whatever could make a lane or a queue claimable
-- sooner touches it, and the script ends with `offer_touched`.

-- @include lib/limits

-- A place behind all that became claimable before this turn. Those that one script serves stand a microsecond apart, in
-- the order in which they were served: were they level, their names would decide who comes first every time.
local served = 0

local function next_turn()
  served = served + 1
  return string.format("%.3f", math.min(turn + served * 0.001, now + 0.999))
end

-- The job of a lane that comes first: of those that are due the one of the lowest priority number, else the next to be.
local function head_of(lane)
  local first_at, first_id
  for _, priority in ipairs(lane.queue.lines) do
    local head = redis.call("ZRANGE", waiting_key(lane.name, priority), 0, 0, "WITHSCORES")
    local run_at = head[1] and tonumber(head[2])
    if run_at and (not first_at or run_at < first_at) then first_at, first_id = run_at, head[1] end
    if first_at and first_at <= now then break end
  end
  return first_at, first_id
end

local function cost_of(id) return tonumber(redis.call("HGET", job_key(id), "cost") or 1) end

-- Nil when nothing waits in it.
local function lane_instant(lane)
  local run_at, id = head_of(lane)
  if not run_at then return nil end
  if lane.paused then return INFINITE end
  if lane.concurrency < INFINITE and redis.call("ZCARD", busy_key(lane.name)) >= lane.concurrency then return INFINITE end
  local instant = math.max(run_at, lane.blocked_until)
  return lane.bucket and math.max(instant, pay_instant(lane, cost_of(id))) or instant
end

-- A lane that is claimable already keeps its place, unless it has just been served.
local function place_lane(lane, is_served)
  local instant = lane_instant(lane)
  local wheel = lanes_key(lane.queue.name)
  if not instant then
    redis.call("ZREM", wheel, lane.name)
  elseif instant > now then
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
  local _, id = head_of(load_lane(head[1]))
  return id and math.max(instant, pay_instant(queue, cost_of(id))) or instant
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
