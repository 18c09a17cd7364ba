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
  local noted = was[2] .. (redis.call('HGET', BASE .. ':notes:' .. shard, key) or '')
  if redis.call('HSET', BASE .. ':dirty:' .. shard, key, was[1]) == 1 then redis.call('LPUSH', BASE .. ':queue:' .. shard, key) end
  if noted ~= '' then redis.call('HSET', BASE .. ':notes:' .. shard, key, noted) end
end
redis.call('DEL', inflight)
return { 'NONE' }
