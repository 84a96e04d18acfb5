-- Every key of a shard, named here and nowhere else. All carry the shard's hash tag, so a script stays in one slot.
--
-- A lane is `<queue>`, or `<queue>#<key>` for the jobs of one throttle key; `#` is not allowed in queue names.

local shard = KEYS[1] -- the shard's root, e.g. co:{3}

local PRIORITY_DEFAULT = 5

local queues_key = shard .. ":queues" -- zset: queue -> instant from which it may be claimed from (the outer wheel)
local deadlines_key = shard .. ":deadlines" -- zset: queue -> earliest lease or deadline in it; may be early, never late
local purges_key = shard .. ":purges" -- zset: `<state>:<queue>` -> when its oldest finished job is to be purged
local known_queues_key = shard .. ":known_queues" -- set: every queue that ever had a job or settings
local schedules_key = shard .. ":schedules" -- zset: schedule -> next tick, inf while paused; once ended, when it is forgotten
local schedule_ids_key = shard .. ":schedule_ids" -- zset, all at 0: every schedule, in the order of its id
local schedule_names_key = shard .. ":schedule_names" -- hash, in shard 0 only: name -> schedule

local outbox_key = shard .. ":outbox" -- zset: what others are to be told of -> since when; `<job>` or `batch:<id>`
local events_key = shard .. ":events" -- stream of what happens, while somebody watches
local expiries_key = shard .. ":expiries" -- zset: job -> when it is given up if it has not started

local function job_key(id) return shard .. ":job:" .. id end -- hash
local function attempts_key(id) return shard .. ":attempts:" .. id end -- list of JSON
local function lanes_key(queue) return shard .. ":lanes:" .. queue end -- zset: lane -> instant (the inner wheel)
local function lane_key(lane) return shard .. ":lane:" .. lane end -- hash: token bucket, block and pause of a lane
local function busy_key(lane) return shard .. ":busy:" .. lane end -- zset: running job of a key -> when it started
local function spread_key(queue) return shard .. ":spread:" .. queue end -- zset: job -> run-at, of all lines but the plain one
local function retrying_key(queue) return shard .. ":retrying:" .. queue end -- zset: job -> run-at, after a failed attempt
local function running_key(queue) return shard .. ":running:" .. queue end -- zset: job -> lease or deadline
local function finished_key(state, queue) return shard .. ":" .. state .. ":" .. queue end -- zset: job -> finished-at
local function queue_key(queue) return shard .. ":queue:" .. queue end -- hash: settings and token bucket
local function failures_key(queue) return shard .. ":failures:" .. queue end -- hash: worker -> failures in a row
local function circuits_key(queue) return shard .. ":circuits:" .. queue end -- zset: worker whose jobs wait -> when one is tried
local function schedule_key(id) return shard .. ":schedule:" .. id end -- hash
local function tag_key(tag) return shard .. ":tag:" .. tag end -- zset: job -> created-at
local function runs_key(schedule) return shard .. ":runs:" .. schedule end -- zset: job of a schedule -> created-at
local function live_key(schedule) return shard .. ":live:" .. schedule end -- zset: those of them that are not final
local function held_key(schedule) return shard .. ":held:" .. schedule end -- hash: a run that begins when these have ended
local function members_key(batch) return shard .. ":members:" .. batch end -- zset: job of a batch -> created-at
local function unique_key(queue, handle) return shard .. ":unique:" .. queue .. "#" .. handle end -- string: the job that has it
local function idempotency_key(handle) return shard .. ":idempotency:" .. handle end -- string: what was answered to a request
local function batch_key(id) return shard .. ":batch:" .. id end -- hash
local function left_key(batch) return shard .. ":left:" .. batch end -- set: jobs of a batch that are not final
local function done_key(batch) return shard .. ":done:" .. batch end -- set: those that are, each counted once
-- hash: what happened -> how often, in one minute since 1970
local function stats_key(minute) return shard .. ":stats:" .. string.format("%.0f", minute) end
local function claim_key(replica) return shard .. ":claim:" .. replica end -- string: the replica's last claim

-- zset: job -> run-at. A lane has one line for each priority; that of the usual one bears no number.
local function waiting_key(lane, priority)
  return shard .. ":waiting" .. (priority == PRIORITY_DEFAULT and "" or priority) .. ":" .. lane
end

-- A key by its kind, for those who look through all of them; `name` is "" for those that there is one of.
local function key_of(kind, name) return shard .. ":" .. kind .. (name == "" and "" or ":" .. name) end

local function queue_of(lane) return string.match(lane, "^[^#]+") end
local function is_keyed(lane) return string.find(lane, "#", 1, true) ~= nil end
