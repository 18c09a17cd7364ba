-- Take the case that has been due for longest, for some time; who had it before is fenced.
--
-- KEYS[1]  the space's base key        ARGV[1]  for how long, ms
-- REPLY    {'NONE', cases that wait} | {'OK', case, fence, epoch, seq} | {'LOST'}
--
-- Cost     O(log cases)

if lost() then return { 'LOST' } end
shards = tonumber(redis.call('HGET', META, 'shards'))
local now = now_ms()
local case = redis.call('ZRANGEBYSCORE', DUE, '-inf', now, 'LIMIT', 0, 1)[1]
if not case then return { 'NONE', redis.call('ZCARD', DUE) } end
local key = BASE .. ':case:' .. case
local fence = redis.call('HINCRBY', key, 'fence', 1)
redis.call('HSET', key, 'leased', now + tonumber(ARGV[1]), 'started', now)
redis.call('ZADD', DUE, now + tonumber(ARGV[1]), case)
local epoch, seq = unpack(redis.call('HMGET', key, 'epoch', 'seq'))
return { 'OK', tonumber(case), fence, tonumber(epoch), tonumber(seq) }
