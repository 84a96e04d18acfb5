-- Read a queue: its settings and how many jobs are in which state.
--
-- Returns {"ok", now, {field, value, ...}, {{worker, failures, open_until}, ...}, queued, scheduled, retrying, running,
-- succeeded, dead, cancelled, oldest_due, blocked_until} with the workers that fail and when their jobs are tried again, or
-- -1; `oldest_due` is the run-at of the oldest job that is due, `blocked_until` when jobs without a key go on, or "".

-- @include lib/census

local queue = ARGV[1]

local counts, oldest = count_jobs(queue)
local blocked_until = redis.call("HGET", lane_key(queue), "blocked_until")

local circuits = {}
local failures = redis.call("HGETALL", failures_key(queue))
for at = 1, #failures, 2 do
  local open_until = redis.call("ZSCORE", circuits_key(queue), failures[at])
  circuits[#circuits + 1] = { failures[at], tonumber(failures[at + 1]), open_until and tonumber(open_until) or -1 }
end

local queued, scheduled, retrying, running, succeeded, dead, cancelled = unpack(counts)
return { "ok", now, redis.call("HGETALL", queue_key(queue)), circuits, queued, scheduled, retrying, running, succeeded, dead,
  cancelled, oldest and string.format("%.0f", oldest) or "",
  tonumber(blocked_until or 0) > now and blocked_until or "" }
