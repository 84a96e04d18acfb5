-- Give back what was claimed but surely not sent: the attempt, its token and its count are as if never taken. A job that somebody
-- wanted to be stopped is cancelled.
--
-- Returns {"ok", {reply, ...}, due_in_ms} with a reply per row: "released" or "stale".
-- flags: allow-oom

-- @include lib/cancel
-- @include lib/events
-- @include lib/fence
-- @include lib/rows
-- @include lib/running
-- @include lib/stats
-- @include lib/waiting

-- Rows from ARGV[2], each: id, attempt, nonce

local replies = {}

local function refund_job(job)
  local lane = load_lane(job.lane)
  if lane.bucket then
    refund_unused(lane.bucket, job.cost, job.started_at)
    save_lane(lane)
  end
  if lane.queue.bucket then
    refund_unused(lane.queue.bucket, job.cost, job.started_at)
    save_queue(lane.queue)
  end
end

for id, attempt, nonce in each_row(2, 3) do
  local job = load_attempt(id)
  if is_running_as(job, attempt, nonce) then
    local due_at = redis.call("HGET", job_key(id), "run_at")
    drop_running(id, job.lane)
    -- A job that lost a field is given back all the same; the doctor tells of it.
    if job.started_at and due_at then uncount_start(job.queue, job.started_at - due_at, job.started_at) end
    redis.call("HDEL", job_key(id), "holder", "deadline_at", "started_at", "nonce", "ends_at", "heard", "answered")
    if job.started_at then refund_job(job) end
    job.attempt = job.attempt - 1
    redis.call("HSET", job_key(id), "state", "waiting", "attempt", job.attempt, "run_at", now)
    put_waiting(id, job.lane, job.priority, now, job.attempt)
    local expires_at = redis.call("HGET", job_key(id), "expires_at")
    if not job.cancel_requested then tell_job("job.queued", job, "queued", "cause", "released") end
    if job.cancel_requested then
      cancel_waiting(job, job.cancel_requested)
    elseif expires_at and never_called(job) then
      put_expiry(id, tonumber(expires_at))
    end
    replies[#replies + 1] = "released"
  else
    replies[#replies + 1] = "stale"
  end
end

save_counts()
return { "ok", replies, offer_touched() }
