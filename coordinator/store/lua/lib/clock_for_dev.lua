-- The clock of `coordinator dev`, linked in place of lib/clock: the server's, and by how much a shard was moved on. What lies in no
-- shard, such as the register of replicas, goes by the server's alone.

local time = redis.call("TIME")
local ahead = string.find(KEYS[1], "{", 1, true) and tonumber(redis.call("GET", KEYS[1] .. ":clock_ahead") or 0) or 0
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) + ahead
local turn = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000 + ahead
