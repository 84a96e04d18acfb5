-- A request that makes one thing under an id, and may be repeated by the caller's key for it.

-- @include lib/keys

-- What is to be answered to a request that was made before, nil for a new one. With its own id it is this very call, whose
-- reply was lost.
local function replay_of(idempotency, fingerprint, id)
  local known = idempotency ~= "" and redis.call("GET", idempotency_key(idempotency))
  if not known then return nil end
  local before, made = string.match(known, "^(%S+) (%S+)")
  if before ~= fingerprint then return { "idempotency_mismatch" } end
  return { made == id and "ok" or "replayed", made }
end

local function remember_request(idempotency, fingerprint, id, kept_ms)
  if idempotency == "" then return end
  redis.call("SET", idempotency_key(idempotency), fingerprint .. " " .. id, "PX", kept_ms)
end
