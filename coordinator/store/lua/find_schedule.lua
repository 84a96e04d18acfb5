-- Read which schedule a name stands for.
--
-- Returns {"ok", id}, "" for none.

-- @include lib/keys

local name = ARGV[1]

return { "ok", redis.call("HGET", schedule_names_key, name) or "" }
