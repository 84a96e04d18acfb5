-- What may start: the limits of queues and lanes as they stand now. Each is read once in a script and kept up here.
--
-- A queue limits all of its jobs; `perKey` limits the jobs of each key, which share a lane. Both have to allow a start.

-- @include lib/keys
-- @include lib/token_bucket

local INFINITE = math.huge

local known_queue, known_lane = {}, {}

local function load_queue(name)
  if known_queue[name] then return known_queue[name] end
  local field = redis.call("HMGET", queue_key(name), "paused", "concurrency", "rate_limit", "rate_period_ms", "rate_burst",
    "tokens", "refilled_at", "key_concurrency", "key_rate_limit", "key_rate_period_ms", "key_rate_burst", "priorities",
    "circuit_failures", "circuit_open_ms")
  local queue = { name = name, paused = field[1] == "1", concurrency = tonumber(field[2] or INFINITE),
    key_concurrency = tonumber(field[8] or INFINITE), key_rate = field[9] and { field[9], field[10], field[11] } }
  if field[3] then queue.bucket = open_bucket(unpack(field, 3, 7)) end
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

-- `seen_limit` and `seen_burst` are what the other side has told of its own limits: the lower ones count.
local function load_lane(name)
  if known_lane[name] then return known_lane[name] end
  local queue = load_queue(queue_of(name))
  local field = redis.call("HMGET", lane_key(name),
    "paused", "blocked_until", "tokens", "refilled_at", "seen_limit", "seen_burst")
  local keyed = is_keyed(name)
  local lane = { name = name, queue = queue, is_keyed = keyed, paused = field[1] == "1",
    blocked_until = tonumber(field[2] or 0), concurrency = keyed and queue.key_concurrency or INFINITE }
  if keyed and queue.key_rate then
    local limit, period_ms, burst = unpack(queue.key_rate)
    if field[5] and tonumber(field[5]) / 1000 < limit / period_ms then limit, period_ms = field[5], 1000 end
    if field[6] then burst = math.min(burst, field[6]) end
    lane.bucket = open_bucket(limit, period_ms, burst, field[3], field[4])
    lane.seen_limit, lane.seen_burst = field[5], field[6]
  end
  known_lane[name] = lane
  return lane
end

local LANE_SPARE_MS = 60000
local SEEN_KEPT_MS = 3600000

-- A lane that holds nothing back is as one that was never heard of: its hash goes by itself, or there would in the end be
-- one for every key that ever was. A pause stays until it is lifted.
local function save_lane(lane)
  local key = lane_key(lane.name)
  local until_ms = lane.blocked_until
  if lane.blocked_until > now then redis.call("HSET", key, "blocked_until", string.format("%.0f", lane.blocked_until)) end
  if lane.bucket then
    save_bucket(key, lane.bucket)
    until_ms = math.max(until_ms, full_instant(lane.bucket))
    if lane.seen_limit then redis.call("HSET", key, "seen_limit", lane.seen_limit) end
    if lane.seen_burst then redis.call("HSET", key, "seen_burst", lane.seen_burst) end
    if lane.seen_limit or lane.seen_burst then until_ms = math.max(until_ms, now + SEEN_KEPT_MS) end
  end
  if lane.paused then
    redis.call("PERSIST", key)
  else
    redis.call("PEXPIRE", key, string.format("%.0f", math.max(0, until_ms - now) + LANE_SPARE_MS))
  end
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
