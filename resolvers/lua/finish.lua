-- End a round that Kafka has committed, or that had nothing to tell. A round that is over already, or another, is left alone.
--
-- KEYS[1]  the space's base key        ARGV[1]  shard        ARGV[2]  number
-- REPLY    {'OK'} | {'GONE'}
--
-- Cost     O(keys in the round)

local round = BASE .. ':round:' .. ARGV[1]
if redis.call('HGET', round, 'number') ~= ARGV[2] then return { 'GONE' } end
redis.call('HDEL', round, 'payload')
redis.call('DEL', BASE .. ':inflight:' .. ARGV[1])
return { 'OK' }
