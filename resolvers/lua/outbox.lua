-- Outbox: a shard's round, as the scripts that do not touch the graph see it. Prepended after records.lua.

-- Give the keys of a round that was taken, and of which nothing was sent, back to the queue. What was told last stays
-- that of the older marking, so no change is told twice or skipped.
local function undo(shard)
  local inflight = BASE .. ':inflight:' .. shard
  local entries = redis.call('HGETALL', inflight)
  for i = 1, #entries, 2 do
    local key, was = entries[i], cmsgpack.unpack(entries[i + 1])
    local marked = redis.call('HGET', BASE .. ':dirty:' .. shard, key)
    if not marked then redis.call('LPUSH', BASE .. ':queue:' .. shard, key) end
    if not marked or string.byte(marked) ~= 88 then redis.call('HSET', BASE .. ':dirty:' .. shard, key, was[1]) end -- 'X' says all that is known
    if was[3] ~= 0 then -- what was told of an id that ended, before
      local where, field = page('g', was[3])
      if was[4] ~= '' then redis.call('HSET', where, field, was[4]) else redis.call('HDEL', where, field) end
    end
    for at = #was[2] - 21, 1, -22 do redis.call('LPUSH', BASE .. ':note:' .. key, string.sub(was[2], at, at + 21)) end
  end
  redis.call('DEL', inflight)
  local round = BASE .. ':round:' .. shard
  if redis.call('HEXISTS', round, 'recovering') == 1 then redis.call('HSET', round, 'recovering', redis.call('LLEN', BASE .. ':queue:' .. shard)) end
end

-- Whether Kafka has a later round of a shard than the graph knows, or has the one that was never kept: writes were lost.
local function behind(shard, told)
  local round = BASE .. ':round:' .. shard
  local number = tonumber(redis.call('HGET', round, 'number') or '0')
  if number ~= told then return number < told end
  return redis.call('EXISTS', BASE .. ':inflight:' .. shard) == 1 and redis.call('HEXISTS', round, 'payload') == 0
end
