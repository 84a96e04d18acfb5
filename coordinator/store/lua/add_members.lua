-- Tell a batch of jobs that it is to wait for, and with `seal` that these were the last that its maker brings.
--
-- A job that ended before it was told of is counted already.
--
-- Returns {"ok"}, {"batch_complete"} when it waits for nothing any more, or {"batch_not_found"}.

-- @include lib/batch
-- @include lib/rows

local id = ARGV[1]
local seal = ARGV[2] -- "1", or ""
-- Rows from ARGV[3], each: job

if redis.call("EXISTS", batch_key(id)) == 0 then return { "batch_not_found" } end
if redis.call("HEXISTS", batch_key(id), "completed_at") == 1 then return { "batch_complete" } end
for job in each_row(3, 1) do
  if redis.call("SISMEMBER", done_key(id), job) == 0 then redis.call("SADD", left_key(id), job) end
end
if seal == "1" then redis.call("HSET", batch_key(id), "sealed", 1) end
if redis.call("HEXISTS", batch_key(id), "sealed") == 1 then
  for _, key in ipairs({ batch_key(id), left_key(id), done_key(id) }) do redis.call("PERSIST", key) end
else
  keep_for(id, UNSEALED_MS)
end
complete_if_done(id)
return { "ok" }
