-- Check indexes, each from a cursor on: every member is a job or a schedule that belongs there, and the wheel above it is
-- not late.
--
-- Returns {"ok", {{kind, key, detail, status}, ...}, {cursor, ...}, members} with the statuses of lib/findings; where each row
-- goes on, "" at its end, and how many members were looked at. About fifty are, whatever the rows.
-- flags: allow-oom

-- @include lib/lateness
-- @include lib/places
-- @include lib/rows

-- Rows from ARGV[3], each: kind, name, cursor

local STEP = 50

local members, left = 0, STEP

-- Lua allows two hundred locals at a time: what only one function needs is gone behind it.

local check_member
do
  -- What is left of a job in an index that its hash does not name.
  local function remove(key, kind, name, id)
    if kind == "live" then
      end_run(name, id)
    else
      redis.call("ZREM", key, id)
    end
    if kind == "running" then touch_queue(name) end
    if kind == "busy" or string.find(kind, "^waiting") then touch_lane(name) end
  end

  local OF_STATE = { waiting = true, running = true, succeeded = true, dead = true, cancelled = true, spread = true,
    retrying = true, busy = true, expiries = true, outbox = true }

  local function has_place(job, key, kind, name)
    -- What a job belongs to is so whatever its state.
    if #job.gaps > 0 and kind == "live" then return job.schedule == name end
    if #job.gaps > 0 then
      if OF_STATE[string.match(kind, "%a+")] then return true end -- It leaves them all where the jobs are put right.
      for _, index in ipairs(belongings(job.tags, job.schedule, job.batch)) do
        if index == key then return true end
      end
      return false
    end
    for _, place in ipairs(places_of(job)) do
      if place.key == key then return true end
    end
    return false
  end

  local function check_job(key, kind, name, id)
    if kind == "outbox" and string.find(id, "^batch:") then return end
    local job = load_whole(id)
    if job and (has_place(job, key, kind, name) or not has_spec(job)) then return end
    local word = (kind == "running" or kind == "busy") and "slot_without_job" or job and "job_in_two_indexes" or "entry_without_job"
    local detail = id .. (job and " is " .. (job.state or "in no state") .. " in " .. (job.lane or "no lane") or " does not exist")
    if note(word, key, detail) then remove(key, kind, name, id) end
  end

  local function check_lane_entry(key, _, _, lane)
    for priority = 0, 9 do
      if redis.call("EXISTS", waiting_key(lane, priority)) == 1 then return end
    end
    if note("lane_without_job", key, "nothing waits in " .. lane) then redis.call("ZREM", key, lane) end
  end

  local function check_schedule_entry(key, _, _, id)
    if redis.call("EXISTS", schedule_key(id)) == 0 and note("entry_without_schedule", key, id .. " does not exist") then
      redis.call("ZREM", key, id)
    end
  end

  local OTHERS = { lanes = check_lane_entry, schedules = check_schedule_entry, schedule_ids = check_schedule_entry }

  function check_member(key, kind, name, id) return (OTHERS[kind] or check_job)(key, kind, name, id) end
end

local check_above
do
  local function check_line(lane, priority)
    local queue = load_queue(queue_of(lane))
    local key = waiting_key(lane, priority)
    if redis.call("EXISTS", key) == 0 then return end
    local first, is_open = nil, false
    for _, open in ipairs(queue.lines) do
      is_open = is_open or open == priority
      if not first and redis.call("EXISTS", waiting_key(lane, open)) == 1 then first = open end
    end
    if not is_open and note("unknown_line", queue_key(queue.name), "jobs wait in " .. key .. ", which no claim looks into") then
      open_line(queue, priority)
      touch_lane(lane)
    end
    if priority == first then check_lane(lane) end -- Once for all its lines.
  end

  function check_above(kind, name)
    if string.find(kind, "^waiting") then
      check_line(name, tonumber(string.sub(kind, 8)) or PRIORITY_DEFAULT)
    elseif kind == "lanes" then
      check_queue(name)
    elseif kind == "running" then
      check_deadline(name)
    elseif kind == "succeeded" or kind == "dead" or kind == "cancelled" then
      check_purge(kind, name)
    end
  end
end

-- Returns where to go on, "" at the end.
local function walk(key, kind, name, cursor)
  local found = redis.call("ZSCAN", key, cursor, "COUNT", STEP)
  for at = 1, #found[2], 2 do try(key, check_member, key, kind, name, found[2][at]) end
  members = members + #found[2] / 2
  left = left - #found[2] / 2 - 1 -- Indexes of one member each are not for nothing either.
  return found[1] == "0" and "" or found[1]
end

local cursors = {}
for kind, name, cursor in each_row(3, 3) do
  if left > 0 then
    local key, after = key_of(kind, name), ""
    if cursor == "0" then try(key, check_above, kind, name) end
    try(key, function() after = walk(key, kind, name, cursor) end)
    cursor = after
  end
  cursors[#cursors + 1] = cursor
end

try(queues_key, offer_touched)
save_counts()
return { "ok", findings, cursors, members }
