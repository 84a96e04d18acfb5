-- Read what others are to be told of: jobs that are final, and batches that are complete.
--
-- Returns {"ok", now, {{entry, written_at, {id, {field, value, ...}, attempts, {}}}, ...}}. The view is {} for a batch, and for
-- a job of which nothing is left.

-- @include lib/view

local limit = tonumber(ARGV[1])

local entries = {}
local found = redis.call("ZRANGE", outbox_key, 0, limit - 1, "WITHSCORES")
for at = 1, #found, 2 do
  entries[#entries + 1] = { found[at], tonumber(found[at + 1]), job_view(found[at], -1) or {} }
end
return { "ok", now, entries }
