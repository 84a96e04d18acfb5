-- Accept new jobs, due now or later.
--
-- A job that exists already was made by this very call, whose reply was lost; it is left as it is.
--
-- Returns {"ok", now, due_in_ms, {{reply, ...}, ...}}; `due_in_ms` is how soon the shard has something to claim if these jobs
-- made that sooner, else -1; and a reply per row:
--   {"created"}
--   {"replayed", id, created_at, run_at}  the same request was answered with this job before
--   {"idempotency_mismatch"}              another request was made with this idempotency key
--   {"duplicate", id}                     this job has the unique handle, and is kept
--   {"unique_conflict", id}               the same, and the caller wants to be refused
--   {"cost_exceeds_burst", burst}         it would wait for ever
--   {"queue_full", max_waiting}           so many jobs of its queue wait already
--   {"not_created"}                       another one was refused, and all or none was asked for
-- acknowledged

-- @include lib/cancel
-- @include lib/create
-- @include lib/fence
-- @include lib/rows

local idempotency_ms = ARGV[2] -- how long a request is remembered
local all_or_none = ARGV[3] -- "1", or ""
local max_waiting = ARGV[4] -- of a queue that has none of its own; "" for what was accepted before, which no queue refuses
-- Rows from ARGV[5], each: id, lane, run_at, delay_ms, timeout_ms, traits, guards, spec

-- Which states a handle is unique among.
local GROUPS = {
  waiting = { waiting = true },
  incomplete = { waiting = true, running = true },
  all = { waiting = true, running = true, succeeded = true, dead = true, cancelled = true, erased = true },
}

local function answered_before(guard)
  local known = guard.idempotency and redis.call("GET", idempotency_key(guard.idempotency))
  if not known then return nil end
  local fingerprint, id, created_at, run_at = string.match(known, "^(%S+) (%S+) (%S+) (%S+)$")
  if fingerprint ~= guard.fingerprint then return { "idempotency_mismatch" } end
  return { "replayed", id, tonumber(created_at), tonumber(run_at) }
end

-- The job that has the handle, if that is in the way.
local function rival_of(queue, trait, guard)
  local id = redis.call("GET", unique_key(queue, trait.unique))
  if not id then return nil end
  local rival = load_attempt(id)
  rival.state = rival.state or "erased"
  if not GROUPS[guard.unique_states][rival.state] then return nil end
  local created_at = redis.call("HGET", job_key(id), "created_at")
  if guard.unique_ms and created_at and created_at + guard.unique_ms <= now then return nil end
  return rival
end

local function refused_as_duplicate(lane, trait, guard)
  local rival = trait.unique and rival_of(queue_of(lane), trait, guard)
  if not rival then return nil end
  if guard.on_conflict == "reject" then return { "unique_conflict", rival.id } end
  if guard.on_conflict ~= "replace" or rival.state ~= "waiting" then return { "duplicate", rival.id } end
  return nil, rival
end

local depths = {} -- queue -> how many jobs of it wait, with those that this script makes

-- A place for one more in the queue of a lane, if it has room.
local function refused_as_full(lane)
  if max_waiting == "" then return nil end
  local queue = load_queue(queue_of(lane))
  local limit = queue.max_waiting or tonumber(max_waiting)
  local depth = depths[queue] or count_waiting(queue.name)
  if depth >= limit then return { "queue_full", string.format("%.0f", limit) } end
  depths[queue] = depth + 1
end

local function enqueue(id, lane, run_at, timeout_ms, traits, guards, spec)
  if redis.call("EXISTS", job_key(id)) == 1 then return { "created" } end
  local trait, guard = read_pairs(traits), read_pairs(guards)
  local refused, rival = answered_before(guard) or refused_for_cost(lane, trait.cost), nil
  if not refused then refused, rival = refused_as_duplicate(lane, trait, guard) end
  -- What takes another's place makes the line no longer.
  if not refused and not rival then refused = refused_as_full(lane) end
  if refused then return refused end
  if rival then cancel_waiting(rival, "superseded") end
  if rival then depths = {} end -- Whom its end lets begin is counted, too.
  create_job(id, lane, run_at, timeout_ms, traits, spec)
  if guard.idempotency then
    local answer = guard.fingerprint .. " " .. id .. " " .. now .. " " .. string.format("%.0f", run_at)
    redis.call("SET", idempotency_key(guard.idempotency), answer, "PX", idempotency_ms)
  end
  return { "created" }
end

-- Before anything is written: whether one of the rows will be refused. Two of them may want the same handle, and all of them
-- together may be too many.
local function find_refusals()
  local holders = {}

  local function refusal_of(id, lane, trait, guard)
    if redis.call("EXISTS", job_key(id)) == 1 then return nil end
    local handle = trait.unique and queue_of(lane) .. " " .. trait.unique
    local refused, rival = answered_before(guard) or refused_for_cost(lane, trait.cost), nil
    if refused then return refused end
    if handle and holders[handle] then
      if guard.on_conflict == "reject" then return { "unique_conflict", holders[handle] } end
      if guard.on_conflict == "replace" then holders[handle] = id end
      return nil
    end
    refused, rival = refused_as_duplicate(lane, trait, guard)
    if not rival then refused = refused or refused_as_full(lane) end
    if handle and not refused then holders[handle] = id end
    return refused
  end

  local refusals, is_refused = {}, false
  for id, lane, _, _, _, traits, guards in each_row(5, 8) do
    local refused = refusal_of(id, lane, read_pairs(traits), read_pairs(guards))
    if refused and (refused[1] == "replayed" or refused[1] == "duplicate") then refused = nil end
    refusals[#refusals + 1] = refused or { "not_created" }
    is_refused = is_refused or refused
  end
  return is_refused and refusals
end

local refusals = all_or_none == "1" and find_refusals()
if refusals then return { "ok", now, -1, refusals } end
if all_or_none == "1" then max_waiting = "" end -- All of them have their places.

local replies = {}
for id, lane, run_at, delay_ms, timeout_ms, traits, guards, spec in each_row(5, 8) do
  -- A time in the past means now, and takes its place in the line now.
  local due_at = math.max(now + tonumber(delay_ms), tonumber(run_at))
  replies[#replies + 1] = enqueue(id, lane, due_at, timeout_ms, traits, guards, spec)
end

save_counts()
return { "ok", now, offer_touched(), replies }
