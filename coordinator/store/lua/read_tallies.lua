-- Read how many jobs of some queues are in which state.
--
-- Returns {"ok", now, {{paused, oldest_due, {worker, ...}, queued, scheduled, retrying, running, succeeded, dead, cancelled},
-- ...}} with a row for each queue; `paused` is 1 or 0, `oldest_due` as lib/tally has it, and the workers are those whose jobs
-- wait because they fail.

-- @include lib/rows
-- @include lib/tally

-- Rows from ARGV[1], each: queue

local CIRCUITS_MOST = 20

local found = {}
for queue in each_row(1, 1) do
  local tally, oldest = tally_of(queue)
  local paused = redis.call("HGET", queue_key(queue), "paused") == "1" and 1 or 0
  local circuits = redis.call("ZRANGE", circuits_key(queue), 0, CIRCUITS_MOST - 1)
  found[#found + 1] = { paused, oldest, circuits, unpack(tally) }
end
return { "ok", now, found }
