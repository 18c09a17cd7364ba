-- Make keys of a shard dirty as its compacted topics hold them: what a topic says was told last, whatever the graph remembers.
--
-- KEYS[1]  the space's base key
-- ARGV[1]  shard        ARGV[2]  the reader's name        ARGV[4]  how many calls of this reader came before
-- ARGV[3]  msgpack {row, ...}: {'e', digest, 'active' | 'merged' | '', {digest of an identifier, ...}, packed traits, survivor's digest, key}
--          | {'i', digest, 1 if there is a document, key} | {'m', both digests, packed fold or '', key}
-- REPLY    {'OK'} | {'GONE'} another reader has begun, or a call of this one was lost | {'LOST'}
--
-- Cost     O(rows and the identifiers they list)
-- Keeps    Only what is dirty and what was told of it is written. A key that the graph does not know gets 'X' and its
--          text as what was told: `take` writes its tombstone.

if lost() then return { 'LOST' } end
local shard, NOBODY = ARGV[1], string.rep('\0', 16)
local state, calls = redis.call('HGET', RECOVERY, shard), tonumber(ARGV[4])
local before, again = 'reader' .. ARGV[2] .. ':' .. calls, 'reader' .. ARGV[2] .. ':' .. (calls + 1)
if state ~= before and state ~= again then return { 'GONE' } end
buckets = tonumber(redis.call('HGET', META, 'buckets'))

local function is_dirty(key) return redis.call('HEXISTS', BASE .. ':dirty:' .. shard, key) == 1 end

local function mark(key, told)
  if redis.call('HSET', BASE .. ':dirty:' .. shard, key, told) == 1 then redis.call('RPUSH', BASE .. ':queue:' .. shard, key) end
end

local function listed(digests) -- the record of a part that lists these identifiers, as a marking keeps it
  local list = {}
  for _, digest in ipairs(digests) do
    local n = node_of(digest)
    if n then list[#list + 1] = struct.pack('>I5', n.id) end
  end
  return struct.pack(PART, 0, 0, 0, 0, 0, NOBODY, 0) .. table.concat(list)
end

local function retell_entity(key, row)
  local n, status = node_of(row[2]), row[3]
  if not n then
    if status ~= '' then mark(key, 'X' .. row[7]) end
    return
  end
  local founder = node(part(find(n)).founder).digest
  if status == 'active' then
    mark(key, cmsgpack.pack({ listed(row[4]), row[5] }))
  elseif founder == row[2] or is_dirty(key) or (status == 'merged' and founder ~= row[6]) then
    mark(key, '')
  end
end

for _, row in ipairs(cmsgpack.unpack(ARGV[3])) do
  local key = row[1] .. row[2]
  if row[1] == 'e' then
    retell_entity(key, row)
  elseif row[1] == 'i' then
    if node_of(row[2]) then mark(key, '') elseif row[3] == 1 then mark(key, 'X' .. row[4]) end
  elseif node_of(string.sub(row[2], 1, 16)) and node_of(string.sub(row[2], 17)) then
    if row[3] ~= '' or is_dirty(key) or redis.call('HEXISTS', bucket('r', row[2]), row[2]) == 1 then mark(key, row[3]) end
  elseif row[3] ~= '' then
    mark(key, 'X' .. row[4])
  end
end
redis.call('HSET', RECOVERY, shard, again)
return { 'OK' }
