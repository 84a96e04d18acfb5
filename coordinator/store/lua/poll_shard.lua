-- Read how soon the shard has something to do: six instants in one trip.
--
-- Returns {"ok", claim_in, lapse_in, fire_in, purge_in, expire_in, tell_in} in ms: 0 is now, -1 is never.

-- @include lib/wheel

return { "ok", due_in(queues_key), due_in(deadlines_key), due_in(schedules_key), due_in(purges_key),
  due_in(expiries_key), due_in(outbox_key) }
