-- Set or remove settings of a queue; what is running is left alone.
--
-- Returns {"ok", due_in_ms} as enqueue does.
-- flags: allow-oom

-- @include lib/rows
-- @include lib/wheel

local name = ARGV[1]
-- Rows from ARGV[2], each: field, value

for field, value in each_row(2, 2) do
  if value == "" then
    redis.call("HDEL", queue_key(name), field)
  else
    redis.call("HSET", queue_key(name), field, value)
  end
end
redis.call("SADD", known_queues_key, name)
for _, state in ipairs({ "succeeded", "dead", "cancelled" }) do
  -- The retention may be shorter now: look again.
  if redis.call("EXISTS", finished_key(state, name)) == 1 then redis.call("ZADD", purges_key, now, state .. ":" .. name) end
end

local queue = load_queue(name)
if queue.rate_limit then
  save_tokens(queue)
else
  redis.call("HDEL", queue_key(name), "tokens", "refilled_at")
end
redis.call("ZREM", queues_key, name)
return { "ok", offer_queue(queue) or -1 }
