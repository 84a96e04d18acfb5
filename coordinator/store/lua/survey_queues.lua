-- Read what all queues of the shard are like, in figures.
--
-- Returns {"ok", {{queue, {queued, scheduled, retrying, running, succeeded, dead, cancelled}, oldest_due_ms, paused, {worker,
-- ...}}, ...}, unlisted} with the workers whose jobs wait because it fails; `oldest_due_ms` is for how long the oldest has been
-- due, or -1; `unlisted` is how many queues were too many.

-- @include lib/census

local limit = tonumber(ARGV[1]) -- queues, at the most

local CIRCUITS_MOST = 20

local count = redis.call("SCARD", known_queues_key)
-- The same ones for all that ask: the order of a set is its server's own.
local names = count <= limit and redis.call("SMEMBERS", known_queues_key)
  or redis.call("SSCAN", known_queues_key, 0, "COUNT", limit)[2]

local figures = {}
for at = 1, math.min(#names, limit) do
  local queue = names[at]
  local counts, oldest = count_jobs(queue)
  local paused = redis.call("HEXISTS", queue_key(queue), "paused")
  figures[at] = { queue, counts, oldest and math.max(0, now - oldest) or -1, paused,
    redis.call("ZRANGE", circuits_key(queue), 0, CIRCUITS_MOST - 1) }
end

return { "ok", figures, count - #figures }
