-- Store the bytes of a round before anything of it is sent, so that a resend is the same.
--
-- KEYS[1]  the space's base key        ARGV[1]  shard        ARGV[2]  number        ARGV[3]  payload
-- ARGV[4]  the taker's name
-- REPLY    {'OK'} | {'LOST'} | {'GONE'} the round is not in flight: another publisher has taken over
--
-- Cost     O(1)

if lost() then return { 'LOST' } end
local round = BASE .. ':round:' .. ARGV[1]
if redis.call('HGET', round, 'number') ~= ARGV[2] or redis.call('HGET', round, 'taker') ~= ARGV[4] or redis.call('EXISTS', BASE .. ':inflight:' .. ARGV[1]) == 0 then return { 'GONE' } end
if redis.call('HEXISTS', round, 'payload') == 1 then return { 'GONE' } end
redis.call('HSET', round, 'payload', ARGV[3])
return { 'OK' }
