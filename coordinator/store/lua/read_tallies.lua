-- Read how many jobs of some queues are in which state.
--
-- Returns {"ok", now, {{paused, oldest_due, queued, scheduled, retrying, running, succeeded, dead, cancelled}, ...}} with a
-- row for each queue; `paused` is 1 or 0, `oldest_due` as lib/tally has it.

-- @include lib/rows
-- @include lib/tally

-- Rows from ARGV[1], each: queue

local found = {}
for queue in each_row(1, 1) do
  local tally, oldest = tally_of(queue)
  local paused = redis.call("HGET", queue_key(queue), "paused") == "1" and 1 or 0
  found[#found + 1] = { paused, oldest, unpack(tally) }
end
return { "ok", now, found }
