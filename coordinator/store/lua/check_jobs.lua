-- Check jobs: each hash is whole, and its job stands in every index that it implies, with the right score.
--
-- That it stands in no other is seen from the indexes (check_indexes). What is missing of a hash is made up so that the job
-- runs: it was accepted. Only what has no spec cannot run, and is erased.
--
-- Returns {"ok", {{kind, key, detail, status}, ...}} with the statuses of lib/findings; "asks" when its spec has to be read.
-- flags: allow-oom

-- @include lib/findings
-- @include lib/places
-- @include lib/rows

-- Rows from ARGV[3], each: id, lane, timeout_ms
-- The lane and the time-out are those of the spec, for a hash that lacks them; else empty.

local function erase_wreck(job)
  leave_all_places(job)
  if not job.queue then redis.call("HDEL", job_key(job.id), "unique") end
  erase_job(job.id)
  redis.call("DEL", job_key(job.id), attempts_key(job.id))
end

-- Returns the job as it is then.
local function fill_gaps(job, lane, timeout_ms)
  local missing = {}
  for _, name in ipairs(job.gaps) do missing[name] = true end
  if missing.lane then
    redis.call("HSET", job_key(job.id), "lane", lane)
    job.lane, job.queue = lane, queue_of(lane)
  end
  leave_all_places(job)
  if missing.timeout_ms then redis.call("HSET", job_key(job.id), "timeout_ms", timeout_ms) end
  if missing.attempt then redis.call("HSET", job_key(job.id), "attempt", 0) end
  if missing.created_at then redis.call("HSET", job_key(job.id), "created_at", now) end
  if missing.finished_at then redis.call("HSET", job_key(job.id), "finished_at", now) end
  local is_lost = missing.attempt and job.state == "running"
  if is_lost or missing.state or missing.started_at or missing.deadline_at or missing.nonce then
    redis.call("HDEL", job_key(job.id), "holder", "deadline_at", "ends_at", "nonce", "started_at", "heard", "finished_at")
    redis.call("HSET", job_key(job.id), "state", "waiting")
  end
  -- What it has stays: one that was begun was due already, and one that was not still waits for its time.
  if missing.run_at then redis.call("HSET", job_key(job.id), "run_at", now) end
  job = load_whole(job.id)
  for _, place in ipairs(places_of(job)) do
    if not place.optional then take_place(job, place) end
  end
  place_wheels_of(job)
  return job
end

-- Returns the job if it is whole, or has been made so.
local function make_whole(job, lane, timeout_ms)
  if #job.gaps == 0 then return job end
  local lacks = "it lacks " .. table.concat(job.gaps, ", ")
  if lane == "" and (not job.lane or not job.timeout_ms) then
    note_for_caller("job_incomplete", job_key(job.id), lacks)
  elseif note("job_incomplete", job_key(job.id), lacks) then
    return fill_gaps(job, lane, timeout_ms)
  end
end

local function check_places(job)
  local is_moved = false
  for _, place in ipairs(places_of(job)) do
    local score = redis.call("ZSCORE", place.key, job.id)
    local is_wrong = false
    if not score then
      is_wrong = not place.optional and note("job_not_in_index", job_key(job.id), "it is " .. job.state .. ", and not in " .. place.key)
    elseif not fits(place, tonumber(score)) then
      is_wrong = note("wrong_score", job_key(job.id), "it stands in " .. place.key .. " at " .. score .. ", not at "
        .. string.format("%.0f", place.score))
    end
    if is_wrong then take_place(job, place) end
    is_moved = is_moved or is_wrong
  end
  if is_moved then place_wheels_of(job) end
end

local function check(id, lane, timeout_ms)
  local job = load_whole(id)
  if not job then return end
  if not has_spec(job) then
    if note("job_without_spec", job_key(id), "it cannot run; what is left of it is erased") then erase_wreck(job) end
    return
  end
  job = make_whole(job, lane, timeout_ms)
  if not job then return end
  if job.holder and job.state ~= "running" and note("holder_of_nothing", job_key(id), "it is " .. job.state .. " and has a holder") then
    redis.call("HDEL", job_key(id), "holder")
  end
  local queue = load_queue(job.queue)
  if queue.is_noted == nil then queue.is_noted = redis.call("SISMEMBER", known_queues_key, job.queue) == 1 end
  if not queue.is_noted and not job.is_erased and note("unknown_queue", known_queues_key, job.queue .. " has jobs and is not listed") then
    redis.call("SADD", known_queues_key, job.queue)
    queue.is_noted = true
  end
  check_places(job)
end

for id, lane, timeout_ms in each_row(3, 3) do try(job_key(id), check, id, lane, timeout_ms) end

try(queues_key, offer_touched)
save_counts()
return { "ok", findings }
