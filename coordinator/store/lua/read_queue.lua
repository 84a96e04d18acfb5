-- Read a queue: its settings and how many jobs are in which state.
--
-- Returns {"ok", now, {field, value, ...}, queued, scheduled, retrying, running, succeeded, dead, cancelled, oldest_due}
-- with `oldest_due` the run-at of the oldest job that is due, or "".

-- @include lib/clock
-- @include lib/keys

local queue = ARGV[1]

local waiting = waiting_key(queue)
local queued = redis.call("ZCOUNT", waiting, "-inf", now)
local retrying = redis.call("ZCOUNT", retrying_key(queue), "(" .. now, "+inf")
local oldest = redis.call("ZRANGEBYSCORE", waiting, "-inf", now, "WITHSCORES", "LIMIT", 0, 1)

return { "ok", now, redis.call("HGETALL", queue_key(queue)), queued,
  redis.call("ZCARD", waiting) - queued - retrying, retrying, redis.call("ZCARD", running_key(queue)),
  redis.call("ZCARD", finished_key("succeeded", queue)), redis.call("ZCARD", finished_key("dead", queue)),
  redis.call("ZCARD", finished_key("cancelled", queue)), oldest[2] or "" }
