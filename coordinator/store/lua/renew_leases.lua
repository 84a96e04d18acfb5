-- Prolong the leases of a replica's calls in flight, each up to its deadline.
--
-- Returns {"ok", {id, ...}, {{id, left_ms}, ...}} with the ids whose attempt is no longer this replica's: settled, lost, or
-- claimed anew; and how long those have left whose function has told that it goes on.
-- flags: allow-oom

-- @include lib/clock
-- @include lib/fence
-- @include lib/rows

local holder = ARGV[1]
local lease_ms = tonumber(ARGV[2])
-- Rows from ARGV[3], each: id, attempt, nonce

local gone, extended = {}, {}
local soonest = {} -- queue -> the earliest of its renewed leases

local function renew(job)
  local lease_until = math.min(now + lease_ms, job.deadline_at)
  redis.call("ZADD", running_key(job.queue), "XX", lease_until, job.id)
  soonest[job.queue] = math.min(soonest[job.queue] or lease_until, lease_until)
end

for id, attempt, nonce in each_row(3, 3) do
  local job = load_attempt(id)
  local is_held = job.holder == holder
  -- Without a holder it was left to its function, which goes on, and may still answer the call.
  local goes_on = job.heard and (is_held or not job.holder)
  if not is_running_as(job, attempt, nonce) or not (is_held or goes_on) then
    gone[#gone + 1] = id
  else
    if goes_on then extended[#extended + 1] = { id, math.max(0, job.ends_at - now) } end
    if is_held then renew(job) end
  end
end
-- A renewed lease ends sooner than before when the clock has stepped back.
for queue, lease_until in pairs(soonest) do redis.call("ZADD", deadlines_key, "LT", lease_until, queue) end

return { "ok", gone, extended }
