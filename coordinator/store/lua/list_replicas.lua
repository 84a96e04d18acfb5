-- Read which replicas have said that they live.
--
-- Returns {"ok", now, {replica, said_at, ...}}, those that have been silent for long until another one registers.

-- @include lib/clock

local replicas = KEYS[1] -- zset: replica -> when it last said so

return { "ok", now, redis.call("ZRANGE", replicas, 0, -1, "WITHSCORES") }
