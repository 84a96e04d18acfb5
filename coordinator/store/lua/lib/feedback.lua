-- What a call told of the limits on the other side corrects our own view of them.
--
-- The lower of both views counts: others may use the same allowance, and two clocks never agree to the millisecond.

-- @include lib/limits
-- @include lib/rows

local RESERVE = 1 / 40 -- of the other side's whole; left alone, because calls take different times to get there
local BLOCK_LIMIT_MS = 300000 -- A lane asks again after this; the job that was told so waits as long as it was told.

-- How many attempts that began after this one are under way: the other side may not have seen them yet. No more than a
-- quarter of the whole counts, or jobs that run for long after their call would hold back all others.
local function unseen_cost(job, whole)
  local later
  if is_keyed(job.lane) then
    later = redis.call("ZCOUNT", busy_key(job.lane), job.started_at, "+inf")
  else
    later = redis.call("ZCARD", running_key(job.queue))
  end
  return math.min(later * job.cost, whole / 4)
end

local function correct_bucket(bucket, job, told)
  if told.cost then refund(bucket, job.cost - told.cost) end
  if told.max then bucket.burst = math.min(bucket.burst, told.max) end
  if told.remaining then
    local whole = told.max or bucket.burst
    bucket.tokens = math.min(bucket.tokens, told.remaining - unseen_cost(job, whole) - whole * RESERVE)
  end
  bucket.tokens = math.min(bucket.burst, bucket.tokens)
end

-- `limits` are pairs of a name and a number: `remaining`, `max`, `rate` per second, `cost`. The job's slots are free already.
local function heed_limits(job, limits)
  local lane, told = load_lane(job.lane), read_pairs(limits)
  for name, value in pairs(told) do told[name] = tonumber(value) end
  if lane.bucket then
    correct_bucket(lane.bucket, job, told)
    lane.seen_burst, lane.seen_limit = told.max or lane.seen_burst, told.rate or lane.seen_limit
    save_lane(lane)
    -- What the attempt did not use is the queue's again; how much is left elsewhere is the key's own affair.
    told = { cost = told.cost }
  end
  if lane.queue.bucket then
    correct_bucket(lane.queue.bucket, job, told)
    save_queue(lane.queue)
  end
end

-- The other side refused a call: all of the lane waits, and what had gathered in its bucket meanwhile is void.
local function block_lane(job, delay_ms, knows_remaining)
  local lane = load_lane(job.lane)
  lane.blocked_until = math.max(lane.blocked_until, now + math.min(delay_ms, BLOCK_LIMIT_MS))
  if lane.bucket and not knows_remaining then lane.bucket.tokens = math.min(lane.bucket.tokens, 0) end
  save_lane(lane)
end
