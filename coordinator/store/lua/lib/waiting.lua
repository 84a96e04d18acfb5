-- A job that waits: in its lane's line of its priority by run-at; its lane is touched, so that the wheels follow.

-- @include lib/wheel

-- Whether the plain line alone tells of a job: all others are listed together as well, or there would be no end of lines
-- to look through for a queue's jobs in order.
local function is_spread(lane, priority) return priority ~= PRIORITY_DEFAULT or is_keyed(lane) end

-- A queue's lines beside the usual one, known from the first job of their priority on.
local function open_line(queue, priority)
  if priority == PRIORITY_DEFAULT then return end
  for _, open in ipairs(queue.lines) do
    if open == priority then return end
  end
  queue.lines[#queue.lines + 1] = priority
  table.sort(queue.lines)
  redis.call("HSET", queue_key(queue.name), "priorities", table.concat(queue.lines))
end

-- `spent` is the number of attempts that failed: such a job is also listed as retrying.
local function put_waiting(id, lane, priority, run_at, spent)
  local queue = load_queue(queue_of(lane))
  open_line(queue, priority)
  redis.call("ZADD", waiting_key(lane, priority), run_at, id)
  if is_spread(lane, priority) then redis.call("ZADD", spread_key(queue.name), run_at, id) end
  if spent > 0 then redis.call("ZADD", retrying_key(queue.name), run_at, id) end
  touch_lane(lane)
end

-- How many jobs of a queue wait, whatever for: the plain line and what is listed beside it have each of them once.
local function count_waiting(queue)
  return redis.call("ZCARD", waiting_key(queue, PRIORITY_DEFAULT)) + redis.call("ZCARD", spread_key(queue))
end

-- When the job is given up if it has not been called by then.
local function put_expiry(id, expires_at)
  expires_at = string.format("%.0f", expires_at)
  redis.call("HSET", job_key(id), "expires_at", expires_at)
  redis.call("ZADD", expiries_key, expires_at, id)
end

local function drop_waiting(id, lane, priority, spent)
  redis.call("ZREM", waiting_key(lane, priority), id)
  if is_spread(lane, priority) then redis.call("ZREM", spread_key(queue_of(lane)), id) end
  if spent > 0 then redis.call("ZREM", retrying_key(queue_of(lane)), id) end
  touch_lane(lane)
end
