-- Read the attempts whose lease or deadline has passed. They are ended by settle_jobs, like all others.
--
-- Returns {"ok", {{id, attempt, nonce, kind, lost, snoozes, throttles, spec, answered}, ...}, due_in_ms}; `kind` is "lost" when
-- the replica that held the call stopped renewing its lease, "timeout" when the deadline passed.
-- `due_in_ms` is 0 while any are left, else the time to the next, or -1.
-- flags: allow-oom

-- @include lib/fence
-- @include lib/wheel

local limit = tonumber(ARGV[1]) -- jobs, at the most

local expired = {}

local function read_expired(queue)
  local ids = redis.call("ZRANGEBYSCORE", running_key(queue), "-inf", now, "LIMIT", 0, limit - #expired)
  for _, id in ipairs(ids) do
    local job = load_attempt(id)
    if job.holder and job.heard and job.deadline_at > now then
      -- The function has told that it goes on: it needs no replica to hold its call.
      redis.call("HDEL", job_key(id), "holder")
      redis.call("ZADD", running_key(queue), job.deadline_at, id)
    elseif job.state then
      local kind = job.holder and job.deadline_at > now and "lost" or "timeout"
      expired[#expired + 1] = { id, job.attempt, job.nonce, kind, job.lost, job.snoozes, job.throttles,
        redis.call("HGET", job_key(id), "spec"), redis.call("HGET", job_key(id), "answered") or "" }
    else
      redis.call("ZREM", running_key(queue), id)
      touch_queue(queue) -- Its slot is free.
    end
  end
  local head = redis.call("ZRANGE", running_key(queue), 0, 0, "WITHSCORES")
  if head[1] then
    redis.call("ZADD", deadlines_key, head[2], queue)
  else
    redis.call("ZREM", deadlines_key, queue)
  end
end

for _, queue in ipairs(redis.call("ZRANGEBYSCORE", deadlines_key, "-inf", now, "LIMIT", 0, limit)) do
  read_expired(queue)
  if #expired >= limit then break end
end

offer_touched()
return { "ok", expired, due_in(deadlines_key) }
