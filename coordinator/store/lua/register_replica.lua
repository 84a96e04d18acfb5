-- Tell that a replica lives, forget those that have not told so for a while, and list those that live.
--
-- Returns {"ok", {replica, ...}} in a fixed order, the same for all that ask.
-- flags: allow-oom

-- @include lib/clock

local replicas = KEYS[1] -- zset: replica -> when it last said so

local replica = ARGV[1]
local ttl_ms = tonumber(ARGV[2]) -- 0: this replica stops

if ttl_ms > 0 then
  redis.call("ZREMRANGEBYSCORE", replicas, "-inf", now - ttl_ms)
  redis.call("ZADD", replicas, now, replica)
else
  redis.call("ZREM", replicas, replica)
end
local living = redis.call("ZRANGE", replicas, 0, -1)
table.sort(living)
return { "ok", living }
