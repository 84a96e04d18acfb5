-- A job that runs: in its queue's index by lease or deadline, and in its lane's by start. Both are cardinalities, not
-- counters: a slot is taken as long as the job stands there, which is until its lease or deadline at the latest.

-- @include lib/wheel

local function put_running(id, lane, lease_until)
  local queue = queue_of(lane)
  redis.call("ZADD", running_key(queue), lease_until, id)
  redis.call("ZADD", deadlines_key, "LT", lease_until, queue)
  if is_keyed(lane) then redis.call("ZADD", busy_key(lane), now, id) end
end

-- Its slots are free again.
local function drop_running(id, lane)
  redis.call("ZREM", running_key(queue_of(lane)), id)
  if is_keyed(lane) then
    redis.call("ZREM", busy_key(lane), id)
    if load_queue(queue_of(lane)).key_concurrency < INFINITE then touch_lane(lane) end
  end
  touch_queue(queue_of(lane))
end
