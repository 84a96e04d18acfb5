-- Forget all that is in the shard, but who leads it; its clock is the server's again. Only for `coordinator dev`: it looks at every
-- key of the server.
--
-- Returns {"ok", keys}, how many there were.
-- flags: allow-oom

-- @include lib/keys

local KEPT = { [shard .. ":leader"] = true, [shard .. ":epoch"] = true }

local gone = 0
for _, key in ipairs(redis.call("KEYS", shard .. ":*")) do
  if not KEPT[key] then gone = gone + redis.call("DEL", key) end
end

return { "ok", gone }
