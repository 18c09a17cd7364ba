-- Present: by which time values of states have lapsed. Prepended after graph.lua.

-- Redis's clock, epoch ms, which all workers share; or the time that was given. It may be another one's after a failover: it does not go
-- back by up to a minute, so that what has lapsed is not taken back; one that was further ahead was wrong.
local STEP_BACK = 60000

local function by_clock(given)
  if given ~= '' then return tonumber(given) end
  local now, last = now_ms(), tonumber(redis.call('HGET', META, 'present') or '0')
  return (last > now and last - now <= STEP_BACK) and last or now
end

-- While events come, time passes as they tell: no further than the partition that is furthest behind, of those whose events went on in time just now,
-- and for ten minutes at a stretch at most. So a log that is read late says of no value that it lapsed which the next record shows, and sources that
-- only tell of the past do not stop the time. Where nothing comes it passes by the clock; it never goes back.
local function present(given)
  local now = by_clock(given)
  if given ~= '' then return now end
  local tide, stretch, at = now, 600000, redis.call('HGETALL', BASE .. ':tide')
  for i = 1, #at, 2 do
    local latest, came, since = string.match(at[i + 1], '^(%d+):(%d+):(%d+)$')
    local age = now - tonumber(came)
    if age >= 0 and age < IDLE and now - tonumber(since) < stretch then tide = math.min(tide, tonumber(latest)) end
  end
  return math.max(tide, math.min(now, tonumber(redis.call('HGET', META, 'present') or '0')))
end
