-- The token bucket of a queue: `rate_limit` tokens flow in per `rate_period_ms`, at most `rate_burst` are kept.
-- In every window of t ms at most burst + rate * t attempts start.

local EPSILON = 1e-6 -- A token that is short by a rounding error is a token.

local function refill_tokens(queue)
  -- A clock that stepped back must not drain the bucket, nor fill it twice when it comes forward again.
  local elapsed = math.max(0, now - queue.refilled_at)
  queue.tokens = math.min(queue.rate_burst, queue.tokens + elapsed * queue.rate_limit / queue.rate_period_ms)
  queue.refilled_at = math.max(now, queue.refilled_at)
end

local function whole_tokens(queue) return math.floor(queue.tokens + EPSILON) end

-- The instant at which one token will be there. A wait of 301.00000000000006 ms is one of 301.
local function token_instant(queue)
  local short = 1 - queue.tokens
  if short <= EPSILON then return now end
  return queue.refilled_at + math.ceil(short * queue.rate_period_ms / queue.rate_limit - EPSILON)
end

local function save_tokens(queue)
  redis.call("HSET", queue_key(queue.name),
    "tokens", string.format("%.9f", queue.tokens), "refilled_at", string.format("%.0f", queue.refilled_at))
end
