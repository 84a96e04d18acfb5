-- Move the shard's clock on, as lib/clock_for_dev has it, and the leases of calls in flight with it: the replica that makes them
-- is not silent. Deadlines stay where they are, and may pass. It is told where to, not by how much: repeated, it moves nothing.
--
-- Returns {"ok"}.
-- flags: allow-oom

-- @include lib/fence

local ahead_ms = tonumber(ARGV[1]) -- of the server's clock, in all

local by_ms = ahead_ms - tonumber(redis.call("GET", shard .. ":clock_ahead") or 0)
if by_ms <= 0 then return { "ok" } end

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

redis.call("SET", shard .. ":clock_ahead", string.format("%.0f", ahead_ms))
return { "ok" }
