-- Give back what was claimed but surely not sent: the attempt and its token are as if never taken.
--
-- Returns {"ok", {reply, ...}, due_in_ms} with a reply per row: "released" or "stale".
-- flags: allow-oom

-- @include lib/fence
-- @include lib/rows
-- @include lib/waiting
-- @include lib/wheel

-- Rows from ARGV[1], each: id, attempt, nonce

local replies = {}
local queues = {}

local function refund_token(name)
  local queue = load_queue(name)
  if queue.rate_limit then
    queue.tokens = math.min(queue.rate_burst, queue.tokens + 1)
    save_tokens(queue)
  end
end

for id, attempt, nonce in each_row(1, 3) do
  local job = load_attempt(id)
  if is_running_as(job, attempt, nonce) then
    redis.call("ZREM", running_key(job.queue), id)
    redis.call("HDEL", job_key(id), "holder", "deadline_at", "started_at", "nonce")
    redis.call("HSET", job_key(id), "state", "waiting", "attempt", job.attempt - 1, "run_at", now)
    put_waiting(id, job.lane, now, job.attempt - 1)
    refund_token(job.queue)
    queues[job.queue] = true
    replies[#replies + 1] = "released"
  else
    replies[#replies + 1] = "stale"
  end
end

return { "ok", replies, offer_queues(queues) }
