-- The functions have these jobs, or may have them: only a receipt or the deadline ends the attempts from now on.
--
-- Returns {"ok", {reply, ...}} with a reply per row: "detached", or "stale" when the attempt is over already.
-- flags: allow-oom

-- @include lib/fence
-- @include lib/rows

-- Rows from ARGV[1], each: id, attempt, nonce

local replies = {}
for id, attempt, nonce in each_row(1, 3) do
  local job = load_attempt(id)
  if is_running_as(job, attempt, nonce) then
    redis.call("HDEL", job_key(id), "holder")
    redis.call("ZADD", running_key(job.queue), "XX", job.deadline_at, id)
    replies[#replies + 1] = "detached"
  else
    replies[#replies + 1] = "stale"
  end
end

return { "ok", replies }
