-- Read the shard's schedules in the order of their ids, those behind `after` first.
--
-- Returns {"ok", {view, ...}} with views of `schedule_view`.

-- @include lib/schedule

local after = ARGV[1] -- an id, or "" for the beginning
local limit = tonumber(ARGV[2])

local views = {}
local from = after == "" and "-" or "(" .. after
for _, id in ipairs(redis.call("ZRANGEBYLEX", schedule_ids_key, from, "+", "LIMIT", 0, limit)) do
  views[#views + 1] = schedule_view(id)
end
return { "ok", views }
