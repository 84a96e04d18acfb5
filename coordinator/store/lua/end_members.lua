-- Tell a batch of jobs that are final. What it was told before changes nothing, nor does what comes when it is complete.
--
-- Returns {"ok", due_in_ms}; `due_in_ms` is 0 when others are to be told that the batch is complete, else -1.
-- acknowledged
-- flags: allow-oom

-- @include lib/batch
-- @include lib/rows

local id = ARGV[1]
-- Rows from ARGV[2], each: job, state

local FINAL = { succeeded = true, dead = true, cancelled = true }

if redis.call("EXISTS", batch_key(id)) == 1 and redis.call("HEXISTS", batch_key(id), "completed_at") == 0 then
  for job, state in each_row(2, 2) do
    if FINAL[state] then
      if redis.call("SADD", done_key(id), job) == 1 then redis.call("HINCRBY", batch_key(id), state, 1) end
      redis.call("SREM", left_key(id), job)
    end
  end
  keep_with_batch(id)
  complete_if_done(id)
end
return { "ok", redis.call("ZSCORE", outbox_key, "batch:" .. id) and 0 or -1 }
