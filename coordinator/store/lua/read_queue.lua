-- Read a queue: its settings and how many jobs are in which state.
--
-- Returns {"ok", now, {field, value, ...}, {{worker, failures, open_until}, ...}, queued, scheduled, retrying, running,
-- succeeded, dead, cancelled, oldest_due, blocked_until} with the workers that fail and when their jobs are tried again, or
-- -1; `oldest_due` is the run-at of the oldest job that is due, `blocked_until` when jobs without a key go on, or "".

-- @include lib/clock
-- @include lib/keys

local queue = ARGV[1]

local queued, waiting, oldest = 0, 0, nil
for _, index in ipairs({ waiting_key(queue, PRIORITY_DEFAULT), spread_key(queue) }) do
  queued = queued + redis.call("ZCOUNT", index, "-inf", now)
  waiting = waiting + redis.call("ZCARD", index)
  local head = redis.call("ZRANGE", index, 0, 0, "WITHSCORES")[2]
  if head and tonumber(head) <= now then oldest = math.min(oldest or now, tonumber(head)) end
end
local retrying = redis.call("ZCOUNT", retrying_key(queue), "(" .. now, "+inf")

local blocked_until = redis.call("HGET", lane_key(queue), "blocked_until")

local circuits = {}
local failures = redis.call("HGETALL", failures_key(queue))
for at = 1, #failures, 2 do
  local open_until = redis.call("ZSCORE", circuits_key(queue), failures[at])
  circuits[#circuits + 1] = { failures[at], tonumber(failures[at + 1]), open_until and tonumber(open_until) or -1 }
end

return { "ok", now, redis.call("HGETALL", queue_key(queue)), circuits, queued,
  waiting - queued - retrying, retrying, redis.call("ZCARD", running_key(queue)),
  redis.call("ZCARD", finished_key("succeeded", queue)), redis.call("ZCARD", finished_key("dead", queue)),
  redis.call("ZCARD", finished_key("cancelled", queue)), oldest and string.format("%.0f", oldest) or "",
  tonumber(blocked_until or 0) > now and blocked_until or "" }
