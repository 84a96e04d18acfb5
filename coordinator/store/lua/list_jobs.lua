-- Read a page of one queue's jobs in one state, or of the jobs of a tag, schedule or batch, in a stable order: waiting jobs
-- by run-at, finished ones by their end, those of an index by their creation, newest first.
--
-- The page begins behind `after_score`, `after_id` (where the last one ended; both empty at the start), wherever
-- these jobs may be now. At most `scan` entries are looked at, so a page may be short before the end.
--
-- Returns {"ok", now, {{id, {field, value, ...}, attempts}, ...}, score, id}; `score` is "" at the end, else the place
-- to go on from. `attempts` holds the last attempt only.

-- @include lib/view

local queue = ARGV[1]
local state = ARGV[2] -- a shown state
local after_score = ARGV[3]
local after_id = ARGV[4]
local limit = tonumber(ARGV[5])
local scan = tonumber(ARGV[6])
local index_kind = ARGV[7] -- "tag", "schedule" or "batch", or "" for the list of the queue and state
local index_name = ARGV[8]
-- What else a job must have; "" is anything.
local worker = ARGV[9]
local key = ARGV[10]
local created_after = ARGV[11]
local finished_before = ARGV[12]
local error_text = ARGV[13]

-- How the entries of an index are ordered: by score, then by id, both in `direction`.
local function rank_behind(index, direction, score, id)
  if score == "" then return 0 end
  local low = redis.call("ZCOUNT", index, direction == 1 and "-inf" or "(" .. score, direction == 1 and "(" .. score or "+inf")
  local high = low + redis.call("ZCOUNT", index, score, score)
  local command = direction == 1 and "ZRANGE" or "ZREVRANGE"
  while low < high do -- Many may share the score: halve, do not walk.
    local middle = math.floor((low + high) / 2)
    local member = redis.call(command, index, middle, middle)[1]
    local is_behind = direction == 1 and member > id or direction == -1 and member < id
    if is_behind then high = middle else low = middle + 1 end
  end
  return low
end

local STEP = 100 -- Entries read at once.
local BYTES_LIMIT = 1048576 -- A page is closed by the job that reaches this.

local function size_of(view)
  local size = #view[3]
  for _, value in ipairs(view[2]) do size = size + #value end
  return size
end

local views, last_score, last_id, looked, bytes = {}, "", "", 0, 0

-- Reads an index in its order, from behind the last page.
local function open_reader(index, direction)
  local rank = rank_behind(index, direction, after_score, after_id)
  local entries, at = {}, 1
  return function(take)
    if take then at = at + 2 end
    if at > #entries and (at == 1 or #entries == 2 * STEP) then
      entries = redis.call(direction == 1 and "ZRANGE" or "ZREVRANGE", index, rank, rank + STEP - 1, "WITHSCORES")
      rank, at = rank + STEP, 1
    end
    if entries[at] then return entries[at], entries[at + 1] end
  end
end

local function comes_before(direction, score, id, other_score, other_id)
  local a, b = tonumber(score), tonumber(other_score)
  if a ~= b then return (a < b) == (direction == 1) end
  return (id < other_id) == (direction == 1)
end

local function shown_state(job)
  if job.state ~= "waiting" then return job.state end
  if tonumber(job.run_at) <= now then return "queued" end
  return job.attempt == "0" and "scheduled" or "retrying"
end

local function has_error(id)
  local last = redis.call("LRANGE", attempts_key(id), -1, -1)[1]
  return last and string.find(last, error_text, 1, true) ~= nil
end

local has_filter = index_kind ~= "" or worker .. key .. created_after .. finished_before .. error_text ~= ""

local function is_chosen(id)
  if not has_filter then return true end
  local job = {}
  job.state, job.lane, job.run_at, job.attempt, job.created_at, job.finished_at, job.worker =
    unpack(redis.call("HMGET", job_key(id), "state", "lane", "run_at", "attempt", "created_at", "finished_at", "worker"))
  if not job.state or (queue ~= "" and queue_of(job.lane) ~= queue) then return false end
  if index_kind ~= "" and state ~= "" and shown_state(job) ~= state then return false end
  if key ~= "" and job.lane ~= queue_of(job.lane) .. "#" .. key then return false end
  if created_after ~= "" and tonumber(job.created_at) <= tonumber(created_after) then return false end
  if finished_before ~= "" and tonumber(job.finished_at or INFINITE) >= tonumber(finished_before) then return false end
  if worker ~= "" and job.worker ~= worker then return false end
  return error_text == "" or has_error(id)
end

-- The indexes are read as one. Returns true when the page is full or has looked at enough.
local function read_indexes(indexes, direction, wanted)
  local readers = {}
  for _, index in ipairs(indexes) do readers[#readers + 1] = open_reader(index, direction) end
  while true do
    local first, id, score
    for _, reader in ipairs(readers) do
      local head_id, head_score = reader(false)
      if head_id and (not id or comes_before(direction, head_score, head_id, score, id)) then
        first, id, score = reader, head_id, head_score
      end
    end
    if not first then return false end
    if #views >= limit or looked >= scan then return true end
    first(true)
    looked, last_id, last_score = looked + 1, id, score
    local verdict = wanted(id, tonumber(score))
    if verdict == nil then return false end
    local view = verdict and is_chosen(id) and job_view(id, -1)
    if view then
      views[#views + 1] = view
      bytes = bytes + size_of(view)
      if bytes >= BYTES_LIMIT then return true end
    end
  end
end

local function any() return true end

-- Of the waiting: what is due comes first; nil ends the walk.
local function is_due(_, score) if score <= now then return true end end
local function is_later(_, score) return score > now end
local function is_fresh(id, score) return score > now and not redis.call("ZSCORE", retrying_key(queue), id) end

local INDEXES = { tag = tag_key, schedule = runs_key, batch = members_key }

local more
if index_kind ~= "" then
  more = read_indexes({ INDEXES[index_kind](index_name) }, -1, any)
elseif state == "queued" or state == "scheduled" then
  -- Later jobs need not be looked for among those that are due.
  if state == "scheduled" and (after_score == "" or tonumber(after_score) < now) then
    after_score, after_id = string.format("%.0f", now), "\255"
  end
  local lines = { waiting_key(queue, PRIORITY_DEFAULT), spread_key(queue) }
  more = read_indexes(lines, 1, state == "queued" and is_due or is_fresh)
elseif state == "retrying" then
  if after_score == "" or tonumber(after_score) < now then
    after_score, after_id = string.format("%.0f", now), "\255"
  end
  more = read_indexes({ retrying_key(queue) }, 1, is_later)
elseif state == "running" then
  more = read_indexes({ running_key(queue) }, 1, any)
else
  more = read_indexes({ finished_key(state, queue) }, -1, any)
end

return { "ok", now, views, more and last_score or "", more and last_id or "" }
