-- Accept new jobs, due now or later.
--
-- A job that exists already was made by this very call, whose reply was lost; it is left as it is.
--
-- Returns {"ok", now, due_in_ms}; `due_in_ms` is how soon the shard has something to claim if these jobs made that
-- sooner, else -1.

-- @include lib/create
-- @include lib/rows

-- Rows from ARGV[1], each: id, lane, run_at, delay_ms, timeout_ms, traits, spec

for id, lane, run_at, delay_ms, timeout_ms, traits, spec in each_row(1, 7) do
  if redis.call("EXISTS", job_key(id)) == 0 then
    -- A time in the past means now, and takes its place in the line now.
    create_job(id, lane, math.max(now + tonumber(delay_ms), tonumber(run_at)), timeout_ms, traits, spec)
  end
end

return { "ok", now, offer_touched() }
