-- A batch: jobs, of any queues, whose end is waited for together. It lives in the shard that its id names; the jobs' shards
-- tell it of their ends through their outboxes, at least once, so each end is counted by the job's id.

-- @include lib/clock
-- @include lib/keys

local KEPT_MS = 86400000 -- once it is complete
local UNSEALED_MS = 604800000 -- of which nobody ever said that it has all its jobs

local function keep_for(id, ms)
  for _, key in ipairs({ batch_key(id), left_key(id), done_key(id) }) do redis.call("PEXPIRE", key, ms) end
end

-- A set begins to exist when it is first written to, after the batch was given its time: it goes when the batch does.
local function keep_with_batch(id)
  local ms = redis.call("PTTL", batch_key(id))
  if ms > 0 then keep_for(id, ms) end
end

local function complete_if_done(id)
  local sealed, completed_at = unpack(redis.call("HMGET", batch_key(id), "sealed", "completed_at"))
  if not sealed or completed_at or redis.call("EXISTS", left_key(id)) == 1 then return end
  redis.call("HSET", batch_key(id), "completed_at", now)
  redis.call("ZADD", outbox_key, now, "batch:" .. id)
  keep_for(id, KEPT_MS)
end
