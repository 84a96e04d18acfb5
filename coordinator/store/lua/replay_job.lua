-- Have a dead or cancelled job tried anew with other args.
--
-- The same request repeated (its reply was lost) leaves what it did.
--
-- Returns {"ok", due_in_ms}, {"changed"} when somebody else edited it since it was read, or as `lib/retry` refuses it
-- {"invalid_state", state}, {"untold", state} or {"unique_conflict", state}, or {"job_not_found"}.
-- acknowledged

-- @include lib/events
-- @include lib/fence
-- @include lib/retry

local id = ARGV[1]
local edits = ARGV[2] -- how often it had been edited when it was read
local request = ARGV[3] -- this call's random id
local spec = ARGV[4]

local job = load_attempt(id)
if not job.state or job.is_erased then return { "job_not_found" } end
local known, changed_by = unpack(redis.call("HMGET", job_key(id), "edits", "changed_by"))
if changed_by == request then return { "ok", -1 } end
if (known or "0") ~= edits then return { "changed" } end
local reply = try_anew(job, request)
if reply ~= "retried" then return { reply, job.state } end
redis.call("HSET", job_key(id), "spec", spec)
redis.call("HINCRBY", job_key(id), "edits", 1)
tell_job("job.changed", job, "queued")
return { "ok", offer_touched() }
