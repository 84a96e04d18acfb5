-- Read what others are to be told of: jobs that are final, and batches that are complete.
--
-- Returns {"ok", now, {{id, {field, value, ...}, attempts, {}}, ...}, {batch, ...}}.

-- @include lib/view

local limit = tonumber(ARGV[1])

local views, batches = {}, {}
for _, entry in ipairs(redis.call("ZRANGE", outbox_key, 0, limit - 1)) do
  local batch = string.match(entry, "^batch:(.+)$")
  if batch then
    batches[#batches + 1] = batch
  else
    views[#views + 1] = job_view(entry, -1)
  end
end
return { "ok", now, views, batches }
