-- Read the names of the shard's queues.
--
-- Returns {"ok", {queue, ...}}.

-- @include lib/keys

return { "ok", redis.call("SMEMBERS", known_queues_key) }
