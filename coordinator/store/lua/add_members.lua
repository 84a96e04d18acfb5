-- Tell a batch of jobs that it is to wait for, and with `seal` that these were the last that its maker brings.
--
-- A job that ended before it was told of is counted already.
--
-- Returns {"ok", {job, ...}} with the jobs that come too late, because the batch is complete without them; or
-- {"batch_not_found"}.
-- acknowledged

-- @include lib/batch
-- @include lib/rows

local id = ARGV[1]
local seal = ARGV[2] -- "1", or ""
local refused = ARGV[3] -- with `seal`: how many jobs its maker could not bring; else ""
-- Rows from ARGV[4], each: job

if redis.call("EXISTS", batch_key(id)) == 0 then return { "batch_not_found" } end
local is_complete = redis.call("HEXISTS", batch_key(id), "completed_at") == 1
local late = {}
for job in each_row(4, 1) do
  if redis.call("SISMEMBER", done_key(id), job) == 0 then
    if is_complete then
      late[#late + 1] = job
    else
      redis.call("SADD", left_key(id), job)
    end
  end
end
if is_complete then return { "ok", late } end
if seal == "1" then redis.call("HSET", batch_key(id), "sealed", 1, "refused", refused) end
if redis.call("HEXISTS", batch_key(id), "sealed") == 1 then
  for _, key in ipairs({ batch_key(id), left_key(id), done_key(id) }) do redis.call("PERSIST", key) end
else
  keep_with_batch(id)
end
complete_if_done(id)
return { "ok", late }
