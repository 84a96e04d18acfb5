-- Whose attempt is it? A call for an attempt counts only for the very attempt that was claimed: by its number and
-- its nonce, because a failover can roll the number back.

-- @include lib/keys

local function load_attempt(id)
  local field = redis.call("HMGET", job_key(id),
    "state", "lane", "attempt", "nonce", "holder", "deadline_at", "outcome", "snoozes", "throttles", "lost", "started_at",
    "priority", "cost", "worker",
    "cancel_requested", "retry_ms", "first_at", "heartbeat_ms", "ends_at", "heard", "notify",
    "schedule", "unique", "is_erased", "batch")
  return {
    id = id,
    state = field[1],
    lane = field[2],
    queue = field[2] and queue_of(field[2]),
    attempt = tonumber(field[3] or 0),
    nonce = field[4] or "",
    holder = field[5],
    deadline_at = tonumber(field[6] or 0),
    outcome = field[7],
    snoozes = tonumber(field[8] or 0),
    throttles = tonumber(field[9] or 0),
    lost = tonumber(field[10] or 0),
    started_at = field[11],
    priority = tonumber(field[12] or PRIORITY_DEFAULT),
    cost = tonumber(field[13] or 1),
    worker = field[14],
    cancel_requested = field[15], -- the reason, if it is to be stopped
    retry_ms = tonumber(field[16] or nil),
    first_at = tonumber(field[17] or field[11] or nil),
    heartbeat_ms = tonumber(field[18] or nil),
    ends_at = tonumber(field[19] or field[6] or 0),
    heard = field[20] == "1",
    notify = field[21],
    schedule = field[22],
    unique = field[23],
    batch = field[25],
    is_erased = field[24] == "1", -- and only kept until others have been told of its end
  }
end

-- Once it has been called it is not given up for its age any more.
local function never_called(job) return job.attempt + job.snoozes + job.throttles == 0 end

-- An empty attempt or nonce stands for the current one.
local function is_current(job, attempt, nonce)
  return (attempt == "" or tonumber(attempt) == job.attempt) and (nonce == "" or nonce == job.nonce)
end

local function is_running_as(job, attempt, nonce)
  return job.state == "running" and is_current(job, attempt, nonce)
end
