-- Read the shard's schedules in the order of their ids, those behind `after` first.
--
-- Returns {"ok", {view, ...}, more} with views of `schedule_view`; `more` is 1 when there may be others behind these.

-- @include lib/schedule

local after = ARGV[1] -- an id, or "" for the beginning
local limit = tonumber(ARGV[2])
local bytes_limit = tonumber(ARGV[3]) -- of their records together; one is read whatever its size

local views, bytes = {}, 0
local from = after == "" and "-" or "(" .. after
for _, id in ipairs(redis.call("ZRANGEBYLEX", schedule_ids_key, from, "+", "LIMIT", 0, limit)) do
  if bytes >= bytes_limit then return { "ok", views, 1 } end
  views[#views + 1] = schedule_view(id)
  bytes = bytes + redis.call("HSTRLEN", schedule_key(id), "record")
end
return { "ok", views, #views == limit and 1 or 0 }
