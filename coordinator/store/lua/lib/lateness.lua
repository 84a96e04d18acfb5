-- Whether a wheel comes too late for what stands in it. The instants are those of lib/wheel, as they are now.
--
-- An entry may be early. One that has come, or will within a second, is not late: a clock that was set back a little leaves
-- what was due a moment ago at that moment.

-- @include lib/findings
-- @include lib/wheel

local SLACK_MS = 1000

local function is_late(score, instant) return not score or tonumber(score) > math.max(instant, now + SLACK_MS) end

-- What opens a circuit does not touch the lanes of its worker's jobs, although they may be put off before they can be paid:
-- an entry may stay where it would be if none were open.
local function without_circuits(queue, act)
  open_circuits(queue)
  local had = queue.has_circuits
  queue.has_circuits = false
  local instant = act()
  queue.has_circuits = had
  return instant
end

local function say_late(kind, wheel, name, score, instant)
  return note(kind, wheel, name .. (score and " stands at " .. score or " is missing") .. ", and can be served from "
    .. string.format("%.0f", instant) .. " on")
end

local function check_lane(name)
  local lane = load_lane(name)
  local wheel = lanes_key(lane.queue.name)
  local instant = without_circuits(lane.queue, function() return lane_instant(lane) end)
  if not instant then return end
  local score = redis.call("ZSCORE", wheel, name)
  if is_late(score, instant) and say_late("wheel_late", wheel, name, score, instant) then touch_lane(name) end
end

-- When a queue can be served at the latest: also if the lane that stands first has come to be paid for another job since.
local function latest_queue_instant(queue)
  local instant = queue_instant(queue)
  local head = redis.call("ZRANGE", lanes_key(queue.name), 0, 0)[1]
  if not instant or not queue.bucket or not head then return instant end
  local lane = load_lane(head)
  return math.max(instant, head_instant(lane, lane.bucket and { lane, queue } or { queue }) or 0)
end

local function check_queue(name)
  local queue = load_queue(name)
  local instant = without_circuits(queue, function() return latest_queue_instant(queue) end)
  if not instant then return end
  local score = redis.call("ZSCORE", queues_key, name)
  if is_late(score, instant) and say_late("wheel_late", queues_key, name, score, instant) then touch_queue(name) end
end

-- Here no clock can have a say: an entry that is not early enough was never written.
local function check_deadline(queue)
  local head = redis.call("ZRANGE", running_key(queue), 0, 0, "WITHSCORES")[2]
  local score = head and redis.call("ZSCORE", deadlines_key, queue)
  if not head or score and tonumber(score) <= tonumber(head) then return end
  if say_late("wheel_late", deadlines_key, queue, score, tonumber(head)) then redis.call("ZADD", deadlines_key, head, queue) end
end

local function check_purge(state, queue)
  local head = redis.call("ZRANGE", finished_key(state, queue), 0, 0, "WITHSCORES")[2]
  if not head then return end
  local instant = purge_instant(tonumber(head), retention_of(state, queue).age_ms)
  local score = redis.call("ZSCORE", purges_key, state .. ":" .. queue)
  if is_late(score, instant) and say_late("wheel_late", purges_key, state .. ":" .. queue, score, instant) then
    redis.call("ZADD", purges_key, instant, state .. ":" .. queue)
  end
end
