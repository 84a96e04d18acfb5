-- A job and all that tells of it beside its state's index.

-- @include lib/clock
-- @include lib/keys

-- The indexes of what a job belongs to. Only jobs that have tags, a schedule or a batch pay for them.
local function belongings(tags, schedule, batch)
  local indexes = {}
  for tag in string.gmatch(tags or "", "[^,]+") do indexes[#indexes + 1] = tag_key(tag) end
  if schedule then indexes[#indexes + 1] = runs_key(schedule) end
  if batch then indexes[#indexes + 1] = members_key(batch) end
  return indexes
end

-- A handle that is to be unique beyond the job stays until then.
local function let_go(id, queue, handle, kept_until)
  local key = unique_key(queue, handle)
  if redis.call("GET", key) ~= id then return end
  if kept_until and tonumber(kept_until) > now then
    redis.call("PEXPIRE", key, string.format("%.0f", kept_until - now))
  else
    redis.call("DEL", key)
  end
end

-- A job of which others are still to be told is kept until they were.
local function erase_job(id)
  if redis.call("ZSCORE", outbox_key, id) then
    redis.call("HSET", job_key(id), "is_erased", 1)
    return
  end
  local lane, tags, schedule, batch, unique, unique_until =
    unpack(redis.call("HMGET", job_key(id), "lane", "tags", "schedule", "batch", "unique", "unique_until"))
  for _, index in ipairs(belongings(tags, schedule, batch)) do redis.call("ZREM", index, id) end
  if unique then let_go(id, queue_of(lane), unique, unique_until) end
  redis.call("DEL", job_key(id), attempts_key(id))
end
