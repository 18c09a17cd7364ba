-- Store the bytes of a round before anything of it is sent, so that a resend is the same; and have those told again around whom something changed by it.
--
-- KEYS[1]  the space's base key        ARGV[1]  shard        ARGV[2]  number        ARGV[3]  payload
-- ARGV[4]  the taker's name        ARGV[5]  msgpack {{founder's digest, states as this round tells them or '', epoch ms at which the next value lapses or 0,
--          what follows: 1 its groups are told again + 2 its members are + 4 it is itself, for how many ms it rests or nothing}, ...}; of a membership that was told {both founders' digests}
-- REPLY    {'OK'} | {'LOST'} | {'GONE'} the round is not in flight: another publisher has taken over
--
-- Cost     O(entities and memberships in the round, and 8 INLINE around them): more are left to `carry`

if lost() then return { 'LOST' } end
local round = BASE .. ':round:' .. ARGV[1]
if redis.call('HGET', round, 'number') ~= ARGV[2] or redis.call('HGET', round, 'taker') ~= ARGV[4] or redis.call('EXISTS', BASE .. ':inflight:' .. ARGV[1]) == 0 then return { 'GONE' } end
if redis.call('HEXISTS', round, 'payload') == 1 then return { 'GONE' } end
buckets, shards = unpack(redis.call('HMGET', META, 'buckets', 'shards'))
buckets, shards = tonumber(buckets), tonumber(shards)
read_unread()

local left = 8 * INLINE -- of those around that this call marks itself

local function spread(kind, digest)
  local key, name = BASE .. ':' .. kind .. ':' .. digest, kind .. digest
  local count = redis.call('SCARD', key)
  if count <= INLINE and count <= left then
    left = left - count
    for _, other in ipairs(redis.call('SMEMBERS', key)) do mark_living(other) end
  elseif redis.call('HSETNX', BASE .. ':carries', name, '0 0') == 1 then
    redis.call('RPUSH', BASE .. ':carryq', name)
  else -- it goes on where it is, and then round once more
    redis.call('HSET', BASE .. ':carries', name, string.match(redis.call('HGET', BASE .. ':carries', name), '^%d+') .. ' 1')
  end
end

for _, told in ipairs(cmsgpack.unpack(ARGV[5])) do
  local digest, states, lapses, means, rests = unpack(told)
  if #digest == 32 then
    mark_living(string.sub(digest, 1, 16))
    mark_living(string.sub(digest, 17))
  else
    local n = node_of(digest)
    local key, field = page('s', n.id)
    if states ~= '' then redis.call('HSET', key, field, states) else redis.call('HDEL', key, field) end
    if lapses > 0 then
      redis.call('ZADD', BASE .. ':lapses:' .. ARGV[1], lapses, digest)
    else
      redis.call('ZREM', BASE .. ':lapses:' .. ARGV[1], digest)
    end
    if rests then redis.call('ZADD', BASE .. ':rests:' .. ARGV[1], now_ms() + rests, digest) end
    if means % 2 == 1 then spread('b', digest) end
    if means % 4 > 1 then spread('B', digest) end
    if means >= 4 then mark_living(digest) end
  end
end
redis.call('HSET', round, 'payload', ARGV[3])
flush()
return { 'OK' }
