-- What a check finds, and whether it is mended in the same step: each finding is "mended", "mendable", "open" or "asks".

-- @include lib/finish
-- @include lib/stats

local repair = ARGV[2] -- "1" if what can be mended is to be mended, else ""

local findings, noted = {}, {}

-- A lane is above several lines, a wheel above several lanes: what is wrong with it is told once.
local function add_finding(kind, key, detail, status)
  local told = kind .. key .. detail
  if not noted[told] then findings[#findings + 1] = { kind, key, detail, status } end
  noted[told] = true
end

-- Returns whether to mend it now.
local function note(kind, key, detail)
  add_finding(kind, key, detail, repair == "1" and "mended" or "mendable")
  return repair == "1"
end

-- What no script can mend.
local function note_as_open(kind, key, detail) add_finding(kind, key, detail, "open") end

-- What takes more to mend than a script knows: the caller goes on from here.
local function note_for_caller(kind, key, detail) add_finding(kind, key, detail, "asks") end

local function note_if_kept_for_ever(key, ms)
  if redis.call("PTTL", key) == -1 and note("never_expires", key, "it has no time to live") then
    redis.call("PEXPIRE", key, ms)
  end
end

-- Of what cannot be looked at, for its type or its content, the script tells, and looks at the rest.
local function try(key, check, ...)
  local is_done, error = pcall(check, ...)
  if not is_done then note_as_open("unreadable", key, type(error) == "table" and error.err or tostring(error)) end
end
