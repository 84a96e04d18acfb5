-- Take or keep the lead of a shard.
--
-- Leadership saves work; it guards nothing: every script is right whoever calls it. The epoch counts the changes of
-- leader, so a wavering lead is visible.
--
-- Returns {"ok", epoch} or {"led_by", replica}.
-- flags: allow-oom

local leader = KEYS[1] .. ":leader" -- string with TTL: the replica that polls the shard
local epoch = KEYS[1] .. ":epoch" -- counter

local replica = ARGV[1]
local ttl_ms = tonumber(ARGV[2])

local current = redis.call("GET", leader)
if current and current ~= replica then return { "led_by", current } end
redis.call("SET", leader, replica, "PX", ttl_ms)
if current then return { "ok", tonumber(redis.call("GET", epoch)) } end
return { "ok", redis.call("INCR", epoch) }
