-- Read what was observed of an entity's states, page by page.
--
-- KEYS[1]  the space's base key
-- ARGV[1]  the founder's digest        ARGV[2]  the likeness that its row gave
-- ARGV[3]  the node to go on with, 0 for the first        ARGV[4]  where to go on among its links, 0 for the first
-- ARGV[5]  0, or a link of which alone to read        ARGV[6]  how many of its observations to leave out, being known
-- REPLY    {'OK', msgpack {observation, ...}, msgpack {link that must be read alone, ...}, node to go on with or 0, where among its links}
--          | of one link {'OK', msgpack {observation, ...}, msgpack {}, 0, 0} | {'GONE'} the entity is not what it was: what was read may not belong together | {'LOST'}
--
-- Cost     O(observations + links + nodes read), some times OBSERVED at most. Writes nothing.

if lost() then return { 'LOST' } end
buckets = tonumber(redis.call('HGET', META, 'buckets'))

local founder = node_of(ARGV[1])
local p = founder and not has(founder, DETACHED) and part(find(founder))
if not p or likeness(p) ~= ARGV[2] then return { 'GONE' } end

if ARGV[5] ~= '0' then
  local from = tonumber(ARGV[6])
  return { 'OK', cmsgpack.pack(redis.call('ZRANGE', BASE .. ':o:' .. ARGV[5], from, from + OBSERVED - 1)), cmsgpack.pack({}), 0, 0 }
end

local n, at, over = node(ARGV[3] == '0' and p.root or tonumber(ARGV[3])), ARGV[4], false
local found, alone, visits = {}, {}, 0

local function read(id)
  if redis.call('ZCARD', BASE .. ':o:' .. id) > OBSERVED or #found > OBSERVED then
    alone[#alone + 1] = tonumber(id)
    return
  end
  for _, one in ipairs(redis.call('ZRANGE', BASE .. ':o:' .. id, 0, -1)) do found[#found + 1] = one end
end

repeat
  local shows = has(n, SHOWS) and redis.call('SSCAN', BASE .. ':w:' .. n.id, at, 'COUNT', 100) or { '0', {} }
  at = shows[1]
  for _, id in ipairs(shows[2]) do
    if centre_of(link(tonumber(id))) == n then read(id) end
  end
  visits = visits + 1 + #shows[2]
  if at == '0' then
    n = node(n.next)
    over = n.id == p.root
  end
until over or #found > OBSERVED or visits > OBSERVED
return { 'OK', cmsgpack.pack(found), cmsgpack.pack(alone), over and 0 or n.id, at }
