-- Prolong the leases of a replica's calls in flight, each up to its deadline.
--
-- Returns {"ok", {id, ...}, {{id, left_ms}, ...}} with the ids whose attempt is no longer this replica's: settled, lost, or
-- claimed anew; and how long those have left whose function has asked for more time.
-- flags: allow-oom

-- @include lib/clock
-- @include lib/fence
-- @include lib/rows

local holder = ARGV[1]
local lease_ms = tonumber(ARGV[2])
-- Rows from ARGV[3], each: id, attempt, nonce

local gone, extended = {}, {}
local soonest = {} -- queue -> the earliest of its renewed leases

for id, attempt, nonce in each_row(3, 3) do
  local job = load_attempt(id)
  if is_running_as(job, attempt, nonce) and job.holder == holder then
    local lease_until = math.min(now + lease_ms, job.deadline_at)
    redis.call("ZADD", running_key(job.queue), "XX", lease_until, id)
    if job.heard then extended[#extended + 1] = { id, math.max(0, job.ends_at - now) } end
    soonest[job.queue] = math.min(soonest[job.queue] or lease_until, lease_until)
  else
    gone[#gone + 1] = id
  end
end
-- A renewed lease ends sooner than before when the clock has stepped back.
for queue, lease_until in pairs(soonest) do redis.call("ZADD", deadlines_key, "LT", lease_until, queue) end

return { "ok", gone, extended }
