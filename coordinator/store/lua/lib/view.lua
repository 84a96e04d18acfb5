-- What a reader is told of a job: its fields, its attempt log as one JSON list, and why it waits if it does.

-- @include lib/clock
-- @include lib/keys
-- @include lib/reasons

-- Nil when there is no such job. The entries are joined as text: they are JSON already, and user data is never decoded.
local function job_view(id, log_from)
  local fields = redis.call("HGETALL", job_key(id))
  if #fields == 0 then return nil end
  local entries = redis.call("LRANGE", attempts_key(id), log_from, -1)
  local job = {}
  for at = 1, #fields, 2 do job[fields[at]] = fields[at + 1] end
  return { id, fields, "[" .. table.concat(entries, ",") .. "]", job.state == "waiting" and reasons_of(id, job) or {} }
end
