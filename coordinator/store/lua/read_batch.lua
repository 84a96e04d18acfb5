-- Read a batch, and a page of the jobs that it waits for.
--
-- Returns {"ok", {field, value, ...}, pending, cursor, {job, ...}} with the number of jobs that it waits for; the cursor is "0"
-- at the end. Or {"batch_not_found"}.

-- @include lib/keys

local id = ARGV[1]
local cursor = ARGV[2]
local limit = tonumber(ARGV[3]) -- jobs, about; 0 for none

local fields = redis.call("HGETALL", batch_key(id))
if #fields == 0 then return { "batch_not_found" } end
local found = limit > 0 and redis.call("SSCAN", left_key(id), cursor, "COUNT", limit) or { "0", {} }
return { "ok", fields, redis.call("SCARD", left_key(id)), found[1], found[2] }
