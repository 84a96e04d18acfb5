-- A function tells that it goes on: how far it is, and whether it needs longer.
--
-- With a heartbeat time-out the deadline moves so far from now, up to the end of the attempt; `extend_ms` moves that end.
--
-- Returns {"ok", {{reply, state, deadline_at, cancel_requested}, ...}} with a reply per row: "ok", "stale_receipt" when the
-- attempt is over, or "job_not_found". `cancel_requested` is 1 when somebody wants the function to stop.
-- flags: allow-oom

-- @include lib/clock
-- @include lib/events
-- @include lib/fence
-- @include lib/rows

local window_ms = tonumber(ARGV[1]) -- the longest that an attempt may take in all
-- Rows from ARGV[2], each: id, attempt, nonce, progress, message, extend_ms

local function beat(job, progress, message, extend_ms)
  local ends_at = job.ends_at
  if extend_ms ~= "" then ends_at = math.min(now + tonumber(extend_ms), job.started_at + window_ms) end
  local deadline_at = job.heartbeat_ms and math.min(ends_at, now + job.heartbeat_ms) or ends_at
  redis.call("HSET", job_key(job.id), "deadline_at", string.format("%.0f", deadline_at), "heard", 1)
  if job.heartbeat_ms or extend_ms ~= "" then
    redis.call("HSET", job_key(job.id), "ends_at", string.format("%.0f", ends_at))
  end
  if progress ~= "" then redis.call("HSET", job_key(job.id), "progress", progress) end
  if message ~= "" then redis.call("HSET", job_key(job.id), "message", message) end
  if progress .. message ~= "" then tell_job("job.progress", job, "running", "progress", progress, "message", message) end
  local check_at = deadline_at
  if job.holder then check_at = math.min(check_at, redis.call("ZSCORE", running_key(job.queue), job.id)) end
  redis.call("ZADD", running_key(job.queue), string.format("%.0f", check_at), job.id)
  redis.call("ZADD", deadlines_key, "LT", string.format("%.0f", check_at), job.queue)
  return { "ok", job.state, deadline_at, job.cancel_requested and 1 or 0 }
end

local replies = {}
for id, attempt, nonce, progress, message, extend_ms in each_row(2, 6) do
  local job = load_attempt(id)
  if not job.state then
    replies[#replies + 1] = { "job_not_found", "", 0, 0 }
  elseif is_running_as(job, attempt, nonce) then
    replies[#replies + 1] = beat(job, progress, message, extend_ms)
  else
    replies[#replies + 1] = { "stale_receipt", job.state, 0, 0 }
  end
end

return { "ok", replies }
