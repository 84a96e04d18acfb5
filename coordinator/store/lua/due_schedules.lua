-- Read the schedules whose tick has come.
--
-- Returns {"ok", now, {{id, tick, version, runs, record}, ...}}.
-- flags: allow-oom

-- @include lib/clock
-- @include lib/keys

local limit = tonumber(ARGV[1])

local due = {}
local entries = redis.call("ZRANGEBYSCORE", schedules_key, "-inf", now, "WITHSCORES", "LIMIT", 0, limit)
for at = 1, #entries, 2 do
  local field = redis.call("HMGET", schedule_key(entries[at]), "version", "runs", "record")
  if field[3] then
    due[#due + 1] = { entries[at], tonumber(entries[at + 1]), field[1], tonumber(field[2] or 0), field[3] }
  else
    redis.call("ZREM", schedules_key, entries[at])
  end
end
return { "ok", now, due }
