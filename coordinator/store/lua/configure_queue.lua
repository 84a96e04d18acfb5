-- Set or remove settings of a queue; what is running is left alone.
--
-- Returns {"ok", due_in_ms} as enqueue does.
-- acknowledged
-- flags: allow-oom

-- @include lib/events
-- @include lib/rows
-- @include lib/wheel

local name = ARGV[1]
-- Rows from ARGV[2], each: field, value

local function settings_of(...)
  local fields = redis.call("HMGET", queue_key(name), ...)
  for at = 1, select("#", ...) do fields[at] = fields[at] or "-" end
  return table.concat(fields, " ")
end

local function key_limits() return settings_of("key_concurrency", "key_rate_limit", "key_rate_period_ms", "key_rate_burst") end
local function rate() return settings_of("rate_limit", "rate_period_ms", "rate_burst") end

-- All that it has, and whether it is paused: what callers set, and the beats of its bucket beside.
local function whole() return is_watched() and table.concat(redis.call("HGETALL", queue_key(name)), " ") end
local function is_paused() return redis.call("HEXISTS", queue_key(name), "paused") == 1 end

local limits_before, rate_before, whole_before, was_paused = key_limits(), rate(), whole(), is_paused()
for field, value in each_row(2, 2) do
  if value == "" then
    redis.call("HDEL", queue_key(name), field)
  else
    redis.call("HSET", queue_key(name), field, value)
  end
end
redis.call("SADD", known_queues_key, name)
if is_paused() ~= was_paused then
  tell(was_paused and "queue.resumed" or "queue.paused", "queue", name)
elseif whole() ~= whole_before then
  tell("queue.changed", "queue", name)
end
for _, state in ipairs({ "succeeded", "dead", "cancelled" }) do
  -- The retention may be shorter now: look again.
  if redis.call("EXISTS", finished_key(state, name)) == 1 then redis.call("ZADD", purges_key, now, state .. ":" .. name) end
end

-- Who sets another rate knows better than what was seen under the old one.
if rate() ~= rate_before then
  redis.call("HDEL", queue_key(name), "withheld", "seen_limit", "seen_burst", "heard_at", "told_at")
end

local queue = load_queue(name)
if queue.bucket then
  save_queue(queue)
else
  redis.call("HDEL", queue_key(name), "tokens", "refilled_at")
end
-- Each lane is looked at again by a claim: one command, however many there are.
if key_limits() ~= limits_before and redis.call("EXISTS", lanes_key(name)) == 1 then
  redis.call("ZUNIONSTORE", lanes_key(name), 1, lanes_key(name), "WEIGHTS", 0)
end
redis.call("ZREM", queues_key, name)
return { "ok", offer_queue(queue) or -1 }
