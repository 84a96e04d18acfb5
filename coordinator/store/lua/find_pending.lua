-- Read which of these jobs a batch still waits for.
--
-- Returns {"ok", {id, ...}}.

-- @include lib/keys
-- @include lib/rows

local batch = ARGV[1]
-- Rows from ARGV[2], each: id

local pending = {}
for id in each_row(2, 1) do
  if redis.call("SISMEMBER", left_key(batch), id) == 1 then pending[#pending + 1] = id end
end
return { "ok", pending }
