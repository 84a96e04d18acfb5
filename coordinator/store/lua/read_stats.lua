-- Read what was counted in the last minutes, the one that runs included.
--
-- Returns {"ok", minute, {{minute, counters}, ...}, after}: the minute that runs, those in which something was counted, and
-- the one behind which to go on, or "" at the end. Some thousand counters are read at once, whatever was asked; those of a
-- minute are one text, a line for each name and each number: they are many.

-- @include lib/stats

local minutes = tonumber(ARGV[1])
local after = tonumber(ARGV[2]) -- a minute, or 0

local READ_MOST = 2000

local read, found = 0, {}
for minute = math.max(MINUTE - minutes, after) + 1, MINUTE do
  local fields = redis.call("HGETALL", stats_key(minute))
  if #fields > 0 then found[#found + 1] = { minute, table.concat(fields, "\n") } end
  read = read + #fields / 2
  if read >= READ_MOST and minute < MINUTE then return { "ok", MINUTE, found, string.format("%.0f", minute) } end
end
return { "ok", MINUTE, found, "" }
