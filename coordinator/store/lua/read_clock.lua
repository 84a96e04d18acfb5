-- Read the clock that all scores are made of.
--
-- Returns {"ok", now}.

-- @include lib/clock

return { "ok", now }
