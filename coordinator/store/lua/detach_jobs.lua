-- The functions have these jobs, or may have them: only a receipt or the deadline ends the attempts from now on.
--
-- `answered` is what came of the call, for people: an HTTP status, or how the connection ended; "" if nothing did.
--
-- A worker that took the job is tried with others again, but its failures so far are not forgotten: it has only said that
-- it will do the work.
--
-- Returns {"ok", {reply, ...}, {{"closed", queue, worker, 0}, ...}} with a reply per row: "detached", or "stale" when the
-- attempt is over already.
-- flags: allow-oom

-- @include lib/circuit
-- @include lib/fence
-- @include lib/rows

-- Rows from ARGV[1], each: id, attempt, nonce, answered

local replies = {}
for id, attempt, nonce, answered in each_row(1, 4) do
  local job = load_attempt(id)
  if is_running_as(job, attempt, nonce) then
    redis.call("HDEL", job_key(id), "holder")
    if answered ~= "" then redis.call("HSET", job_key(id), "answered", answered) end
    if string.find(answered, "^2%d%d$") and job.worker then note_acceptance(load_queue(job.queue), job.worker) end
    redis.call("ZADD", running_key(job.queue), "XX", job.deadline_at, id)
    replies[#replies + 1] = "detached"
  else
    replies[#replies + 1] = "stale"
  end
end

return { "ok", replies, circuit_changes }
