-- Forget a queue: its settings and its name. Only one without jobs can be forgotten.
--
-- Returns {"ok"}, {"invalid_state"} while it has jobs, or {"queue_not_found"}.
-- acknowledged
-- flags: allow-oom

-- @include lib/events
-- @include lib/keys

local name = ARGV[1]

local indexes = { waiting_key(name, PRIORITY_DEFAULT), spread_key(name), running_key(name),
  finished_key("succeeded", name), finished_key("dead", name), finished_key("cancelled", name) }
for _, index in ipairs(indexes) do
  if redis.call("EXISTS", index) == 1 then return { "invalid_state" } end
end
if redis.call("SREM", known_queues_key, name) == 0 then return { "queue_not_found" } end
redis.call("DEL", queue_key(name), lanes_key(name), failures_key(name), circuits_key(name), lane_key(name))
redis.call("ZREM", queues_key, name)
redis.call("ZREM", deadlines_key, name)
tell("queue.deleted", "queue", name)
return { "ok" }
