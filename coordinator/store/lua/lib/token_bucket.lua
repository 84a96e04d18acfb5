-- A token bucket: `limit` tokens flow in per `period_ms`, at most `burst` are kept.
-- In every window of t ms attempts that cost burst + limit * t / period_ms start, and no more.
--
-- `withheld` is by how much the other side has seen less in it than there should be (lib/feedback): what flows in beyond the
-- burst makes up for it.

-- @include lib/clock

local EPSILON = 1e-6 -- A token that is short by a rounding error is a token.

-- `rate` is {limit, period_ms, burst}, `kept` what was saved as {tokens, refilled_at, withheld}, or nothing.
local function open_bucket(rate, kept)
  local bucket = { limit = tonumber(rate[1]), period_ms = tonumber(rate[2]), burst = tonumber(rate[3]) }
  local tokens, withheld = tonumber(kept[1] or bucket.burst), tonumber(kept[3] or 0)
  bucket.refilled_at = tonumber(kept[2] or now)
  -- A clock that stepped back must not drain the bucket, nor fill it twice when it comes forward again.
  local elapsed = math.max(0, now - bucket.refilled_at)
  tokens = tokens + elapsed * bucket.limit / bucket.period_ms
  bucket.was_withheld = withheld > 0
  bucket.withheld = math.max(0, withheld - math.max(0, tokens - bucket.burst))
  bucket.tokens = math.min(bucket.burst, tokens)
  bucket.refilled_at = math.max(now, bucket.refilled_at)
  return bucket
end

local function tokens_left(bucket) return bucket.tokens - bucket.withheld end

-- What costs more than the bucket holds starts when it is full, and leaves a debt: it would wait for ever otherwise.
local function can_pay(bucket, cost) return tokens_left(bucket) + EPSILON >= math.min(cost, bucket.burst) end

-- The instant at which it can pay. A wait of 301.00000000000006 ms is one of 301.
local function token_instant(bucket, cost)
  local short = math.min(cost, bucket.burst) - tokens_left(bucket)
  if short <= EPSILON then return now end
  return bucket.refilled_at + math.ceil(short * bucket.period_ms / bucket.limit - EPSILON)
end

local function full_instant(bucket)
  return bucket.refilled_at + math.ceil((bucket.burst - tokens_left(bucket)) * bucket.period_ms / bucket.limit)
end

local function refund(bucket, cost) bucket.tokens = math.min(bucket.burst, bucket.tokens + cost) end

-- As if it had never been taken: what has flowed in since might have flowed over then, and is not given twice.
local function refund_unused(bucket, cost, taken_at)
  local flow = math.max(0, now - tonumber(taken_at)) * bucket.limit / bucket.period_ms
  refund(bucket, math.max(0, cost - flow))
end

local function save_bucket(key, bucket)
  redis.call("HSET", key, "tokens", string.format("%.9f", bucket.tokens),
    "refilled_at", string.format("%.0f", bucket.refilled_at))
  if bucket.withheld > 0 or bucket.was_withheld then
    redis.call("HSET", key, "withheld", string.format("%.9f", bucket.withheld))
  end
end
