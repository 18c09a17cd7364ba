-- Find what a shard's former publisher left: the bytes of a kept round, or undo a round that was never kept.
--
-- KEYS[1]  the space's base key        ARGV[1]  shard        ARGV[2]  number of the last round that Kafka has
-- ARGV[3]  the caller's name, who takes the round over
-- REPLY    {'NONE'} | {'KEPT', number, payload} | {'BEHIND', number} Kafka has more than the graph: writes were lost | {'LOST'}
--
-- Cost     O(keys in the round)

if lost() then return { 'LOST' } end
local shard = ARGV[1]
local round = BASE .. ':round:' .. shard
if behind(shard, tonumber(ARGV[2])) then return { 'BEHIND', tonumber(redis.call('HGET', round, 'number') or '0') } end
local payload = redis.call('HGET', round, 'payload')
if payload then
  redis.call('HSET', round, 'taker', ARGV[3])
  return { 'KEPT', tonumber(redis.call('HGET', round, 'number')), payload }
end
undo(shard)
return { 'NONE' }
