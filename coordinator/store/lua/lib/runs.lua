-- The runs of a schedule that live, and the one that is held until they have ended (`overlap` "queue").

-- @include lib/create

local began_held = false -- Its lane is touched: the script has to end with `offer_touched`.

-- The newest tick that found others in its way. Returns false if one is held already.
local function hold_run(schedule, id, lane, timeout_ms, traits, spec)
  if redis.call("EXISTS", held_key(schedule)) == 1 then return false end
  redis.call("HSET", held_key(schedule), "id", id, "lane", lane, "timeout_ms", timeout_ms, "traits", traits, "spec", spec)
  return true
end

local function begin_held(schedule)
  local id, lane, timeout_ms, traits, spec =
    unpack(redis.call("HMGET", held_key(schedule), "id", "lane", "timeout_ms", "traits", "spec"))
  if not id then return end
  redis.call("DEL", held_key(schedule))
  if redis.call("EXISTS", job_key(id)) == 1 then return end
  create_job(id, lane, now, timeout_ms, traits, spec)
  began_held = true
end

local function end_run(schedule, id)
  redis.call("ZREM", live_key(schedule), id)
  if redis.call("EXISTS", live_key(schedule)) == 0 then begin_held(schedule) end
end
