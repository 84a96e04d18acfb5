-- Final states: kept for a time and up to a number, then purged.
--
-- Each job that finishes beyond the number pushes out the oldest, two at a time so that a lowered number is reached,
-- so memory is bounded at every moment. Age is the purge's.

-- @include lib/runs
-- @include lib/stats

local retention = ARGV[1] -- defaults as `succeeded_age succeeded_count dead_age dead_count cancelled_age cancelled_count`, ms

local retention_of
do
  local DEFAULT_RETENTION = {}
  local number = string.gmatch(retention, "%d+")
  for _, state in ipairs({ "succeeded", "dead", "cancelled" }) do
    DEFAULT_RETENTION[state] = { age_ms = tonumber(number()), count = tonumber(number()) }
  end

  local known_retention = {}

  function retention_of(state, queue)
    local name = state .. ":" .. queue
    if not known_retention[name] then
      local own = redis.call("HMGET", queue_key(queue), state .. "_age_ms", state .. "_count")
      known_retention[name] = {
        age_ms = tonumber(own[1] or DEFAULT_RETENTION[state].age_ms),
        count = tonumber(own[2] or DEFAULT_RETENTION[state].count),
      }
    end
    return known_retention[name]
  end
end

-- On a whole second, so that what finishes together is purged together.
local function purge_instant(finished_at, age_ms) return math.ceil((finished_at + age_ms) / 1000) * 1000 end

-- `job` is as `load_attempt` gives it. Its hash must be whole by now: with a number of 0 it is gone when this returns.
local function finish_job(job, state)
  local id, queue = job.id, job.queue
  if state ~= "succeeded" then count(queue .. " " .. state) end
  if job.notify then redis.call("ZADD", outbox_key, now, id) end
  if job.schedule then end_run(job.schedule, id) end
  local index = finished_key(state, queue)
  local keep = retention_of(state, queue)
  redis.call("ZADD", index, now, id)
  redis.call("ZADD", purges_key, "LT", purge_instant(now, keep.age_ms), state .. ":" .. queue)
  local excess = math.min(2, redis.call("ZCARD", index) - keep.count)
  if excess > 0 then
    local popped = redis.call("ZPOPMIN", index, excess)
    for at = 1, #popped, 2 do erase_job(popped[at]) end
  end
end
