-- Begin a batch. It waits for its jobs until it is sealed and all of them are final.
--
-- Returns {"ok", id}, {"replayed", id} with the id of the batch that the same request made before, or
-- {"idempotency_mismatch"}.

-- @include lib/batch

local id = ARGV[1]
local record = ARGV[2] -- JSON
local idempotency = ARGV[3] -- the caller's key for the request, or ""
local fingerprint = ARGV[4]
local idempotency_ms = ARGV[5]

if idempotency ~= "" then
  local known = redis.call("GET", idempotency_key(idempotency))
  if known then
    local before, made = string.match(known, "^(%S+) (%S+)")
    if before ~= fingerprint then return { "idempotency_mismatch" } end
    -- With its own id it is this very call, whose reply was lost.
    return { made == id and "ok" or "replayed", made }
  end
  redis.call("SET", idempotency_key(idempotency), fingerprint .. " " .. id, "PX", idempotency_ms)
end
if redis.call("HSETNX", batch_key(id), "created_at", now) == 1 then
  redis.call("HSET", batch_key(id), "record", record)
  keep_for(id, UNSEALED_MS)
end
return { "ok", id }
