-- A schedule: its record, when it fires next, and what it has done.

-- @include lib/clock
-- @include lib/keys

local ENDED_KEPT_MS = 604800000 -- It can be read for a week, or there would in the end be no end of them.

-- `next_at` is in ms, or "" when no tick is to come.
local function set_next(id, next_at)
  redis.call("HDEL", schedule_key(id), "put_off_tick")
  if next_at == "" then
    redis.call("HSETNX", schedule_key(id), "ended_at", now)
    next_at = redis.call("HGET", schedule_key(id), "ended_at") + ENDED_KEPT_MS
  else
    redis.call("HDEL", schedule_key(id), "ended_at")
  end
  redis.call("ZADD", schedules_key, next_at, id)
end

-- The tick that is to come or due, as text: the score, unless that only says when to look again. False when there is none.
local function tick_text(id)
  return redis.call("HGET", schedule_key(id), "put_off_tick") or redis.call("ZSCORE", schedules_key, id)
end

local function tick_of(id) return tonumber(tick_text(id) or nil) end

-- Whether a schedule is still as it was when somebody found that tick due.
local function is_due_as(id, tick, version)
  return tick_of(id) == tonumber(tick) and redis.call("HGET", schedule_key(id), "version") == version
end

-- {id, next_at, held, {field, value, ...}}, nil when there is no such schedule; `next_at` is "inf" while it is paused, and
-- `held` the run that waits for others to end, or "".
local function schedule_view(id)
  local fields = redis.call("HGETALL", schedule_key(id))
  if #fields == 0 then return nil end
  local held = redis.call("HGET", held_key(id), "id")
  return { id, tick_text(id) or "inf", held or "", fields }
end
