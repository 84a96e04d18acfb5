-- Others have been told of these. A job that was to be erased meanwhile is erased now.
--
-- A job that was tried anew since others were told may have ended again: of its second end nobody has been told.
--
-- Returns {"ok", due_in_ms}; `due_in_ms` is 0 while more is to be told, else -1.
-- flags: allow-oom

-- @include lib/erase
-- @include lib/rows

-- Rows from ARGV[1], each: entry, written_at

for entry, written_at in each_row(1, 2) do
  local score = redis.call("ZSCORE", outbox_key, entry)
  if score and tonumber(score) == tonumber(written_at) then
    redis.call("ZREM", outbox_key, entry)
    if redis.call("HGET", job_key(entry), "is_erased") then erase_job(entry) end
  end
end
return { "ok", redis.call("ZCARD", outbox_key) > 0 and 0 or -1 }
