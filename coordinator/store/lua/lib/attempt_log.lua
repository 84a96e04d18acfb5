-- The attempt log: one JSON object per attempt that did not succeed at once, oldest first, the last 20.

-- @include lib/clock
-- @include lib/keys

local LOG_LENGTH = 20

-- `error` is JSON, or empty. It is never decoded here: Lua would turn [] into {}.
local function attempt_entry(job, attempt, outcome, http_status, error)
  return '{"attempt":' .. attempt .. ',"startedAt":' .. (job.started_at or "null") .. ',"finishedAt":' .. now
    .. ',"outcome":"' .. outcome .. '","httpStatus":' .. (http_status ~= "" and http_status or "null")
    .. ',"error":' .. (error ~= "" and error or "null") .. "}"
end

local function log_attempt(id, entry)
  redis.call("RPUSH", attempts_key(id), entry)
  redis.call("LTRIM", attempts_key(id), -LOG_LENGTH, -1)
end

-- What came too late is kept to be seen, but never pushes out what happened.
local function log_stale(id, entry)
  if redis.call("LLEN", attempts_key(id)) < LOG_LENGTH then redis.call("RPUSH", attempts_key(id), entry) end
end
