-- Check what is neither a job nor one of its indexes: each key belongs to something, says what it has to, and goes when it has
-- a time to.
--
-- Returns {"ok", {{kind, key, detail, status}, ...}} with the statuses of lib/findings; "asks" for a schedule whose next tick
-- has to be computed.
-- flags: allow-oom

-- @include lib/batch
-- @include lib/circuit
-- @include lib/findings
-- @include lib/rows
-- @include lib/runs
-- @include lib/schedule

-- Rows from ARGV[3], each: kind, name

local DAY_MS = 86400000
local MINUTE_MS = 60000

local function check_log(key, id)
  redis.call("LLEN", key) -- An error, if it is no list.
  if redis.call("EXISTS", job_key(id)) == 0 and note("orphaned_attempts", key, "there is no such job") then redis.call("DEL", key) end
end

local function check_lane_hash(key, name)
  if redis.call("PTTL", key) ~= -1 or redis.call("HEXISTS", key, "paused") == 1 then return end
  if note("never_expires", key, "it has no time to live, and is not paused") then save_lane(load_lane(name)) end
end

local function check_queue_hash(key, name)
  if redis.call("SISMEMBER", known_queues_key, name) == 1 then return end
  if note("unknown_queue", key, "it is not listed") then redis.call("SADD", known_queues_key, name) end
end

-- A handle that is kept beyond its job has a time to live.
local function check_handle(key, name)
  local id = redis.call("GET", key)
  if redis.call("PTTL", key) ~= -1 then return end
  local lane, handle = unpack(redis.call("HMGET", job_key(id), "lane", "unique"))
  if lane and handle and queue_of(lane) .. "#" .. handle == name then return end
  if note("handle_without_job", key, id .. " has it no more") then redis.call("DEL", key) end
end

local function check_held(key, schedule)
  if redis.call("EXISTS", live_key(schedule)) == 1 then return end
  if note("held_for_nothing", key, "no run of the schedule lives that it could wait for") then begin_held(schedule) end
end

local function erase_schedule(key, id)
  redis.call("ZREM", schedules_key, id)
  redis.call("ZREM", schedule_ids_key, id)
  redis.call("DEL", key)
end

-- When a schedule is to be looked at next follows from its record alone while it fires.
local function check_next(key, id, paused, ended_at)
  local score = redis.call("ZSCORE", schedules_key, id)
  local wanted = paused and "inf" or ended_at and string.format("%.0f", ended_at + ENDED_KEPT_MS)
  if not wanted and (not score or score == "inf") then
    note_for_caller("schedule_without_tick", key, score and "it is not paused, and waits for ever" or "it is not in " .. schedules_key)
  elseif wanted and (not score or tonumber(score) ~= tonumber(wanted)) then
    local detail = "it stands in " .. schedules_key .. " at " .. (score or "nothing") .. ", not at " .. wanted
    if note("wrong_score", key, detail) then redis.call("ZADD", schedules_key, wanted, id) end
  end
end

local function check_schedule(key, id)
  local record, version, created_at, paused, ended_at =
    unpack(redis.call("HMGET", key, "record", "version", "created_at", "paused", "ended_at"))
  if not record then
    if note("schedule_without_record", key, "it cannot fire; what is left of it is erased") then erase_schedule(key, id) end
    return
  end
  if not (tonumber(version or nil) and tonumber(created_at or nil)) and note("schedule_incomplete", key, "it lacks a number") then
    if not tonumber(version or nil) then redis.call("HSET", key, "version", 1) end
    if not tonumber(created_at or nil) then redis.call("HSET", key, "created_at", now) end
  end
  if not redis.call("ZSCORE", schedule_ids_key, id) and note("schedule_not_listed", key, "it is not in " .. schedule_ids_key) then
    redis.call("ZADD", schedule_ids_key, 0, id)
  end
  check_next(key, id, paused, ended_at)
end

local function check_batch(key, id)
  local field = redis.call("HMGET", key, "sealed", "completed_at", "succeeded", "dead", "cancelled")
  local sealed, completed_at = field[1], field[2]
  local left, done = redis.call("SCARD", left_key(id)), redis.call("SCARD", done_key(id))
  local counted = tonumber(field[3] or 0) + tonumber(field[4] or 0) + tonumber(field[5] or 0)
  if counted ~= done then note_as_open("wrong_count", key, "it has counted " .. counted .. " jobs, and knows " .. done) end
  if sealed and not completed_at then
    if redis.call("PTTL", key) ~= -1 and note("batch_expires", key, "it waits for its jobs, and would go before them") then
      for _, part in ipairs({ key, left_key(id), done_key(id) }) do redis.call("PERSIST", part) end
    end
    if left == 0 and note("batch_not_completed", key, "all of its jobs have ended") then complete_if_done(id) end
  elseif redis.call("PTTL", key) == -1 and note("never_expires", key, "it has no time to live") then
    keep_for(id, completed_at and KEPT_MS or UNSEALED_MS)
  end
end

local function check_members(key, batch)
  if redis.call("EXISTS", batch_key(batch)) == 0 and note("orphaned_members", key, "there is no such batch") then redis.call("DEL", key) end
end

local CHECKS = {
  attempts = check_log,
  lane = check_lane_hash,
  queue = check_queue_hash,
  unique = check_handle,
  held = check_held,
  schedule = check_schedule,
  batch = check_batch,
  left = check_members,
  done = check_members,
  idempotency = function(key) note_if_kept_for_ever(key, DAY_MS) end,
  failures = function(key) note_if_kept_for_ever(key, FORGOTTEN_MS) end,
  circuits = function(key) note_if_kept_for_ever(key, FORGOTTEN_MS) end,
  events = function(key) note_if_kept_for_ever(key, WATCH_MS) end,
  stats = function(key) note_if_kept_for_ever(key, STATS_KEPT_MS) end,
  -- Whoever holds it keeps it on; nobody else should wait for it for long.
  claim = function(key) note_if_kept_for_ever(key, MINUTE_MS) end,
  leader = function(key) note_if_kept_for_ever(key, MINUTE_MS) end,
}

for kind, name in each_row(3, 2) do
  local key = key_of(kind, name)
  if redis.call("EXISTS", key) == 1 then try(key, CHECKS[kind], key, name) end
end

try(queues_key, offer_touched)
save_counts()
return { "ok", findings }
