-- Register a worker, or forget one.
--
-- Returns {"ok", known} with whether there was one: 1 or 0.
-- acknowledged

local workers = KEYS[1] -- hash: name -> JSON record

local name = ARGV[1]
local record = ARGV[2] -- JSON, or "" to forget it

if record == "" then return { "ok", redis.call("HDEL", workers, name) } end
return { "ok", 1 - redis.call("HSET", workers, name, record) }
