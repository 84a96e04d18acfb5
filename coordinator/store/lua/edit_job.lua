-- Change what a job that waits is to do, or when.
--
-- Returns {"ok", due_in_ms}, {"changed"} when somebody else edited it since it was read, {"cost_exceeds_burst", burst} when
-- its new key would let it wait for ever, {"invalid_state", state} or {"job_not_found"}.
-- acknowledged

-- @include lib/erase
-- @include lib/events
-- @include lib/fence
-- @include lib/rows
-- @include lib/waiting

local id = ARGV[1]
local edits = ARGV[2] -- how often it had been edited when it was read
local lane = ARGV[3]
local run_at = ARGV[4] -- ms, or "" to leave it
local delay_ms = ARGV[5] -- from now, or ""
local traits = ARGV[6]
local spec = ARGV[7]

local job = load_attempt(id)
if not job.state then return { "job_not_found" } end
if job.state ~= "waiting" then return { "invalid_state", job.state } end
local known, due_at, tags, created_at, expires_ms =
  unpack(redis.call("HMGET", job_key(id), "edits", "run_at", "tags", "created_at", "expires_ms"))
if (known or "0") ~= edits then return { "changed" } end
local refused = lane ~= job.lane and refused_for_cost(lane, job.cost)
if refused then return refused end
local is_moved = run_at ~= "" or delay_ms ~= ""

if run_at ~= "" then due_at = math.max(now, tonumber(run_at)) end
if delay_ms ~= "" then due_at = now + tonumber(delay_ms) end
due_at = string.format("%.0f", due_at)

local trait = read_pairs(traits)
drop_waiting(id, job.lane, job.priority, job.attempt)
for _, index in ipairs(belongings(tags)) do redis.call("ZREM", index, id) end
redis.call("HDEL", job_key(id), "priority", "tags")
for _, field in ipairs({ "priority", "tags" }) do
  if trait[field] then redis.call("HSET", job_key(id), field, trait[field]) end
end
for _, index in ipairs(belongings(trait.tags)) do redis.call("ZADD", index, created_at, id) end
redis.call("HSET", job_key(id), "lane", lane, "run_at", due_at, "spec", spec)
redis.call("HINCRBY", job_key(id), "edits", 1)
if is_moved and expires_ms and never_called(job) then put_expiry(id, due_at + expires_ms) end
put_waiting(id, lane, tonumber(trait.priority or PRIORITY_DEFAULT), due_at, job.attempt)
job.lane = lane
tell_job("job.changed", job, state_of_waiting(due_at, job.attempt))
return { "ok", offer_touched() }
