-- How many jobs of a queue are in which shown state.

-- @include lib/clock
-- @include lib/keys

-- Returns {queued, scheduled, retrying, running, succeeded, dead, cancelled}, and the run-at of the oldest job that is due
-- as text, or "".
local function tally_of(queue)
  local queued, waiting, oldest = 0, 0, nil
  for _, index in ipairs({ waiting_key(queue, PRIORITY_DEFAULT), spread_key(queue) }) do
    queued = queued + redis.call("ZCOUNT", index, "-inf", now)
    waiting = waiting + redis.call("ZCARD", index)
    local head = redis.call("ZRANGE", index, 0, 0, "WITHSCORES")[2]
    if head and tonumber(head) <= now then oldest = math.min(oldest or now, tonumber(head)) end
  end
  local retrying = redis.call("ZCOUNT", retrying_key(queue), "(" .. now, "+inf")
  return { queued, waiting - queued - retrying, retrying, redis.call("ZCARD", running_key(queue)),
    redis.call("ZCARD", finished_key("succeeded", queue)), redis.call("ZCARD", finished_key("dead", queue)),
    redis.call("ZCARD", finished_key("cancelled", queue)) }, oldest and string.format("%.0f", oldest) or ""
end
