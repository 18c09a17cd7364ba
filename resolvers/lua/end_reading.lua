-- End the reading of a shard's topics: rounds go on, and what is dirty now is told as recovery.
--
-- KEYS[1]  the space's base key        ARGV[1]  shard        ARGV[2]  the reader's name        ARGV[3]  how many calls it made
-- REPLY    {'OK'} | {'GONE'} another reader has begun, or a call of this one was lost | {'LOST'}
--
-- Cost     O(1)

if lost() then return { 'LOST' } end
if redis.call('HGET', RECOVERY, ARGV[1]) ~= 'reader' .. ARGV[2] .. ':' .. ARGV[3] then return { 'GONE' } end
local queue = BASE .. ':queue:' .. ARGV[1]
if redis.call('EXISTS', BASE .. ':dirty:' .. ARGV[1]) == 0 then redis.call('UNLINK', queue) end
local waiting = redis.call('LLEN', queue)
if waiting > 0 then redis.call('HSET', BASE .. ':round:' .. ARGV[1], 'recovering', waiting) end
redis.call('HDEL', RECOVERY, ARGV[1])
if redis.call('EXISTS', RECOVERY) == 0 then redis.call('DEL', ENDS) end
return { 'OK' }
