-- Take due jobs of this shard, each with a lease, as the limits of their queues allow.
--
-- Every queue whose instant has come is served before one is served twice, and in it every lane; what is not
-- due is not looked at. The attempt is counted here; its nonce is the claim's own random id.
--
-- Returns {"ok", {{id, attempt, deadline_at, lost, snoozes, throttles, spec}, ...}, due_in_ms}; `due_in_ms` is 0 when
-- more is due, -1 when nothing waits. The same request repeated (its reply was lost) gets the same jobs again.
-- flags: allow-oom

-- @include lib/wheel

local holder = ARGV[1] -- the replica that takes the leases
local request = ARGV[2] -- this claim's random id, the nonce of all its attempts
local limit = tonumber(ARGV[3]) -- jobs, at the most
local bytes_limit = tonumber(ARGV[4]) -- of their specs together; one job is taken whatever its size
local lease_ms = tonumber(ARGV[5])

local claimed = {}
local claimed_ids = {}
local bytes = 0

local function claimed_job(id, field)
  return { id, tonumber(field.attempt), tonumber(field.deadline_at), tonumber(field.lost or 0),
    tonumber(field.snoozes or 0), tonumber(field.throttles or 0), field.spec }
end

local function fields_of(id)
  local value = redis.call("HMGET", job_key(id),
    "spec", "attempt", "timeout_ms", "lost", "snoozes", "throttles", "outcome", "state", "nonce", "deadline_at")
  return { spec = value[1], attempt = value[2], timeout_ms = value[3], lost = value[4], snoozes = value[5],
    throttles = value[6], outcome = value[7], state = value[8], nonce = value[9], deadline_at = value[10] }
end

local function start_attempt(queue, id, field)
  if tonumber(field.attempt) > 0 then redis.call("ZREM", retrying_key(queue.name), id) end
  if field.outcome then redis.call("HDEL", job_key(id), "outcome") end
  field.attempt = tonumber(field.attempt) + 1
  field.deadline_at = now + tonumber(field.timeout_ms)
  local lease_until = math.min(now + lease_ms, field.deadline_at)
  redis.call("HSET", job_key(id), "state", "running", "attempt", field.attempt, "nonce", request,
    "holder", holder, "started_at", now, "deadline_at", field.deadline_at)
  redis.call("ZADD", running_key(queue.name), lease_until, id)
  redis.call("ZADD", deadlines_key, "LT", lease_until, queue.name)
  claimed[#claimed + 1] = claimed_job(id, field)
  claimed_ids[#claimed_ids + 1] = id
end

-- Returns how many were taken, and whether the lane had to be left for their bytes. A lane that was left with nothing
-- taken keeps its place in the line, so that its job comes first in a claim soon, where it is taken whatever its size.
local function claim_from_lane(queue, lane, want)
  local ids = redis.call("ZRANGEBYSCORE", waiting_key(lane), "-inf", now, "LIMIT", 0, want)
  local gone, taken, heavy = {}, 0, false
  for _, id in ipairs(ids) do
    local field = fields_of(id)
    if field.spec then
      if bytes > 0 and bytes + #field.spec > bytes_limit then
        heavy = true
        break
      end
      bytes = bytes + #field.spec
      start_attempt(queue, id, field)
      taken = taken + 1
    end
    gone[#gone + 1] = id
  end
  if #gone > 0 then redis.call("ZREM", waiting_key(lane), unpack(gone)) end
  if heavy and taken == 0 then return taken, heavy end
  local head = redis.call("ZRANGE", waiting_key(lane), 0, 0, "WITHSCORES")
  if not head[1] then
    redis.call("ZREM", lanes_key(queue.name), lane)
  else
    redis.call("ZADD", lanes_key(queue.name), tonumber(head[2]) > now and head[2] or next_turn(), lane)
  end
  return taken, heavy
end

local function claim_from_queue(queue, want)
  local lanes = redis.call("ZRANGEBYSCORE", lanes_key(queue.name), "-inf", "(" .. now + 1, "LIMIT", 0, want)
  local share = math.ceil(want / math.max(1, #lanes))
  local taken, heavy = 0, false
  for _, lane in ipairs(lanes) do
    if taken >= want or heavy then break end
    local got
    got, heavy = claim_from_lane(queue, lane, math.min(share, want - taken))
    taken = taken + got
  end
  if queue.rate_limit and taken > 0 then
    queue.tokens = queue.tokens - taken
    save_tokens(queue)
  end
  if taken > 0 or not heavy then turn_queue(queue) end
  return heavy
end

local function claim_due()
  local names = redis.call("ZRANGEBYSCORE", queues_key, "-inf", "(" .. now + 1, "LIMIT", 0, limit)
  local share = math.ceil(limit / math.max(1, #names))
  for _, name in ipairs(names) do
    local queue = load_queue(name)
    local heavy = claim_from_queue(queue, room_in(queue, math.min(share, limit - #claimed)))
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

return { "ok", claimed, due_in(queues_key) }
