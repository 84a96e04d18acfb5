-- Pause or resume a lane, or forget what was held against it; what is running is left alone.
--
-- Returns {"ok", due_in_ms} as enqueue does.
-- acknowledged
-- flags: allow-oom

-- @include lib/events
-- @include lib/wheel

local name = ARGV[1]
local action = ARGV[2] -- "pause", "resume" or "reset": its bucket is full again, and nothing blocks it

if action == "reset" then
  redis.call("HDEL", lane_key(name), "blocked_until", "tokens", "refilled_at", "withheld", "seen_limit", "seen_burst", "heard_at",
    "told_at")
elseif action == "pause" then
  redis.call("HSET", lane_key(name), "paused", 1)
else
  redis.call("HDEL", lane_key(name), "paused")
end

local lane = load_lane(name)
if lane.paused or redis.call("EXISTS", lane_key(name)) == 1 then save_lane(lane) end
tell("queue.changed", "lane", name, "cause", action)
touch_lane(name)
return { "ok", offer_touched() }
