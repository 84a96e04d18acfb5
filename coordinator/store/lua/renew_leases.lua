-- Prolong the leases of a replica's calls in flight, each up to its deadline.
--
-- Returns {"ok", {id, ...}} with the ids whose attempt is no longer this replica's: settled, lost, or claimed anew.
-- flags: allow-oom

-- @include lib/clock
-- @include lib/fence
-- @include lib/rows

local holder = ARGV[1]
local lease_ms = tonumber(ARGV[2])
-- Rows from ARGV[3], each: id, attempt, nonce

local gone = {}
for id, attempt, nonce in each_row(3, 3) do
  local job = load_attempt(id)
  if is_running_as(job, attempt, nonce) and job.holder == holder then
    redis.call("ZADD", running_key(job.queue), "XX", math.min(now + lease_ms, job.deadline_at), id)
  else
    gone[#gone + 1] = id
  end
end

return { "ok", gone }
