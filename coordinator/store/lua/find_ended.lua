-- Read which of these jobs have ended and are not to be told of any more, or do not exist.
--
-- Returns {"ok", {{id, state}, ...}} with "" as the state of one that does not exist.

-- @include lib/keys
-- @include lib/rows

-- Rows from ARGV[1], each: id

local ended = {}
for id in each_row(1, 1) do
  local state = redis.call("HGET", job_key(id), "state") or ""
  local is_live = state == "waiting" or state == "running"
  if not is_live and not redis.call("ZSCORE", outbox_key, id) then ended[#ended + 1] = { id, state } end
end
return { "ok", ended }
