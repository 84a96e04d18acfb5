-- The one clock: the Redis server's, in whole milliseconds.
--
-- `turn` is the same instant with its microseconds as a fraction. Two scripts never share one, so it orders
-- those that were served within one millisecond. It is only ever a score, written by `%.3f`: Lua's `..` would round it.

local time = redis.call("TIME")
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local turn = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
