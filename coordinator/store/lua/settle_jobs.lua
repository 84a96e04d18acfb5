-- End attempts: the only script that does, whether a receipt, a failed call or a missed deadline says so.
--
--   succeed  any attempt of a job that is not final: the work is done, whatever waits or runs again
--   retry    wait again with the attempt spent           } only the current attempt,
--   spare    wait again with the attempt given back      } by number and nonce
--   die, cancel                                          }
--
-- Returns {"ok", {{reply, state}, ...}, due_in_ms, {{"opened" or "closed", queue, worker, failures}, ...}, outbox} with the
-- circuits that changed, how much others are to be told of, and a reply per row:
--   "ok"                the attempt is settled; `state` is the job's state now
--   "already_recorded"  the very same was said before; nothing changed
--   "stale_receipt"     the job is final, or the attempt is over or was never made; kept in the log, nothing changed
--   "job_not_found"
-- acknowledged
-- flags: allow-oom

-- @include lib/attempt_log
-- @include lib/circuit
-- @include lib/events
-- @include lib/feedback
-- @include lib/fence
-- @include lib/finish
-- @include lib/rows
-- @include lib/running
-- @include lib/waiting

local circuit_failures = tonumber(ARGV[2]) -- in a row, for queues without a setting of their own; 0 is never
local circuit_open_ms = tonumber(ARGV[3])
-- Rows from ARGV[4], each: id, attempt, nonce, lapsed, verb, outcome, delay_ms, reason, error, result, http_status, limits

local FINAL = { succeed = "succeeded", die = "dead", cancel = "cancelled" }

local function is_final(state) return state == "succeeded" or state == "dead" or state == "cancelled" end

-- The number of the attempt that runs or was the last to run: one that was spared has given its number back.
local function last_attempt(job)
  local was_spared = job.state == "waiting" and (job.outcome == "snoozed" or job.outcome == "throttled")
  return was_spared and job.attempt + 1 or job.attempt
end

local function is_last(job, row)
  return (row.attempt == "" or tonumber(row.attempt) == last_attempt(job)) and (row.nonce == "" or row.nonce == job.nonce)
end

-- Whether this was said of an attempt that another one has followed since: then it is in the log. Who repeats a receipt
-- because its answer was lost must not be told that it came too late.
local function is_logged(row)
  local entry = '^{"attempt":' .. row.attempt .. ',"startedAt":%w+,"finishedAt":%d+,"outcome":"' .. row.outcome .. '"'
  for _, logged in ipairs(redis.call("LRANGE", attempts_key(row.id), 0, -1)) do
    if string.find(logged, entry) then return true end
  end
  return false
end

-- Whether a success names an attempt that there never was: a number to come, or the last one with another nonce. That of
-- the last is known no more than those of older ones when the next was given back.
local function is_made_up(job, row)
  if row.attempt == "" then return false end
  local last, given = last_attempt(job), tonumber(row.attempt)
  return given > last or (given == last and job.nonce ~= "" and row.nonce ~= "" and row.nonce ~= job.nonce)
end

-- Asked again at the end: its holder may only have been slow, and have renewed the lease since it was found, or its
-- function may have told that it goes on, which leaves the lease as it was.
local function has_lapsed(job)
  if job.heard and job.deadline_at > now then return false end
  return tonumber(redis.call("ZSCORE", running_key(job.queue), job.id)) <= now
end

-- Nil when the row may be applied. `lapsed` is set when only the clock speaks against the attempt.
local function refusal(job, row)
  if not job.state then return "job_not_found" end
  -- Any success repeats a success; anything else only repeats itself when it comes from the same attempt.
  local was_said = job.outcome == row.outcome and (row.verb == "succeed" or is_last(job, row))
  if is_final(job.state) then return was_said and "already_recorded" or "stale_receipt" end
  if job.attempt + job.snoozes + job.throttles == 0 then return "stale_receipt" end
  if row.verb == "succeed" then return is_made_up(job, row) and "stale_receipt" or nil end
  if not is_running_as(job, row.attempt, row.nonce) then
    return job.state == "waiting" and was_said and "already_recorded" or "stale_receipt"
  end
  if row.lapsed ~= "" and not has_lapsed(job) then return "stale_receipt" end
end

local function heed(job, row)
  if row.limits ~= "" then heed_limits(job, row.limits) end
  if row.outcome == "throttled" then
    block_lane(job, tonumber(row.delay_ms), string.find(row.limits, "remaining", 1, true))
  end
  if row.limits ~= "" or row.outcome == "throttled" then touch_lane(job.lane) end
end

-- Whether the worker is at fault: a replica that died is not its affair, and who asks for no further attempt has answered.
local function note_worker(job, row)
  if not job.worker or row.outcome == "lost" then return end
  local queue = load_queue(job.queue)
  local has_failed = (row.outcome == "failure" or row.outcome == "timeout") and row.reason ~= "non_retryable"
  if has_failed then
    note_failure(queue, job.worker, queue.circuit_failures or circuit_failures, queue.circuit_open_ms or circuit_open_ms)
  else
    note_answer(queue, job.worker)
  end
end

-- An attempt that was lost, or had nothing to do, has neither succeeded nor failed.
local function count_attempt(job, row)
  local started_at = job.state == "running" and is_last(job, row) and job.started_at or nil
  if row.outcome == "success" then
    count_end(job.queue, job.worker, "succeeded", started_at)
  elseif row.outcome == "failure" or row.outcome == "timeout" then
    count_end(job.queue, job.worker, "failed", started_at)
  elseif row.outcome == "throttled" then
    count(job.queue .. " throttled")
  end
end

local function leave_index(job)
  if job.state == "running" then
    drop_running(job.id, job.lane)
    redis.call("HDEL", job_key(job.id), "holder", "deadline_at", "answered", "ends_at", "heard")
  else
    drop_waiting(job.id, job.lane, job.priority, job.attempt)
    redis.call("ZREM", expiries_key, job.id)
  end
end

-- What the job says itself about its end: it was to be stopped, or has been tried for long enough.
local function overrule(job, row)
  if job.state ~= "running" or row.verb == "succeed" or row.verb == "cancel" then return end
  if job.cancel_requested then
    row.verb, row.reason = "cancel", job.cancel_requested
  elseif row.verb ~= "die" and job.retry_ms and now + row.delay_ms > job.first_at + job.retry_ms then
    row.verb, row.reason = "die", row.verb == "spare" and row.outcome .. "_out" or "retry_duration_exhausted"
  end
end

local function wait_again(job, row)
  local run_at = now + tonumber(row.delay_ms)
  if job.retry_ms then redis.call("HSET", job_key(job.id), "first_at", job.first_at) end
  local spent = job.attempt
  if row.verb == "spare" then
    spent = spent - 1
    redis.call("HINCRBY", job_key(job.id), row.outcome == "throttled" and "throttles" or "snoozes", 1)
  elseif row.outcome == "lost" then
    redis.call("HINCRBY", job_key(job.id), "lost", 1)
  end
  redis.call("HSET", job_key(job.id), "state", "waiting", "attempt", spent, "run_at", run_at, "outcome", row.outcome)
  put_waiting(job.id, job.lane, job.priority, run_at, spent)
  tell_job("job.retrying", job, state_of_waiting(run_at, spent), "outcome", row.outcome, "next", run_at)
  return "waiting"
end

local function finish(job, row)
  local state = FINAL[row.verb]
  redis.call("HSET", job_key(job.id), "state", state, "outcome", row.outcome, "finished_at", now)
  if row.reason ~= "" then redis.call("HSET", job_key(job.id), "reason", row.reason) end
  if row.result ~= "" then redis.call("HSET", job_key(job.id), "result", row.result) end
  tell_job("job." .. state, job, state, "outcome", row.outcome, "reason", row.reason)
  finish_job(job, state)
  return state
end

local function settle(row)
  local job = load_attempt(row.id)
  local refused = refusal(job, row)
  if refused == "stale_receipt" and row.attempt ~= "" and is_logged(row) then refused = "already_recorded" end
  local attempt = row.attempt ~= "" and row.attempt or last_attempt(job)
  if refused == "stale_receipt" and row.lapsed == "" then
    log_stale(row.id, attempt_entry({}, attempt, "stale", row.http_status, row.error))
  end
  if refused then return { refused, job.state or "" } end
  overrule(job, row)
  count_attempt(job, row)
  leave_index(job)
  if job.state == "running" then heed(job, row) end
  note_worker(job, row)
  -- A success at the first call, and nothing else, is told by the job's own fields.
  local is_first = job.state == "running" and job.attempt + job.snoozes + job.throttles == 1
  if row.verb ~= "succeed" or not is_first or redis.call("EXISTS", attempts_key(row.id)) == 1 then
    local begun = is_last(job, row) and job or {} -- When an older attempt started is not known any more.
    log_attempt(row.id, attempt_entry(begun, attempt, row.outcome, row.http_status, row.error))
  end
  return { "ok", FINAL[row.verb] and finish(job, row) or wait_again(job, row) }
end

local replies = {}
for id, attempt, nonce, lapsed, verb, outcome, delay_ms, reason, error, result, http_status, limits in each_row(4, 12) do
  replies[#replies + 1] = settle({ id = id, attempt = attempt, nonce = nonce, lapsed = lapsed, verb = verb,
    outcome = outcome, delay_ms = delay_ms, reason = reason, error = error, result = result, http_status = http_status,
    limits = limits })
end

save_counts()
return { "ok", replies, offer_touched(), circuit_changes, redis.call("ZCARD", outbox_key) }
