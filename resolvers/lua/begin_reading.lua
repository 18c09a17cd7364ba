-- Begin to read the topics of a shard that is unread; whoever read them before is fenced.
--
-- KEYS[1]  the space's base key        ARGV[1]  shard        ARGV[2]  the reader's name, one for each reading
-- REPLY    {'OK'} | {'GONE'} the shard is not to be read | {'LOST'}
--
-- Cost     O(1)

if lost() then return { 'LOST' } end
local state = redis.call('HGET', RECOVERY, ARGV[1])
if state ~= 'unread' and string.sub(state or '', 1, 6) ~= 'reader' then return { 'GONE' } end
redis.call('HSET', RECOVERY, ARGV[1], 'reader' .. ARGV[2] .. ':0')
return { 'OK' }
