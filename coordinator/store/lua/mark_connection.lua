-- Write something and take it back, so that WAIT and WAITAOF on this connection wait for all that was written before.
--
-- Returns {"ok"}
-- flags: allow-oom

-- @include lib/keys

redis.call("SET", mark_key, "")
redis.call("DEL", mark_key)

return { "ok" }
