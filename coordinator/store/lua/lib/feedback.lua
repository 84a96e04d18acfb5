-- What a call told of the limits on the other side corrects our own view of them.
--
-- The lower of both views counts, but they stay apart: ours is what we were set to and have started since, the other's what
-- it last told. Were ours lowered for good, each report that counted too much as under way would cost use for ever.

-- @include lib/limits
-- @include lib/rows

local RESERVE = 1 / 40 -- of the other side's whole; left alone, because calls take different times to get there
local UNSEEN_MOST = 1 / 4 -- of it; or jobs that run for long after their call would hold back all others
local COUNTED_MOST = 20 -- calls whose cost is looked up; the others are taken to be like these
local BLOCK_LIMIT_MS = 300000 -- A lane asks again after this; the job that was told so waits as long as it was told.

-- What those calls under way cost that began with this one or after it: the other side may not have seen them yet.
local function unseen_cost(job)
  local index, from = running_key(job.queue), "-inf"
  if is_keyed(job.lane) then index, from = busy_key(job.lane), job.started_at end
  local under_way = redis.call("ZCOUNT", index, from, "+inf")
  if under_way == 0 then return 0 end
  local ids, cost = redis.call("ZRANGEBYSCORE", index, from, "+inf", "LIMIT", 0, COUNTED_MOST), 0
  for _, id in ipairs(ids) do cost = cost + tonumber(redis.call("HGET", job_key(id), "cost") or 1) end
  return cost / #ids * under_way
end

-- What is left there, as the other side sees it. The call that began last knows most; what an older one tells can only
-- lower this, because it may have looked long ago.
local function correct_tokens(bucket, seen, job, told)
  local whole = told.max or bucket.burst
  local left = told.remaining - math.min(unseen_cost(job), whole * UNSEEN_MOST) - whole * RESERVE
  local withheld = math.max(0, bucket.tokens - left)
  local started_at = tonumber(job.started_at)
  if started_at <= seen.heard_at then
    bucket.withheld = math.max(bucket.withheld, withheld)
  else
    bucket.withheld, seen.heard_at = withheld, started_at
  end
end

-- `key` is the hash of the lane or the queue that is limited.
local function correct(limited, key, job, told)
  local bucket, seen = limited.bucket, limited.seen
  if told.cost then
    -- However wrong a function is about its cost, the bucket is out of its debt after twice the time in which it fills.
    local least = math.min(bucket.tokens, -bucket.burst)
    refund(bucket, job.cost - told.cost)
    bucket.tokens = math.max(bucket.tokens, least)
  end
  if told.max then bucket.burst = math.min(bucket.burst, told.max) end
  bucket.tokens = math.min(bucket.burst, bucket.tokens)
  seen.burst, seen.limit = told.max or seen.burst, told.rate or seen.limit
  if told.remaining then correct_tokens(bucket, seen, job, told) end
  seen.told_at = now
  redis.call("HSET", key, "told_at", now)
  if seen.burst then redis.call("HSET", key, "seen_burst", seen.burst) end
  if seen.limit then redis.call("HSET", key, "seen_limit", seen.limit) end
  if seen.heard_at > 0 then redis.call("HSET", key, "heard_at", string.format("%.0f", seen.heard_at)) end
end

-- `limits` are pairs of a name and a number: `remaining`, `max`, `rate` per second, `cost`. The job's slots are free already.
local function heed_limits(job, limits)
  local lane, told = load_lane(job.lane), read_pairs(limits)
  for name, value in pairs(told) do told[name] = tonumber(value) end
  if lane.bucket then
    correct(lane, lane_key(lane.name), job, told)
    save_lane(lane)
    known_lane[lane.name] = nil -- It is to be opened again with the limits that were seen.
    -- What the attempt did not use is the queue's again; how much is left elsewhere is the key's own affair.
    told = { cost = told.cost }
  end
  local queue = load_queue(job.queue)
  if queue.bucket then
    correct(queue, queue_key(queue.name), job, told)
    save_queue(queue)
  end
end

-- The other side refused a call: all of the lane waits, and what had gathered in its bucket meanwhile is void.
local function block_lane(job, delay_ms, knows_remaining)
  local lane = load_lane(job.lane)
  lane.blocked_until = math.max(lane.blocked_until, now + math.min(delay_ms, BLOCK_LIMIT_MS))
  if lane.bucket and not knows_remaining then lane.bucket.tokens = math.min(lane.bucket.tokens, lane.bucket.withheld) end
  save_lane(lane)
end
