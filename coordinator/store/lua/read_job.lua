-- Read one job at one instant.
--
-- Returns {"ok", now, {id, {field, value, ...}, attempts}} with `attempts` a JSON list, or {"job_not_found"}.

-- @include lib/view

local id = ARGV[1]

local view = job_view(id, 0)
if not view or redis.call("HGET", job_key(id), "is_erased") then return { "job_not_found" } end
return { "ok", now, view }
