-- Others have been told of these. A job that was to be erased meanwhile is erased now.
--
-- Returns {"ok", due_in_ms}; `due_in_ms` is 0 while more is to be told, else -1.
-- flags: allow-oom

-- @include lib/erase
-- @include lib/rows

-- Rows from ARGV[1], each: entry

for entry in each_row(1, 1) do
  redis.call("ZREM", outbox_key, entry)
  if redis.call("HGET", job_key(entry), "is_erased") then erase_job(entry) end
end
return { "ok", redis.call("ZCARD", outbox_key) > 0 and 0 or -1 }
