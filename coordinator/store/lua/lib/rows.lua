-- Batches come as rows: the arguments from `first` on, `width` to a row.

local function each_row(first, width)
  local at = first - width
  return function()
    at = at + width
    if at <= #ARGV then return unpack(ARGV, at, at + width - 1) end
  end
end

-- Pairs of a name and a value, all separated by single spaces; no value holds one.
local function read_pairs(text)
  local found = {}
  for name, value in string.gmatch(text, "(%S+) (%S+)") do found[name] = value end
  return found
end
