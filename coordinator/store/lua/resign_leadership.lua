-- Give up the lead of a shard, so that another replica can take it at once.
--
-- Returns {"ok"} or {"led_by", replica}.
-- flags: allow-oom

local leader = KEYS[1] .. ":leader"

local replica = ARGV[1]

local current = redis.call("GET", leader)
if current and current ~= replica then return { "led_by", current } end
redis.call("DEL", leader)
return { "ok" }
