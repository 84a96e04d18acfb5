-- Move the shard's clock on, as lib/clock_for_dev has it, and the leases of calls in flight with it: the replica that makes them
-- is not silent. Deadlines stay where they are, and may pass.
--
-- Returns {"ok", ahead_ms}, by how much it is ahead of the server's in all.

-- @include lib/fence

local by_ms = tonumber(ARGV[1])

for _, queue in ipairs(redis.call("ZRANGE", deadlines_key, 0, -1)) do
  local running = redis.call("ZRANGE", running_key(queue), 0, -1, "WITHSCORES")
  for at = 1, #running, 2 do
    local job = load_attempt(running[at])
    if job.holder then
      local lease_until = math.min(tonumber(running[at + 1]) + by_ms, job.deadline_at)
      redis.call("ZADD", running_key(queue), lease_until, job.id)
    end
  end
end

return { "ok", redis.call("INCRBY", shard .. ":clock_ahead", by_ms) }
