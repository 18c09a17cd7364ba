-- Read whom memberships connect entities with, and what was told of their states.
--
-- KEYS[1]  the space's base key        ARGV[1]  msgpack {{founder's digest, how many groups count at most or 0, how many members}, ...}
-- ARGV[2]  after how many of those around to stop
-- REPLY    {'OK', msgpack {{groups, members}, ...}} of the first of the entities, at least of one, where groups and members are {{fold, states as told}, ...}, or how
--          many there are where they are too many | {'LOST'}
--
-- Cost     O(those around), as many as count for one entity or ARGV[2]. Writes nothing.

if lost() then return { 'LOST' } end
buckets = tonumber(redis.call('HGET', META, 'buckets'))

local visited = 0

local function told_of(other, name)
  local n = node_of(other)
  local key, field = page('s', n and n.id or 0)
  return { redis.call('HGET', bucket('r', name), name) or '', n and redis.call('HGET', key, field) or '' }
end

local function around(kind, digest, most)
  if most == 0 then return {} end
  local key = BASE .. ':' .. kind .. ':' .. digest
  local count = redis.call('SCARD', key)
  if count > most then return count end
  local rows = {}
  for _, other in ipairs(redis.call('SMEMBERS', key)) do
    rows[#rows + 1] = told_of(other, kind == 'b' and digest .. other or other .. digest)
  end
  visited = visited + count
  return rows
end

local found = {}
for _, asked in ipairs(cmsgpack.unpack(ARGV[1])) do
  found[#found + 1] = { around('b', asked[1], asked[2]), around('B', asked[1], asked[3]) }
  if visited >= tonumber(ARGV[2]) then break end
end
return { 'OK', cmsgpack.pack(found) }
