-- A job that waits: in its lane by run-at, and its lane in the inner wheel no later than that.

-- @include lib/clock
-- @include lib/keys

-- `spent` is the number of attempts that failed: such a job is also listed as retrying.
local function put_waiting(id, lane, run_at, spent)
  local queue = queue_of(lane)
  redis.call("ZADD", waiting_key(lane), run_at, id)
  -- Not before now: a lane that fills up again must not overtake those that have been waiting.
  redis.call("ZADD", lanes_key(queue), "LT", math.max(run_at, now), lane)
  if spent > 0 then redis.call("ZADD", retrying_key(queue), run_at, id) end
end

-- The wheels are left as they are: an entry that is too early costs one look.
local function drop_waiting(id, lane, spent)
  redis.call("ZREM", waiting_key(lane), id)
  if spent > 0 then redis.call("ZREM", retrying_key(queue_of(lane)), id) end
end
