-- Write a schedule. A new version makes any fire that was computed from the old one void.
--
-- Returns {"ok", version}.

-- @include lib/clock
-- @include lib/keys

local id = ARGV[1]
local record = ARGV[2] -- JSON
local next_at = ARGV[3] -- ms, or "inf" when there is no further tick

local version = redis.call("HINCRBY", schedule_key(id), "version", 1)
redis.call("HSET", schedule_key(id), "record", record)
redis.call("HSETNX", schedule_key(id), "created_at", now)
redis.call("ZADD", schedules_key, next_at, id)
return { "ok", version }
