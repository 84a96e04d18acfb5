-- Read some queues: their settings, and how many of their jobs are in which state.
--
-- Returns {"ok", now, {{{field, value, ...}, {{worker, failures, open_until}, ...}, tally, oldest_due, blocked_until}, ...}} with
-- a row for each queue: the workers that fail and when their jobs are tried again, or -1; what lib/tally tells; and when jobs
-- without a key go on, or "".

-- @include lib/rows
-- @include lib/tally

-- Rows from ARGV[1], each: queue

local function circuits_of(queue)
  local circuits = {}
  local failures = redis.call("HGETALL", failures_key(queue))
  for at = 1, #failures, 2 do
    local open_until = redis.call("ZSCORE", circuits_key(queue), failures[at])
    circuits[#circuits + 1] = { failures[at], tonumber(failures[at + 1]), open_until and tonumber(open_until) or -1 }
  end
  return circuits
end

local found = {}
for queue in each_row(1, 1) do
  local tally, oldest = tally_of(queue)
  local blocked_until = redis.call("HGET", lane_key(queue), "blocked_until")
  found[#found + 1] = { redis.call("HGETALL", queue_key(queue)), circuits_of(queue), tally, oldest,
    tonumber(blocked_until or 0) > now and blocked_until or "" }
end
return { "ok", now, found }
