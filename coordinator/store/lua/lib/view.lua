-- What a reader is told of a job: its fields, and its attempt log as one JSON list.

-- @include lib/clock
-- @include lib/keys

-- Nil when there is no such job. The entries are joined as text: they are JSON already, and user data is never decoded.
local function job_view(id, log_from)
  local fields = redis.call("HGETALL", job_key(id))
  if #fields == 0 then return nil end
  local entries = redis.call("LRANGE", attempts_key(id), log_from, -1)
  return { id, fields, "[" .. table.concat(entries, ",") .. "]" }
end
