-- Write a schedule, if it is still as it was read. A new version makes any fire that was computed from the old one void.
--
-- Returns {"ok", id}; {"changed", id} if the version is another, unless this very call made it so and its reply was lost; or
-- for a request that was made before {"replayed", id} or {"idempotency_mismatch"}.
-- acknowledged

-- @include lib/replay
-- @include lib/schedule

local id = ARGV[1]
local version = ARGV[2] -- that was read, 0 for a new schedule
local record = ARGV[3] -- JSON
local next_at = ARGV[4] -- ms, or "" when there is no further tick
local paused = ARGV[5] -- "1", or ""
local name = ARGV[6] -- the caller's own for it, or ""
local idempotency = ARGV[7] -- the caller's key for the request, or ""
local fingerprint = ARGV[8]
local idempotency_ms = ARGV[9]

local replay = replay_of(idempotency, fingerprint, id)
if replay then return replay end

local now_version, now_record, now_paused = unpack(redis.call("HMGET", schedule_key(id), "version", "record", "paused"))
if (now_version or "0") ~= version then
  return { now_record == record and (now_paused or "") == paused and "ok" or "changed", id }
end
redis.call("HSET", schedule_key(id), "version", version + 1, "record", record)
redis.call("HSETNX", schedule_key(id), "created_at", now)
if name ~= "" then redis.call("HSET", schedule_key(id), "name", name) end
redis.call("ZADD", schedule_ids_key, 0, id)
if paused == "1" then
  redis.call("HSET", schedule_key(id), "paused", 1)
  redis.call("HDEL", schedule_key(id), "ended_at", "put_off_tick")
  redis.call("ZADD", schedules_key, "inf", id)
else
  redis.call("HDEL", schedule_key(id), "paused")
  set_next(id, next_at)
end
remember_request(idempotency, fingerprint, id, idempotency_ms)
return { "ok", id }
