-- Move dirty output keys of a shard into a new round, and read what their documents are made of.
--
-- KEYS[1]  the space's base key
-- ARGV[1]  shard         ARGV[2]  most keys to take        ARGV[3]  floor: the round's number is above it
-- ARGV[4]  most identifiers to read before no further key is taken
-- REPLY    {'NONE'} | {'BUSY', number} a round is in flight | {'LOST'}
--          | {'OK', number, msgpack {row, ...}} where a row is {'e', digest, had 0|1, old traits, notes, entity row}
--          | {'i', founder, its type, identifier row} | {'m', old fold, membership row}
--
-- Cost     O(keys + identifiers read), both bounded by the arguments and what one document lists.
-- Keeps    A key is dirty, in flight, or told; never nowhere.

buckets, shards = unpack(redis.call('HMGET', META, 'buckets', 'shards'))
if not buckets then return { 'LOST' } end
buckets, shards = tonumber(buckets), tonumber(shards)

local shard = ARGV[1]
local round, inflight = BASE .. ':round:' .. shard, BASE .. ':inflight:' .. shard
if redis.call('EXISTS', inflight) == 1 then return { 'BUSY', tonumber(redis.call('HGET', round, 'number')) } end

local rows, taken, retold, read, limit, budget = {}, {}, {}, 0, tonumber(ARGV[2]), tonumber(ARGV[4])

local function row_of(key, told, noted)
  local kind, digest = string.sub(key, 1, 1), string.sub(key, 2)
  if kind == 'i' then
    local n = node_of(digest)
    local founder = node(part(find(n)).founder)
    if n.told ~= founder.id then
      n.told = founder.id
      retold[#retold + 1] = n
    end
    return { 'i', founder.digest, code_name(founder.code), identifier_row(n, true) }
  elseif kind == 'm' then
    return { 'm', told, membership_row(digest) }
  end
  local old, traits = {}, ''
  if told ~= '' then
    local was = cmsgpack.unpack(told)
    local types, at = select(7, struct.unpack(PART, was[1]))
    old, traits = nodes_in(string.sub(was[1], at + types * 6)), was[2]
  end
  local row = entity_row(digest, old)
  if row[7] then read = read + #row[7] end
  return { 'e', digest, told ~= '' and 1 or 0, traits, note_rows(noted), row }
end

while #taken < limit and read < budget do
  local key = redis.call('LINDEX', BASE .. ':queue:' .. shard, #taken)
  if not key then break end
  local told = redis.call('HGET', BASE .. ':dirty:' .. shard, key)
  local noted = redis.call('HGET', BASE .. ':notes:' .. shard, key) or ''
  taken[#taken + 1] = { key, cmsgpack.pack({ told, noted }) }
  rows[#rows + 1] = row_of(key, told, noted)
  read = read + 1
end
if #taken == 0 then return { 'NONE' } end

for _, n in ipairs(retold) do
  local key, field = page('n', n.id)
  redis.call('HSET', key, field, pack_node(n))
end
local number = math.max(tonumber(redis.call('HGET', round, 'number') or '0'), tonumber(ARGV[3])) + 1
for _, t in ipairs(taken) do
  redis.call('HDEL', BASE .. ':dirty:' .. shard, t[1])
  redis.call('HDEL', BASE .. ':notes:' .. shard, t[1])
  redis.call('HSET', inflight, t[1], t[2])
end
redis.call('LTRIM', BASE .. ':queue:' .. shard, #taken, -1)
redis.call('HSET', round, 'number', string.format('%d', number))
return { 'OK', number, cmsgpack.pack(rows) }
