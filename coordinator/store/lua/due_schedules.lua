-- Read the schedules whose tick has come, and those that have ended long enough ago to be forgotten.
--
-- Returns {"ok", now, {{id, tick, version, runs, record}, ...}, {id, ...}}.
-- flags: allow-oom

-- @include lib/clock
-- @include lib/keys

local limit = tonumber(ARGV[1])

local due, ended = {}, {}
local entries = redis.call("ZRANGEBYSCORE", schedules_key, "-inf", now, "WITHSCORES", "LIMIT", 0, limit)
for at = 1, #entries, 2 do
  local id, tick = entries[at], tonumber(entries[at + 1])
  local version, runs, record, ended_at = unpack(redis.call("HMGET", schedule_key(id), "version", "runs", "record", "ended_at"))
  if not record then
    redis.call("ZREM", schedules_key, id)
    redis.call("ZREM", schedule_ids_key, id)
  elseif ended_at then
    ended[#ended + 1] = id
  else
    due[#due + 1] = { id, tick, version, tonumber(runs or 0), record }
  end
end
return { "ok", now, due, ended }
