-- A new job.

-- @include lib/erase
-- @include lib/events
-- @include lib/rows
-- @include lib/stats
-- @include lib/waiting

-- The first field of a spec, whose value is a name without quotes or escapes: the rest is never looked into.
local function worker_of(spec) return string.match(spec, '^{"worker":"([^"]*)"') or "" end

-- `traits` are pairs of a field and its value, for what most jobs do not have: `priority`, `cost`, …
local function create_job(id, lane, run_at, timeout_ms, traits, spec)
  local trait = read_pairs(traits)
  for field, value in pairs(trait) do redis.call("HSET", job_key(id), field, value) end
  redis.call("HSET", job_key(id), "state", "waiting", "lane", lane, "attempt", 0, "worker", worker_of(spec),
    "run_at", run_at, "created_at", now, "timeout_ms", timeout_ms, "spec", spec)
  local queue = load_queue(queue_of(lane))
  count(queue.name .. " created")
  if not queue.is_noted then redis.call("SADD", known_queues_key, queue.name) end
  queue.is_noted = true
  for _, index in ipairs(belongings(trait.tags, trait.schedule, trait.batch)) do redis.call("ZADD", index, now, id) end
  if trait.schedule then redis.call("ZADD", live_key(trait.schedule), now, id) end
  if trait.expires_ms then put_expiry(id, run_at + trait.expires_ms) end
  if trait.unique then
    redis.call("SET", unique_key(queue_of(lane), trait.unique), id)
    if trait.unique_ms then redis.call("HSET", job_key(id), "unique_until", string.format("%.0f", now + trait.unique_ms)) end
  end
  put_waiting(id, lane, tonumber(trait.priority or PRIORITY_DEFAULT), run_at, 0)
  if is_watched() then
    local job = { id = id, lane = lane, worker = worker_of(spec), attempt = 0, schedule = trait.schedule, batch = trait.batch }
    tell_job("job.created", job, state_of_waiting(run_at, 0))
  end
end
