-- Begin a batch. It waits for its jobs until it is sealed and all of them are final.
--
-- Returns {"ok", id}, {"replayed", id} with the id of the batch that the same request made before, or
-- {"idempotency_mismatch"}.
-- acknowledged

-- @include lib/batch
-- @include lib/replay

local id = ARGV[1]
local record = ARGV[2] -- JSON
local idempotency = ARGV[3] -- the caller's key for the request, or ""
local fingerprint = ARGV[4]
local idempotency_ms = ARGV[5]

local replay = replay_of(idempotency, fingerprint, id)
if replay then return replay end
remember_request(idempotency, fingerprint, id, idempotency_ms)
if redis.call("HSETNX", batch_key(id), "created_at", now) == 1 then
  redis.call("HSET", batch_key(id), "record", record)
  keep_for(id, UNSEALED_MS)
end
return { "ok", id }
