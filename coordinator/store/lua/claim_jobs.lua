-- Take due jobs of this shard, each with a lease, as the limits of their queues and keys allow.
--
-- Every queue whose instant has come is served before one is served twice, and in it every lane; what is not
-- due is not looked at. In a lane the lower priority number goes first. The attempt is counted here; its nonce is the
-- claim's own random id.
--
-- Returns {"ok", {{id, attempt, deadline_at, lost, snoozes, throttles, earlier, spec, waited_ms}, ...}, due_in_ms}; `earlier` counts
-- the calls before a person had it tried anew, `waited_ms` is for how long it has been due. `due_in_ms` is 0 when more is due, -1 when nothing waits. The same request repeated (its reply was lost) gets the same jobs again.
-- flags: allow-oom

-- @include lib/cancel
-- @include lib/circuit
-- @include lib/events
-- @include lib/fence
-- @include lib/running
-- @include lib/wheel
-- @include lib/waiting

local holder = ARGV[2] -- the replica that takes the leases
local request = ARGV[3] -- this claim's random id, the nonce of all its attempts
local limit = tonumber(ARGV[4]) -- jobs, at the most
local bytes_limit = tonumber(ARGV[5]) -- of their specs together; one job is taken whatever its size
local lease_ms = tonumber(ARGV[6])
local circuit_open_ms = tonumber(ARGV[7]) -- for queues without a setting of their own

local claimed = {}
local claimed_ids = {}
local bytes = 0

local function claimed_job(id, field)
  return { id, tonumber(field.attempt), tonumber(field.deadline_at), tonumber(field.lost or 0),
    tonumber(field.snoozes or 0), tonumber(field.throttles or 0), tonumber(field.earlier or 0), field.spec,
    math.max(0, (tonumber(field.started_at or nil) or now) - field.run_at) }
end

local function fields_of(id)
  local value = redis.call("HMGET", job_key(id), "spec", "attempt", "timeout_ms", "lost", "snoozes", "throttles",
    "outcome", "state", "nonce", "deadline_at", "cost", "heartbeat_ms", "expires_at", "earlier", "worker",
    "run_at", "started_at")
  return { spec = value[1], attempt = value[2], timeout_ms = value[3], lost = value[4], snoozes = value[5],
    throttles = value[6], outcome = value[7], state = value[8], nonce = value[9], deadline_at = value[10],
    cost = tonumber(value[11] or 1), heartbeat_ms = tonumber(value[12] or nil), expires_at = tonumber(value[13] or nil),
    earlier = value[14], worker = value[15], run_at = tonumber(value[16] or now),
    started_at = value[17] }
end

local function start_attempt(lane, id, field)
  if tonumber(field.attempt) > 0 then redis.call("ZREM", retrying_key(lane.queue.name), id) end
  if field.outcome then redis.call("HDEL", job_key(id), "outcome") end
  field.attempt, field.started_at = tonumber(field.attempt) + 1, now
  field.deadline_at = now + tonumber(field.timeout_ms)
  if field.expires_at then redis.call("ZREM", expiries_key, id) end
  if field.heartbeat_ms then
    redis.call("HSET", job_key(id), "ends_at", field.deadline_at)
    field.deadline_at = math.min(field.deadline_at, now + field.heartbeat_ms)
  end
  count_start(lane.queue.name, now - field.run_at)
  begin_probe(lane.queue, field.worker, lane.queue.circuit_open_ms or circuit_open_ms)
  redis.call("HSET", job_key(id), "state", "running", "attempt", field.attempt, "nonce", request, "holder", holder,
    "started_at", now, "deadline_at", field.deadline_at)
  put_running(id, lane.name, math.min(now + lease_ms, field.deadline_at))
  if is_watched() then
    local schedule, batch = unpack(redis.call("HMGET", job_key(id), "schedule", "batch"))
    tell_job("job.started", { id = id, lane = lane.name, worker = field.worker, attempt = field.attempt, schedule = schedule,
      batch = batch }, "running")
  end
  claimed[#claimed + 1] = claimed_job(id, field)
  claimed_ids[#claimed_ids + 1] = id
end

-- Pays for a job from both buckets, or from neither. Returns whose is short: a job that cannot be paid is waited for, or
-- those that cost less would overtake it for ever.
local function pay(lane, cost)
  if lane.bucket and not can_pay(lane.bucket, cost) then return "lane" end
  if lane.queue.bucket and not can_pay(lane.queue.bucket, cost) then return "queue" end
  for _, limited in ipairs({ lane, lane.queue }) do
    if limited.bucket then limited.bucket.tokens = limited.bucket.tokens - cost end
  end
end

local function put_off(lane, priority, id, field, opens_at)
  local run_at = put_off_until(opens_at, lane.queue.circuit_open_ms or circuit_open_ms)
  redis.call("HSET", job_key(id), "run_at", run_at)
  put_waiting(id, lane.name, priority, run_at, tonumber(field.attempt))
end

-- Once it has been called it is not given up for its age any more.
local function has_expired(field)
  return field.expires_at and field.expires_at <= now and field.attempt == "0" and not field.snoozes and not field.throttles
end

-- Jobs that are put off, looked at in one claim beside those that are taken: a queue that runs one at once would else need
-- a claim for each of them before it comes to one that may run.
local put_off_left = 200

-- Returns how many were taken of one line, and what stopped it: "heavy" when the claim is full of bytes, "lane" or "queue"
-- when one of them cannot pay, and "lane" as well when the line was not looked through.
local function claim_from_line(lane, priority, want)
  local line = waiting_key(lane.name, priority)
  local gone, taken, stop = {}, 0, nil
  local most = want + (open_circuits(lane.queue) and put_off_left or 0)
  local ids = redis.call("ZRANGEBYSCORE", line, "-inf", now, "LIMIT", 0, most)
  for _, id in ipairs(ids) do
    if taken >= want then break end
    local field = fields_of(id)
    local opens_at = field.spec and circuit_instant(lane.queue, field.worker)
    if field.spec and has_expired(field) then
      cancel_waiting(load_attempt(id), "expired")
    elseif opens_at and opens_at > now then
      put_off(lane, priority, id, field, opens_at)
      put_off_left = math.max(0, put_off_left - 1)
    elseif field.spec then
      stop = bytes > 0 and bytes + #field.spec > bytes_limit and "heavy" or pay(lane, field.cost)
      if stop then break end
      bytes = bytes + #field.spec
      start_attempt(lane, id, field)
      taken = taken + 1
      gone[#gone + 1] = id
    else
      gone[#gone + 1] = id
    end
  end
  if #gone > 0 then
    redis.call("ZREM", line, unpack(gone))
    if is_spread(lane.name, priority) then redis.call("ZREM", spread_key(lane.queue.name), unpack(gone)) end
  end
  -- Behind those that were given up or put off others may be due, which go before the next line.
  if #ids == most and taken < want then stop = stop or "lane" end
  return taken, stop
end

-- A lane that could not be served for what its queue or the claim lacks keeps its place in the line, so that its job
-- comes first in a claim soon, where it is taken whatever its size.
local function claim_from_lane(lane, want)
  want = room_in_lane(lane, want)
  local taken, stop = 0, nil
  for _, priority in ipairs(lane.queue.lines) do
    if stop or taken >= want then break end
    local got
    got, stop = claim_from_line(lane, priority, want - taken)
    taken = taken + got
  end
  if lane.bucket and taken > 0 then save_lane(lane) end
  if stop == "lane" then stop = nil end
  if taken > 0 or not stop then place_lane(lane, true) end
  return taken, stop
end

local function claim_from_queue(queue, want)
  local lanes = redis.call("ZRANGEBYSCORE", lanes_key(queue.name), "-inf", "(" .. now + 1, "LIMIT", 0, want)
  local share = math.ceil(want / math.max(1, #lanes))
  local taken, stop = 0, nil
  for _, name in ipairs(lanes) do
    if taken >= want or stop then break end
    local got
    got, stop = claim_from_lane(load_lane(name), math.min(share, want - taken))
    taken = taken + got
  end
  if taken > 0 then save_queue(queue) end
  if taken > 0 or stop ~= "heavy" then turn_queue(queue) end
  return stop == "heavy"
end

local function claim_due()
  local names = redis.call("ZRANGEBYSCORE", queues_key, "-inf", "(" .. now + 1, "LIMIT", 0, limit)
  local share = math.ceil(limit / math.max(1, #names))
  for _, name in ipairs(names) do
    local queue = load_queue(name)
    local heavy = claim_from_queue(queue, room_in_queue(queue, math.min(share, limit - #claimed)))
    if heavy or #claimed >= limit then break end
  end
  if #claimed > 0 then
    redis.call("SET", claim_key(holder), request .. " " .. table.concat(claimed_ids, " "), "PX", lease_ms)
  end
end

-- The jobs of the same request that are still its own.
local function claim_again(ids)
  for id in string.gmatch(ids, "%S+") do
    local field = fields_of(id)
    if field.state == "running" and field.nonce == request then claimed[#claimed + 1] = claimed_job(id, field) end
  end
end

local last_claim = redis.call("GET", claim_key(holder)) or ""
if string.sub(last_claim, 1, #request + 1) == request .. " " then
  claim_again(string.sub(last_claim, #request + 2))
else
  claim_due()
end

if began_held then offer_touched() end
save_counts()
return { "ok", claimed, due_in(queues_key) }
