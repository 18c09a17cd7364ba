-- End a round that Kafka has committed, or that had nothing to tell. A round that is over already, or another, is left alone.
--
-- KEYS[1]  the space's base key        ARGV[1]  shard        ARGV[2]  number        ARGV[3]  the taker's name
-- REPLY    {'OK'} | {'GONE'} | {'LOST'}
--
-- Cost     O(keys in the round)

if lost() then return { 'LOST' } end
local round = BASE .. ':round:' .. ARGV[1]
if redis.call('HGET', round, 'number') ~= ARGV[2] or redis.call('HGET', round, 'taker') ~= ARGV[3] then return { 'GONE' } end
local left = tonumber(redis.call('HGET', round, 'recovering') or '0') - redis.call('HLEN', BASE .. ':inflight:' .. ARGV[1])
redis.call('HDEL', round, 'payload')
if left > 0 then redis.call('HSET', round, 'recovering', left) else redis.call('HDEL', round, 'recovering') end
redis.call('DEL', BASE .. ':inflight:' .. ARGV[1])
return { 'OK' }
