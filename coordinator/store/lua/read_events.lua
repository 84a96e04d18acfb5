-- Watch what happens for a minute more, and read what has happened behind a place.
--
-- Returns {"ok", missed, place, {{place, {field, value, ...}}, ...}} with the place to go on from. `missed` is 1 when what stands
-- at the place that was asked for is not kept any more, so that nobody knows what came behind it: then nothing is read.
-- flags: allow-oom

-- @include lib/events

local after = ARGV[1] -- a place, or "" for behind the newest
local limit = tonumber(ARGV[2])

-- The first entry is there so that there is a place before all that is told.
if not is_watched() then redis.call("XADD", events_key, "*", "type", "watched", "at", now) end
if redis.call("PTTL", events_key) < WATCH_MS / 2 then redis.call("PEXPIRE", events_key, WATCH_MS) end

local found = after == "" and {} or redis.call("XRANGE", events_key, after, "+", "COUNT", limit + 1)
if found[1] and found[1][1] == after then
  table.remove(found, 1)
  return { "ok", 0, found[1] and found[#found][1] or after, found }
end
return { "ok", after == "" and 0 or 1, redis.call("XREVRANGE", events_key, "+", "-", "COUNT", 1)[1][1], {} }
