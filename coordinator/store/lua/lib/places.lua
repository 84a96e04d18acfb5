-- Where a job stands: every index that its hash implies, with its score there. The hash is what counts; all else follows.

-- @include lib/fence
-- @include lib/finish
-- @include lib/running

local STATES = { waiting = true, running = true, succeeded = true, dead = true, cancelled = true }

-- The fields of a job's hash without which nobody can tell what it is to do.
local function gaps_of(job)
  local gaps = {}
  if not STATES[job.state] then gaps[1] = "state" end
  if not job.queue then gaps[#gaps + 1] = "lane" end
  -- One that runs is in its first attempt at least: of what was never begun no end would be accepted.
  if (job.attempt or -1) < (job.state == "running" and 1 or 0) then gaps[#gaps + 1] = "attempt" end
  if not job.run_at then gaps[#gaps + 1] = "run_at" end
  if not job.created_at then gaps[#gaps + 1] = "created_at" end
  if not job.timeout_ms then gaps[#gaps + 1] = "timeout_ms" end
  if job.state == "running" then
    if not job.nonce then gaps[#gaps + 1] = "nonce" end
    if not job.started_at then gaps[#gaps + 1] = "started_at" end
    if not job.deadline_at then gaps[#gaps + 1] = "deadline_at" end
  elseif job.state ~= "waiting" and STATES[job.state] and not job.finished_at then
    gaps[#gaps + 1] = "finished_at"
  end
  return gaps
end

-- As `load_attempt` gives it, and what else says where it belongs; nil when there is no such job. With `gaps` nothing else of
-- it is to be relied on.
local function load_whole(id)
  local field = redis.call("HMGET", job_key(id), "state", "lane", "attempt", "run_at", "created_at", "timeout_ms", "started_at",
    "deadline_at", "finished_at", "expires_at", "snoozes", "throttles", "nonce", "holder", "priority", "schedule", "tags",
    "batch", "is_erased")
  if not field[1] and redis.call("EXISTS", job_key(id)) == 0 then return nil end
  local job = { id = id, state = field[1], lane = field[2], attempt = tonumber(field[3] or nil), run_at = tonumber(field[4] or nil),
    created_at = tonumber(field[5] or nil), timeout_ms = tonumber(field[6] or nil), started_at = tonumber(field[7] or nil),
    deadline_at = tonumber(field[8] or nil), finished_at = tonumber(field[9] or nil), expires_at = tonumber(field[10] or nil),
    snoozes = tonumber(field[11] or 0), throttles = tonumber(field[12] or 0), nonce = field[13], holder = field[14],
    priority = tonumber(field[15] or PRIORITY_DEFAULT), schedule = field[16], tags = field[17], batch = field[18],
    is_erased = field[19] == "1" }
  job.queue = job.lane and queue_of(job.lane)
  job.gaps = gaps_of(job)
  return job
end

local function has_spec(job) return redis.call("HSTRLEN", job_key(job.id), "spec") > 0 end

local function is_live(job) return job.state == "waiting" or job.state == "running" end

local function add_waiting_places(places, job)
  places[1] = { key = waiting_key(job.lane, job.priority), score = job.run_at }
  if is_spread(job.lane, job.priority) then places[#places + 1] = { key = spread_key(job.queue), score = job.run_at } end
  if job.attempt > 0 then places[#places + 1] = { key = retrying_key(job.queue), score = job.run_at } end
  if job.expires_at and never_called(job) then places[#places + 1] = { key = expiries_key, score = job.expires_at } end
end

local function add_running_places(places, job)
  -- A lease ends before the deadline, and nobody else knows when; without a holder there is none.
  places[1] = { key = running_key(job.queue), score = job.deadline_at, or_sooner = job.holder ~= false }
  if is_keyed(job.lane) then places[2] = { key = busy_key(job.lane), score = job.started_at } end
end

-- A list of {key, score}: a place without a score may have any, one that is `optional` need not be taken.
local function places_of(job)
  local places = {}
  if job.state == "waiting" then
    add_waiting_places(places, job)
  elseif job.state == "running" then
    add_running_places(places, job)
  else
    if not job.is_erased then places[1] = { key = finished_key(job.state, job.queue), score = job.finished_at } end
    -- Others are told of its end once, and then no more; one that is to be erased waits for that.
    places[#places + 1] = { key = outbox_key, optional = not job.is_erased }
  end
  if job.schedule and is_live(job) then places[#places + 1] = { key = live_key(job.schedule) } end
  if not (job.tags or job.schedule or job.batch) then return places end
  for _, index in ipairs(belongings(job.tags, job.schedule, job.batch)) do
    places[#places + 1] = { key = index, score = job.created_at }
  end
  return places
end

local function fits(place, score)
  return not place.score or score == place.score or (place.or_sooner and score < place.score)
end

local HELD_MS = 10000 -- Whoever holds the call renews the lease well within this.

local function take_place(job, place)
  local score = place.score or (place.key == outbox_key and now) or job.created_at
  if place.or_sooner then score = math.min(score, now + HELD_MS) end
  redis.call("ZADD", place.key, string.format("%.0f", score), job.id)
end

-- The wheels follow where a job has been put.
local function place_wheels_of(job)
  if job.state == "waiting" then
    open_line(load_queue(job.queue), job.priority)
    touch_lane(job.lane)
  elseif job.state == "running" then
    redis.call("ZADD", deadlines_key, "LT", redis.call("ZSCORE", running_key(job.queue), job.id), job.queue)
  elseif not job.is_erased then
    local due_at = purge_instant(job.finished_at, retention_of(job.state, job.queue).age_ms)
    redis.call("ZADD", purges_key, "LT", due_at, job.state .. ":" .. job.queue)
  end
end

-- It stands nowhere any more, wherever it stood. What has no lane is found from the indexes.
local function leave_all_places(job)
  redis.call("ZREM", expiries_key, job.id)
  redis.call("ZREM", outbox_key, job.id)
  if job.schedule then redis.call("ZREM", live_key(job.schedule), job.id) end
  if not job.queue then return end
  for priority = 0, 9 do redis.call("ZREM", waiting_key(job.lane, priority), job.id) end
  redis.call("ZREM", spread_key(job.queue), job.id)
  redis.call("ZREM", retrying_key(job.queue), job.id)
  redis.call("ZREM", busy_key(job.lane), job.id)
  redis.call("ZREM", running_key(job.queue), job.id)
  for _, state in ipairs({ "succeeded", "dead", "cancelled" }) do redis.call("ZREM", finished_key(state, job.queue), job.id) end
  touch_lane(job.lane)
end
