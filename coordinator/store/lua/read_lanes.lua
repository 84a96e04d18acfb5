-- Read lanes of a queue as they are now: one, or a page of those in which jobs wait.
--
-- Returns {"ok", now, cursor, {{lane, tokens, burst, refill_per_second, running, waiting, paused, blocked_until}, ...}};
-- the cursor is "0" at the end, and what has no value is "". Numbers are texts, because they may be broken.

-- @include lib/wheel

local queue = ARGV[1]
local name = ARGV[2] -- the lane, or "" for a page
local cursor = ARGV[3] -- where the last page ended, "0" at first
local limit = tonumber(ARGV[4])

local function view(lane)
  local bucket, waiting = lane.bucket, 0
  for _, priority in ipairs(lane.queue.lines) do
    waiting = waiting + redis.call("ZCARD", waiting_key(lane.name, priority))
  end
  return { lane.name,
    bucket and string.format("%.3f", tokens_left(bucket)) or "", bucket and string.format("%.9g", bucket.burst) or "",
    bucket and string.format("%.9g", bucket.limit * 1000 / bucket.period_ms) or "",
    redis.call("ZCARD", busy_key(lane.name)), waiting, lane.paused and 1 or 0,
    lane.blocked_until > now and string.format("%.0f", lane.blocked_until) or "" }
end

if name ~= "" then return { "ok", now, "0", { view(load_lane(name)) } } end

local found = redis.call("ZSCAN", lanes_key(queue), cursor, "COUNT", limit)
local views = {}
for at = 1, #found[2], 2 do
  if is_keyed(found[2][at]) then views[#views + 1] = view(load_lane(found[2][at])) end
end
return { "ok", now, found[1], views }
