-- Read one schedule.
--
-- Returns {"ok", now, view} with the view of `schedule_view`, or {"schedule_not_found"}.

-- @include lib/schedule

local id = ARGV[1]

local view = schedule_view(id)
if not view then return { "schedule_not_found" } end
return { "ok", now, view }
