-- Go on with the oldest sweep: mark the identifiers and memberships of a part whose id changed.
--
-- KEYS[1]  the space's base key        ARGV[1]  most identifiers and memberships to visit
-- REPLY    {'OK', sweeps that remain} | {'LOST'}
--
-- Cost     O(visits), bounded by the argument
-- Keeps    A sweep's place is written with what it marked, so it goes on after any crash, in any worker.

if lost() then return { 'LOST' } end
buckets, shards = unpack(redis.call('HMGET', META, 'buckets', 'shards'))
buckets, shards = tonumber(buckets), tonumber(shards)

local name = redis.call('LINDEX', BASE .. ':sweepq', 0)
if not name then return { 'OK', 0 } end
local at, stop, phase, cursor, again = struct.unpack('>I5I5Bc10B', redis.call('HGET', BASE .. ':sweeps', name))

local done = false
for _ = 1, tonumber(ARGV[1]) do
  local n = node(at)
  if phase == 0 then
    retell_identifier(n)
    phase, cursor = 1, list_of(at).groups
  elseif phase == 1 and cursor ~= NOTHING then
    local b = belonging(cursor)
    retell_membership(b)
    cursor = b.next_a
  elseif phase == 1 then
    phase, cursor = 2, list_of(at).members
  elseif cursor ~= NOTHING then
    local b = belonging(cursor)
    retell_membership(b)
    cursor = b.next_g
  else
    at, phase = n.next, 0
    if string.byte(name, 6) == 1 then -- of this node alone
      if again == 0 then
        done = true
        break
      end
      at, again = n.id, 0
    elseif at == stop then
      if again == 0 then
        done = true
        break
      end
      stop, again = node(at).next, 0
    end
  end
end

flush()
if done then
  redis.call('LPOP', BASE .. ':sweepq')
  redis.call('HDEL', BASE .. ':sweeps', name)
else
  redis.call('HSET', BASE .. ':sweeps', name, struct.pack('>I5I5Bc10B', at, stop, phase, cursor, again))
end
return { 'OK', redis.call('LLEN', BASE .. ':sweepq') }
