-- Present: by which time values of states have lapsed. Prepended after graph.lua.

-- The present, epoch ms: as it was given, or by Redis's clock, which all workers share. That may be another one's after a failover: it does not go
-- back by up to a minute, so that what has lapsed is not taken back; one that was further ahead was wrong.
local STEP_BACK = 60000

local function present(given)
  if given ~= '' then return tonumber(given) end
  local now, last = now_ms(), tonumber(redis.call('HGET', META, 'present') or '0')
  return (last > now and last - now <= STEP_BACK) and last or now
end

