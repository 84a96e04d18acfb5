-- Keep something under its name, in place of what was there.
--
-- Returns {"ok", known} with whether there was one: 1 or 0.
-- acknowledged

local records = KEYS[1] -- hash: name -> JSON record

local name = ARGV[1]
local record = ARGV[2] -- JSON

return { "ok", 1 - redis.call("HSET", records, name, record) }
