-- The outer wheel: each queue stands in it at the instant from which it may be claimed from.
--
-- A queue that is paused, full or empty is not in it. An entry may be too early (the claim that finds nothing
-- corrects it) but never too late: whatever could make a queue claimable sooner calls `offer_queue`.

-- @include lib/clock
-- @include lib/keys
-- @include lib/token_bucket

-- A place behind all that became claimable before this turn. Those that one script serves stand a microsecond apart, in
-- the order in which they were served: were they level, their names would decide who comes first every time.
local served = 0

local function next_turn()
  served = served + 1
  return string.format("%.3f", math.min(turn + served * 0.001, now + 0.999))
end

local function load_queue(name)
  local field = redis.call("HMGET", queue_key(name),
    "paused", "concurrency", "rate_limit", "rate_period_ms", "rate_burst", "tokens", "refilled_at")
  local queue = { name = name, paused = field[1] == "1", concurrency = field[2] and tonumber(field[2]) }
  if field[3] then
    queue.rate_limit = tonumber(field[3])
    queue.rate_period_ms = tonumber(field[4])
    queue.rate_burst = tonumber(field[5])
    queue.tokens = field[6] and tonumber(field[6]) or queue.rate_burst
    queue.refilled_at = field[7] and tonumber(field[7]) or now
    refill_tokens(queue)
  end
  return queue
end

-- How many attempts the queue may start now, `most` at the most.
local function room_in(queue, most)
  if queue.paused then return 0 end
  if queue.concurrency then
    most = math.min(most, queue.concurrency - redis.call("ZCARD", running_key(queue.name)))
  end
  if queue.rate_limit then most = math.min(most, whole_tokens(queue)) end
  return math.max(0, most)
end

local function queue_instant(queue)
  if queue.paused then return nil end
  if queue.concurrency and redis.call("ZCARD", running_key(queue.name)) >= queue.concurrency then return nil end
  local head = redis.call("ZRANGE", lanes_key(queue.name), 0, 0, "WITHSCORES")
  if not head[1] then return nil end
  local instant = tonumber(head[2])
  if queue.rate_limit then instant = math.max(instant, token_instant(queue)) end
  return instant
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

-- After anything that may have made the queue claimable, or claimable sooner. A queue that is claimable
-- already keeps its place. Returns the milliseconds until it is claimable if that is sooner than before, else nil.
local function offer_queue(queue)
  local instant = queue_instant(queue)
  if not instant then return nil end
  instant = math.max(instant, turn)
  if redis.call("ZADD", queues_key, "LT", "CH", string.format("%.3f", instant), queue.name) == 1 then
    return math.floor(instant - now)
  end
end

-- Offers each queue of a set of names. Returns the least of `offer_queue`, or -1.
local function offer_queues(names)
  local soonest = -1
  for name in pairs(names) do
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
