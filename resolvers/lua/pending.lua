-- Find what a shard's former publisher left: the bytes of a kept round, or undo a round that was never kept.
--
-- KEYS[1]  the space's base key        ARGV[1]  shard
-- REPLY    {'NONE'} | {'KEPT', number, payload}
--
-- Cost     O(keys in the round)
-- Keeps    What was told last stays that of the older marking, so no change is told twice or skipped.

local shard = ARGV[1]
local round, inflight = BASE .. ':round:' .. shard, BASE .. ':inflight:' .. shard
local payload = redis.call('HGET', round, 'payload')
if payload then return { 'KEPT', tonumber(redis.call('HGET', round, 'number')), payload } end

local entries = redis.call('HGETALL', inflight)
for i = 1, #entries, 2 do
  local key, was = entries[i], cmsgpack.unpack(entries[i + 1])
  if redis.call('HSET', BASE .. ':dirty:' .. shard, key, was[1]) == 1 then redis.call('LPUSH', BASE .. ':queue:' .. shard, key) end
  for at = #was[2] - 21, 1, -22 do redis.call('LPUSH', BASE .. ':note:' .. key, string.sub(was[2], at, at + 21)) end
end
redis.call('DEL', inflight)
return { 'NONE' }
