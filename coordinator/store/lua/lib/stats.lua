-- What happens, counted by the minute: a hash for each, of fields that tell what was counted.
--
--   <queue> created                              jobs
--   <queue> started <wait>                       attempts, by how long their jobs had been due
--   <queue> succeeded <worker> <run>, failed …   attempts, by how long they ran; `?` of one that nobody knows the start of
--   <queue> dead, cancelled, throttled
--
-- `wait` and `run` are the lower end of a span in ms; two spans double it: 0 1 2 3 4 6 8 12 16 …
-- A script counts in memory and writes once, at its end, with `save_counts`.

-- @include lib/clock
-- @include lib/keys

local MINUTE = math.floor(now / 60000)
local STATS_KEPT_MS = 3 * 3600000 + 300000
-- Fields of a minute; names that would be more are counted together, as `*`. Three hours of 16 shards are 80 MB at the most.
local STATS_MOST = 300
local SPAN_LAST = 134217728

local counts = {}

local function count(field) counts[field] = (counts[field] or 0) + 1 end

local function span_of(ms)
  local low = 1
  if ms < low then return 0 end
  while ms >= 2 * low and low < SPAN_LAST do low = 2 * low end
  return low > 1 and ms >= 1.5 * low and 1.5 * low or low
end

local function start_field(queue, waited_ms) return queue .. " started " .. span_of(waited_ms) end

local function count_start(queue, waited_ms) count(start_field(queue, waited_ms)) end

-- `outcome` is "succeeded" or "failed", `started_at` nil if it is not known.
local function count_end(queue, worker, outcome, started_at)
  local span = started_at and span_of(now - started_at) or "?"
  count(queue .. " " .. outcome .. " " .. (worker and worker ~= "" and worker or "*") .. " " .. span)
end

-- The same without names.
local function unnamed(field)
  field = string.gsub(field, "^%S+", "*", 1)
  return (string.gsub(field, "^(%S+ %l+) %S+ ", "%1 * ", 1))
end

local function save_count(key, field, number)
  if redis.call("HINCRBY", key, field, number) > number then return end
  -- It is the first of its kind in this minute.
  local length = redis.call("HLEN", key)
  if length == 1 then redis.call("PEXPIRE", key, STATS_KEPT_MS) end
  if length > STATS_MOST and field ~= unnamed(field) then
    redis.call("HDEL", key, field)
    redis.call("HINCRBY", key, unnamed(field), number)
  end
end

-- A start at `started_at` that was none: it is gone from its own minute, if that is still known.
local function uncount_start(queue, waited_ms, started_at)
  local key, field = stats_key(math.floor(started_at / 60000)), start_field(queue, waited_ms)
  for _, name in ipairs({ field, unnamed(field) }) do
    local number = tonumber(redis.call("HGET", key, name) or 0)
    if number > 1 then return redis.call("HINCRBY", key, name, -1) end
    if number == 1 then return redis.call("HDEL", key, name) end
  end
end

local function save_counts()
  local key = stats_key(MINUTE)
  for field, number in pairs(counts) do save_count(key, field, number) end
end
