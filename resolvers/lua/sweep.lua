-- Go on with the oldest sweep: mark the identifiers and memberships of a part whose id changed.
--
-- KEYS[1]  the space's base key        ARGV[1]  most identifiers, links and memberships to visit
-- REPLY    {'OK', sweeps that remain} | {'LOST'}
--
-- Cost     O(visits), bounded by the argument
-- Keeps    A sweep's place is written with what it marked, so it goes on after any crash, in any worker.

if lost() then return { 'LOST' } end
buckets, shards = unpack(redis.call('HMGET', META, 'buckets', 'shards'))
buckets, shards = tonumber(buckets), tonumber(shards)

local name = redis.call('LINDEX', BASE .. ':sweepq', 0)
if not name then return { 'OK', 0 } end
local at, stop, where, way, cursor, again = struct.unpack(SWEEP, redis.call('HGET', BASE .. ':sweeps', name))

local place, left, done = { at = where, way = way, cursor = cursor }, tonumber(ARGV[1]), false
while left > 0 and not done do
  local n, over = node(at), false
  if place.way == 3 then
    retell_identifier(n)
    left = left - 1
    place.at, place.way = has(n, HOLDS) and n.head or 0, 0
  end
  left, over = retell_links(n, place, left)
  if over then
    at, place = n.next, { at = 0, way = 3, cursor = NOTHING }
    local alone = string.byte(name, 6) == 1 -- of this node alone
    if alone or at == stop then
      done = again == 0
      if alone then at = n.id else stop = node(at).next end
      again = 0
    end
  end
end

flush()
if done then
  redis.call('LPOP', BASE .. ':sweepq')
  redis.call('HDEL', BASE .. ':sweeps', name)
else
  redis.call('HSET', BASE .. ':sweeps', name, struct.pack(SWEEP, at, stop, place.at, place.way, place.cursor, again))
end
return { 'OK', redis.call('LLEN', BASE .. ':sweepq') }
