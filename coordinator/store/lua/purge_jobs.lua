-- Erase finished jobs that are past their age or beyond their number.
--
-- Returns {"ok", purged, due_in_ms}; `due_in_ms` is 0 while more are to be purged.
-- flags: allow-oom

-- @include lib/finish
-- @include lib/wheel

local limit = tonumber(ARGV[2]) -- jobs, at the most

local purged = 0

local function purge(state, queue, most)
  local index = finished_key(state, queue)
  local keep = retention_of(state, queue)
  local old = redis.call("ZRANGEBYSCORE", index, "-inf", now - keep.age_ms, "LIMIT", 0, most)
  local excess = math.min(most, redis.call("ZCARD", index) - keep.count)
  if excess > #old then old = redis.call("ZRANGE", index, 0, excess - 1) end
  for _, id in ipairs(old) do erase_job(id) end
  if #old > 0 then redis.call("ZREM", index, unpack(old)) end
  local head = redis.call("ZRANGE", index, 0, 0, "WITHSCORES")
  local name = state .. ":" .. queue
  if not head[1] then
    redis.call("ZREM", purges_key, name)
  else
    local more = redis.call("ZCARD", index) > keep.count
    redis.call("ZADD", purges_key, more and now or purge_instant(tonumber(head[2]), keep.age_ms), name)
  end
  return #old
end

for _, name in ipairs(redis.call("ZRANGEBYSCORE", purges_key, "-inf", now, "LIMIT", 0, limit)) do
  if purged >= limit then break end
  local state, queue = string.match(name, "^(%a+):(.+)$")
  purged = purged + purge(state, queue, limit - purged)
end

return { "ok", purged, due_in(purges_key) }
