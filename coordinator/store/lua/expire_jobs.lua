-- Give up jobs that were to start by now and have not.
--
-- Returns {"ok", cancelled, due_in_ms}; `due_in_ms` is 0 while more are to be given up.
-- flags: allow-oom

-- @include lib/cancel
-- @include lib/fence

local limit = tonumber(ARGV[2]) -- jobs, at the most

local cancelled = 0
for _, id in ipairs(redis.call("ZRANGEBYSCORE", expiries_key, "-inf", now, "LIMIT", 0, limit)) do
  local job = load_attempt(id)
  redis.call("ZREM", expiries_key, id)
  if job.state == "waiting" and never_called(job) then
    cancel_waiting(job, "expired")
    cancelled = cancelled + 1
  end
end

save_counts()
offer_touched()
return { "ok", cancelled, due_in(expiries_key) }
