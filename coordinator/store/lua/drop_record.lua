-- Forget what is kept under a name: also when memory is full, or a token could not be revoked then.
--
-- Returns {"ok", known} with whether there was one: 1 or 0.
-- acknowledged
-- flags: allow-oom

local records = KEYS[1] -- hash: name -> JSON record

local name = ARGV[1]

return { "ok", redis.call("HDEL", records, name) }
