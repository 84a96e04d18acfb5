-- Turn due ticks of a schedule into jobs and move the schedule on, in one step.
--
-- The tick that the caller believes to be due and the version it read are compared here: of all that fire one tick,
-- one does. This comparison is the whole argument that no tick makes two jobs; no leader is needed for it.
--
-- What `overlap` says about runs that still live is decided once for all ticks of a call: those that are made up for
-- together do not stand in one another's way.
--
-- Returns {"ok", due_in_ms} as enqueue does, or {"already_fired"}.

-- @include lib/cancel
-- @include lib/events
-- @include lib/fence
-- @include lib/rows
-- @include lib/schedule

local id = ARGV[2]
local expected = ARGV[3] -- the tick that is due, ms
local version = ARGV[4]
local next_at = ARGV[5] -- ms, or "" when no tick is to come
local last_at = ARGV[6] -- the newest tick that is run now, or ""
local missed = ARGV[7] -- ticks that were passed over
local overlap = ARGV[8]
local max_runs = tonumber(ARGV[9]) -- nil is no limit
local told_lane = ARGV[10] -- what its runs are, for those who watch: there may be none of them
local told_worker = ARGV[11]
-- Rows from ARGV[12], each: id, lane, timeout_ms, traits, spec

local GIVE_WAY_LIMIT = 100

if not is_due_as(id, expected, version) then return { "already_fired" } end

local function stop(run)
  if run.state == "waiting" then
    cancel_waiting(run, "superseded")
  else
    redis.call("HSET", job_key(run.id), "cancel_requested", "superseded")
  end
end

-- It has been called in vain, and would be called again some time.
local function waits_for_retry(run)
  return run.state == "waiting" and run.attempt > 0 and tonumber(redis.call("HGET", job_key(run.id), "run_at")) > now
end

-- Older runs that have to give way do; returns whether others forbid a new one.
local function is_blocked()
  if overlap == "allow" then return false end
  if overlap == "cancel" then redis.call("DEL", held_key(id)) end -- It was held under another policy.
  for _, run_id in ipairs(redis.call("ZRANGE", live_key(id), 0, GIVE_WAY_LIMIT - 1)) do
    local run = load_attempt(run_id)
    if overlap == "cancel" or waits_for_retry(run) then stop(run) end
  end
  return overlap ~= "cancel" and redis.call("EXISTS", live_key(id)) == 1
end

-- Returns how many of the ticks are run, now or when the runs in their way have ended.
local function make_runs()
  local rows = {}
  for job_id, lane, timeout_ms, traits, spec in each_row(12, 5) do
    rows[#rows + 1] = { job_id, lane, timeout_ms, traits, spec }
  end
  if #rows == 0 then return 0, 0 end
  if is_blocked() then
    local is_held = overlap == "queue" and hold_run(id, unpack(rows[#rows]))
    return is_held and 1 or 0, #rows
  end
  for _, row in ipairs(rows) do
    local job_id, lane, timeout_ms, traits, spec = unpack(row)
    -- A failover may have rolled the schedule back behind a job that it had made.
    if redis.call("EXISTS", job_key(job_id)) == 0 then create_job(job_id, lane, now, timeout_ms, traits, spec) end
  end
  return #rows, #rows
end

local made, wanted = make_runs()
if made > 0 then redis.call("HSET", schedule_key(id), "last_at", last_at) end
local runs = redis.call("HINCRBY", schedule_key(id), "runs", made)
redis.call("HINCRBY", schedule_key(id), "version", 1)
redis.call("HINCRBY", schedule_key(id), "missed", missed)
redis.call("HINCRBY", schedule_key(id), "skipped", wanted - made)
if is_watched() then
  local told = { "schedule", id, "lane", told_lane, "worker", told_worker }
  if made > 0 then tell("schedule.ticked", unpack(told)) end
  local skipped = wanted - made + tonumber(missed)
  if skipped > 0 then tell("schedule.skipped", "skipped", skipped, unpack(told)) end
end
set_next(id, max_runs and runs >= max_runs and "" or next_at)
save_counts()
return { "ok", offer_touched() }
