-- Write something and take it back, so that WAIT and WAITAOF on this connection wait for all that was written before.
--
-- It goes to the root itself, which is a key of no other type than this, if it is one at all: any other key could be elsewhere.
--
-- Returns {"ok"}
-- flags: allow-oom

local root = KEYS[1] -- hash, or nothing

redis.call("HSET", root, "", "")
redis.call("HDEL", root, "")

return { "ok" }
