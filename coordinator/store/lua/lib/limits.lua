-- What may start: the limits of queues and lanes as they stand now. Each is read once in a script and kept up here.
--
-- A queue limits all of its jobs; `perKey` limits the jobs of each key, which share a lane. Both have to allow a start.

-- @include lib/keys
-- @include lib/token_bucket

local INFINITE = math.huge

local known_queue, known_lane = {}, {}

local SEEN_KEPT_MS = 3600000

-- What the other side has told of its limits: `limit` a second, `burst`, when the call began that told of them last, and
-- when they were told. After an hour without news they are forgotten, or one wrong word would hold for ever.
local function seen_of(limit, burst, heard_at, told_at)
  if told_at and told_at + SEEN_KEPT_MS <= now then return { heard_at = 0, told_at = 0 } end
  return { limit = tonumber(limit or nil), burst = tonumber(burst or nil), heard_at = tonumber(heard_at or 0),
    told_at = tonumber(told_at or 0) }
end

local FILLED_WITHIN_MS = 86400000

-- Of the limits that are set and those that were seen the lower ones count. Who tells of a smaller whole, and not how fast it
-- comes back, is taken to be slower in proportion, as Shopify's shops are. However wrong a function is about the rate, the
-- bucket fills within a day.
local function narrowed(limit, period_ms, burst, seen)
  local whole = math.min(burst, seen.burst or burst)
  local flow = seen.limit and seen.limit * period_ms / 1000 or limit * whole / burst
  return { math.min(limit, math.max(flow, whole * period_ms / FILLED_WITHIN_MS)), period_ms, whole }
end

local function load_queue(name)
  if known_queue[name] then return known_queue[name] end
  local field = redis.call("HMGET", queue_key(name), "paused", "concurrency", "rate_limit", "rate_period_ms", "rate_burst",
    "tokens", "refilled_at", "key_concurrency", "key_rate_limit", "key_rate_period_ms", "key_rate_burst", "priorities",
    "circuit_failures", "circuit_open_ms", "withheld",
    "seen_limit", "seen_burst", "heard_at", "told_at", "max_waiting")
  local queue = { name = name, paused = field[1] == "1", concurrency = tonumber(field[2] or INFINITE),
    key_concurrency = tonumber(field[8] or INFINITE), key_rate = field[9] and { tonumber(field[9]), tonumber(field[10]), tonumber(field[11]) } }
  queue.seen = seen_of(field[16], field[17], field[18], field[19])
  if field[3] then
    local limit, period_ms, burst = tonumber(field[3]), tonumber(field[4]), tonumber(field[5])
    queue.bucket = open_bucket(narrowed(limit, period_ms, burst, queue.seen), { field[6], field[7], field[15] })
  end
  queue.max_waiting = tonumber(field[20] or nil)
  queue.circuit_failures, queue.circuit_open_ms = tonumber(field[13] or nil), tonumber(field[14] or nil)
  queue.lines = {}
  for priority = 0, 9 do
    if priority == PRIORITY_DEFAULT or field[12] and string.find(field[12], priority, 1, true) then
      queue.lines[#queue.lines + 1] = priority
    end
  end
  known_queue[name] = queue
  return queue
end

local function save_queue(queue)
  if queue.bucket then save_bucket(queue_key(queue.name), queue.bucket) end
end

local function load_lane(name)
  if known_lane[name] then return known_lane[name] end
  local queue = load_queue(queue_of(name))
  local field = redis.call("HMGET", lane_key(name),
    "paused", "blocked_until", "tokens", "refilled_at", "withheld", "seen_limit", "seen_burst", "heard_at", "told_at")
  local keyed = is_keyed(name)
  local lane = { name = name, queue = queue, is_keyed = keyed, paused = field[1] == "1",
    blocked_until = tonumber(field[2] or 0), concurrency = keyed and queue.key_concurrency or INFINITE,
    seen = seen_of(field[6], field[7], field[8], field[9]) }
  if keyed and queue.key_rate then
    local limit, period_ms, burst = unpack(queue.key_rate)
    lane.bucket = open_bucket(narrowed(limit, period_ms, burst, lane.seen), { field[3], field[4], field[5] })
  end
  known_lane[name] = lane
  return lane
end

-- When a queue or a lane can pay, or what was told of its limits is forgotten: then it is looked at again.
local function pay_instant(limited, cost)
  local instant = token_instant(limited.bucket, cost)
  if limited.seen.told_at == 0 then return instant end
  return math.min(instant, limited.seen.told_at + SEEN_KEPT_MS)
end

local LANE_SPARE_MS = 60000

-- A lane that holds nothing back is as one that was never heard of: its hash goes by itself, or there would in the end be
-- one for every key that ever was. A pause stays until it is lifted.
local function save_lane(lane)
  local key = lane_key(lane.name)
  local until_ms = lane.blocked_until
  if lane.blocked_until > now then redis.call("HSET", key, "blocked_until", string.format("%.0f", lane.blocked_until)) end
  if lane.bucket then
    save_bucket(key, lane.bucket)
    until_ms = math.max(until_ms, full_instant(lane.bucket))
    if lane.seen.limit or lane.seen.burst then until_ms = math.max(until_ms, lane.seen.told_at + SEEN_KEPT_MS) end
  end
  if lane.paused then
    redis.call("PERSIST", key)
  else
    redis.call("PEXPIRE", key, string.format("%.0f", math.max(0, until_ms - now) + LANE_SPARE_MS))
  end
end

-- The hash of a lane that has to wait outlasts its debt by the rate that holds now, which may be lower than when it was saved.
local function keep_lane(lane)
  local left_ms = math.max(0, full_instant(lane.bucket) - now) + LANE_SPARE_MS
  redis.call("PEXPIRE", lane_key(lane.name), string.format("%.0f", left_ms), "GT")
end

-- How many attempts a queue or a lane may start now, `most` at the most, whatever they cost.
local function room_in_queue(queue, most)
  if queue.paused then return 0 end
  if queue.concurrency < INFINITE then
    most = math.min(most, queue.concurrency - redis.call("ZCARD", running_key(queue.name)))
  end
  return math.max(0, most)
end

local function room_in_lane(lane, most)
  if lane.paused or lane.blocked_until > now then return 0 end
  if lane.concurrency < INFINITE then
    most = math.min(most, lane.concurrency - redis.call("ZCARD", busy_key(lane.name)))
  end
  return math.max(0, most)
end

-- What costs more than its key or its queue ever holds would wait for ever.
local function refused_for_cost(lane, cost)
  if not cost then return nil end
  local loaded = load_lane(lane)
  for _, limited in ipairs({ loaded, loaded.queue }) do
    local burst = limited.bucket and limited.bucket.burst
    if burst and tonumber(cost) > burst then return { "cost_exceeds_burst", string.format("%.9g", burst) } end
  end
end
