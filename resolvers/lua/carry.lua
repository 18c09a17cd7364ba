-- Go on with having those told again around whom something changed: the groups or the members of one that has very many.
--
-- KEYS[1]  the space's base key        ARGV[1]  about how many to visit
-- REPLY    {'OK', how many such remain} | {'LOST'}
--
-- Cost     O(visits)
-- Keeps    Who is there all the while is visited. Who comes meanwhile is told again by the round that tells the membership.

if lost() then return { 'LOST' } end
local name = redis.call('LINDEX', BASE .. ':carryq', 0)
if not name then return { 'OK', 0 } end
buckets, shards = unpack(redis.call('HMGET', META, 'buckets', 'shards'))
buckets, shards = tonumber(buckets), tonumber(shards)
read_unread()

local cursor, again = string.match(redis.call('HGET', BASE .. ':carries', name), '^(%d+) (%d)$')
local found
cursor, found = unpack(redis.call('SSCAN', BASE .. ':' .. string.sub(name, 1, 1) .. ':' .. string.sub(name, 2), cursor, 'COUNT', ARGV[1]))
for _, other in ipairs(found) do mark_living(other) end
flush()
if cursor ~= '0' or again == '1' then
  redis.call('HSET', BASE .. ':carries', name, cursor .. (cursor == '0' and ' 0' or ' ' .. again))
else
  redis.call('HDEL', BASE .. ':carries', name)
  redis.call('LPOP', BASE .. ':carryq')
end
return { 'OK', redis.call('LLEN', BASE .. ':carryq') }
