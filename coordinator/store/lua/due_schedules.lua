-- Read the schedules whose tick has come, and those that have ended long enough ago to be forgotten.
--
-- Returns {"ok", now, {{id, tick, version, runs, record}, ...}, {id, ...}}.
-- flags: allow-oom

-- @include lib/schedule

local limit = tonumber(ARGV[1])

local due, ended = {}, {}
for _, id in ipairs(redis.call("ZRANGEBYSCORE", schedules_key, "-inf", now, "LIMIT", 0, limit)) do
  local version, runs, record, ended_at = unpack(redis.call("HMGET", schedule_key(id), "version", "runs", "record", "ended_at"))
  if not record then
    redis.call("ZREM", schedules_key, id)
    redis.call("ZREM", schedule_ids_key, id)
  elseif ended_at then
    ended[#ended + 1] = id
  else
    due[#due + 1] = { id, tick_of(id), version, tonumber(runs or 0), record }
  end
end
return { "ok", now, due, ended }
