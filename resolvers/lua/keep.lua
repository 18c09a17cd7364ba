-- Store the bytes of a round before anything of it is sent, so that a resend is the same.
--
-- KEYS[1]  the space's base key        ARGV[1]  shard        ARGV[2]  number        ARGV[3]  payload
-- ARGV[4]  the taker's name        ARGV[5]  msgpack {{founder's digest, states as this round tells them or '', epoch ms at which the next value lapses or 0}, ...}
-- REPLY    {'OK'} | {'LOST'} | {'GONE'} the round is not in flight: another publisher has taken over
--
-- Cost     O(entities in the round that have states)

if lost() then return { 'LOST' } end
local round = BASE .. ':round:' .. ARGV[1]
if redis.call('HGET', round, 'number') ~= ARGV[2] or redis.call('HGET', round, 'taker') ~= ARGV[4] or redis.call('EXISTS', BASE .. ':inflight:' .. ARGV[1]) == 0 then return { 'GONE' } end
if redis.call('HEXISTS', round, 'payload') == 1 then return { 'GONE' } end
redis.call('HSET', round, 'payload', ARGV[3])
buckets = tonumber(redis.call('HGET', META, 'buckets'))
for _, told in ipairs(cmsgpack.unpack(ARGV[5])) do
  local digest, states, lapses = unpack(told)
  local n = node_of(digest)
  local key, field = page('s', n.id)
  if states ~= '' then redis.call('HSET', key, field, states) else redis.call('HDEL', key, field) end
  if lapses > 0 then
    redis.call('ZADD', BASE .. ':lapses:' .. ARGV[1], lapses, digest)
  else
    redis.call('ZREM', BASE .. ':lapses:' .. ARGV[1], digest)
  end
end
return { 'OK' }
