-- The circuit breaker of each worker of a queue: after so many failures in a row its jobs wait, without spending attempts.
--
-- After `open_ms` one of them is tried. If it is answered properly, the others follow within the time that this took, or a
-- second; if it fails, they wait as long again. The jobs stay in their lanes, put off, so they hold up nobody else.

-- @include lib/events
-- @include lib/limits

local PUT_OFF_LEAST_MS = 1000
local FORGOTTEN_MS = 86400000 -- Without news: the names of workers come from callers, who may never name one again.

local function open_circuits(queue)
  if not queue.circuits then
    queue.circuits = {}
    local entries = redis.call("ZRANGE", circuits_key(queue.name), 0, -1, "WITHSCORES")
    for at = 1, #entries, 2 do queue.circuits[entries[at]] = tonumber(entries[at + 1]) end
    queue.has_circuits = #entries > 0 and queue.circuit_failures ~= 0
  end
  return queue.has_circuits and queue.circuits or nil
end

-- From when a job of this worker may be tried, nil if nothing is wrong with it.
local function circuit_instant(queue, worker)
  local circuits = open_circuits(queue)
  return circuits and circuits[worker]
end

local function begin_probe(queue, worker, open_ms)
  if not open_circuits(queue) or not queue.circuits[worker] then return end
  queue.circuits[worker] = now + open_ms
  redis.call("ZADD", circuits_key(queue.name), now + open_ms, worker)
end

-- How long a job waits for its worker's circuit: as long as it has been open, or as the probe has taken. Whatever comes of
-- it, each job is moved a few times, not each second.
local function put_off_until(opens_at, open_ms)
  local elapsed = now + open_ms - opens_at
  return math.min(opens_at, now + math.max(PUT_OFF_LEAST_MS, elapsed))
end

local circuit_changes = {}

local function note_change(change, queue, worker, failures)
  circuit_changes[#circuit_changes + 1] = { change, queue, worker, failures }
  tell("circuit." .. change, "queue", queue, "worker", worker, "failures", failures)
end

local function note_acceptance(queue, worker)
  if redis.call("ZREM", circuits_key(queue.name), worker) == 1 then
    note_change("closed", queue.name, worker, 0)
  end
end

-- Whether any worker of a queue has failed of late: mostly none has, and one look for a whole batch tells.
local function has_failures(queue)
  if queue.has_failures == nil then
    queue.has_failures = redis.call("EXISTS", failures_key(queue.name), circuits_key(queue.name)) > 0
  end
  return queue.has_failures
end

-- An orderly answer, whatever it says.
local function note_answer(queue, worker)
  if not has_failures(queue) then return end
  redis.call("HDEL", failures_key(queue.name), worker)
  note_acceptance(queue, worker)
end

local function note_failure(queue, worker, threshold, open_ms)
  if threshold == 0 then return end
  queue.has_failures = true
  local failures = redis.call("HINCRBY", failures_key(queue.name), worker, 1)
  redis.call("PEXPIRE", failures_key(queue.name), FORGOTTEN_MS)
  if failures < threshold then return end
  local is_new = redis.call("ZSCORE", circuits_key(queue.name), worker) == false
  redis.call("ZADD", circuits_key(queue.name), now + open_ms, worker)
  redis.call("PEXPIRE", circuits_key(queue.name), FORGOTTEN_MS + open_ms)
  if is_new then note_change("opened", queue.name, worker, failures) end
end
