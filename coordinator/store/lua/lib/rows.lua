-- Batches come as rows: the arguments from `first` on, `width` to a row.

local function each_row(first, width)
  local at = first - width
  return function()
    at = at + width
    if at <= #ARGV then return unpack(ARGV, at, at + width - 1) end
  end
end
