-- Have a name stand for another schedule, or for none, if it still stands for the one that it was read for.
--
-- Returns {"ok"}, or {"changed", id} with the schedule that it stands for now, "" for none.
-- acknowledged
-- flags: allow-oom

-- @include lib/keys

local name = ARGV[1]
local before = ARGV[2] -- a schedule, or "" for none
local after = ARGV[3] -- the same

local current = redis.call("HGET", schedule_names_key, name) or ""
if current ~= before and current ~= after then return { "changed", current } end
if after == "" then
  redis.call("HDEL", schedule_names_key, name)
else
  redis.call("HSET", schedule_names_key, name, after)
end
return { "ok" }
