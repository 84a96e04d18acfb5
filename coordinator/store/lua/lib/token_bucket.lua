-- A token bucket: `limit` tokens flow in per `period_ms`, at most `burst` are kept.
-- In every window of t ms attempts that cost burst + limit * t / period_ms start, and no more.

-- @include lib/clock

local EPSILON = 1e-6 -- A token that is short by a rounding error is a token.

local function open_bucket(limit, period_ms, burst, tokens, refilled_at)
  local bucket = { limit = tonumber(limit), period_ms = tonumber(period_ms), burst = tonumber(burst) }
  bucket.tokens = tonumber(tokens or bucket.burst)
  bucket.refilled_at = tonumber(refilled_at or now)
  -- A clock that stepped back must not drain the bucket, nor fill it twice when it comes forward again.
  local elapsed = math.max(0, now - bucket.refilled_at)
  bucket.tokens = math.min(bucket.burst, bucket.tokens + elapsed * bucket.limit / bucket.period_ms)
  bucket.refilled_at = math.max(now, bucket.refilled_at)
  return bucket
end

-- What costs more than the bucket holds starts when it is full, and leaves a debt: it would wait for ever otherwise.
local function can_pay(bucket, cost) return bucket.tokens + EPSILON >= math.min(cost, bucket.burst) end

-- The instant at which it can pay. A wait of 301.00000000000006 ms is one of 301.
local function token_instant(bucket, cost)
  local short = math.min(cost, bucket.burst) - bucket.tokens
  if short <= EPSILON then return now end
  return bucket.refilled_at + math.ceil(short * bucket.period_ms / bucket.limit - EPSILON)
end

local function full_instant(bucket)
  return bucket.refilled_at + math.ceil((bucket.burst - bucket.tokens) * bucket.period_ms / bucket.limit)
end

local function refund(bucket, cost) bucket.tokens = math.min(bucket.burst, bucket.tokens + cost) end

local function save_bucket(key, bucket)
  redis.call("HSET", key, "tokens", string.format("%.9f", bucket.tokens),
    "refilled_at", string.format("%.0f", bucket.refilled_at))
end
