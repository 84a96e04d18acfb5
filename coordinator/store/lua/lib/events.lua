-- What happens, told to those who watch: a stream that is there only while somebody does, because read_events keeps it on.
-- While nobody does, a script that has something to tell asks once, and writes nothing.

-- @include lib/clock
-- @include lib/keys

local EVENTS_MOST = 4000 -- About; who is further behind is told that he has missed some.
local WATCH_MS = 60000

local watched

local function is_watched()
  if watched == nil then watched = redis.call("EXISTS", events_key) == 1 end
  return watched
end

-- What follows are pairs of a field and a value.
local function tell(kind, ...)
  if not is_watched() then return end
  redis.call("XADD", events_key, "MAXLEN", "~", EVENTS_MOST, "*", "type", kind, "at", now, ...)
end

-- `state` is the shown one that it has come to.
local function tell_job(kind, job, state, ...)
  if not is_watched() then return end
  tell(kind, "job", job.id, "lane", job.lane, "worker", job.worker or "", "attempt", job.attempt, "state", state,
    "schedule", job.schedule or "", "batch", job.batch or "", ...)
end

local function state_of_waiting(run_at, spent)
  if tonumber(run_at) <= now then return "queued" end
  return spent > 0 and "retrying" or "scheduled"
end
