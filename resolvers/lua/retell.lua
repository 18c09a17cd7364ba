-- Make keys of a shard dirty as its compacted topics hold them: what a topic says was told last, whatever the graph remembers.
-- A key of which the topic says just what the graph knows is not dirty, or not any more.
--
-- KEYS[1]  the space's base key
-- ARGV[1]  shard        ARGV[2]  the reader's name        ARGV[4]  how many calls of this reader came before
-- ARGV[3]  msgpack {row, ...}: {'e', digest, 'active' | 'merged' | 'split' | '', {digest of an identifier, ...}, packed traits, survivor's digest, key, states, said}
--          | {'i', digest, 1 if there is a document, key, said} | {'m', both digests, packed fold or '', key, said}
--          where said is all that the document says besides, or empty where it is not to be compared: of an entity
--          {first ms, last h, {first ms, last h of each identifier, ...}}, or {survivor's digest}; of an identifier
--          {first ms, last h, founder's digest}; of a membership {since ms, until ms or 0, last h, source, role}
-- REPLY    {'OK'} | {'GONE'} another reader has begun, or a call of this one was lost | {'LOST'}
--
-- Cost     O(rows and the identifiers they list)
-- Keeps    Only what is dirty and what was told of it is written. A key that the graph does not know gets 'X' and its
--          text as what was told: `take` writes its tombstone. A key that is not dirty any more stays in the queue, where
--          `take` passes over it.

if lost() then return { 'LOST' } end
local shard, NOBODY = ARGV[1], string.rep('\0', 16)
local state, calls = redis.call('HGET', RECOVERY, shard), tonumber(ARGV[4])
local before, again = 'reader' .. ARGV[2] .. ':' .. calls, 'reader' .. ARGV[2] .. ':' .. (calls + 1)
if state ~= before and state ~= again then return { 'GONE' } end
buckets = tonumber(redis.call('HGET', META, 'buckets'))

local DIRTY, MOST_AT_ONCE = BASE .. ':dirty:' .. shard, 500
local marked, marks, clean = {}, {}, {} -- marked: key, told, key, told, ...; marks and clean: keys

local function is_dirty(key) return redis.call('HEXISTS', DIRTY, key) == 1 end

local function mark(key, told)
  marks[#marks + 1] = key
  marked[#marked + 1] = key
  marked[#marked + 1] = told
end

local function write_marks()
  for first = 1, #marks, MOST_AT_ONCE do
    local last = math.min(#marks, first + MOST_AT_ONCE - 1)
    local new = {}
    for i, had in ipairs(redis.call('HMGET', DIRTY, unpack(marks, first, last))) do
      if not had then new[#new + 1] = marks[first + i - 1] end
    end
    redis.call('HSET', DIRTY, unpack(marked, 2 * first - 1, 2 * last))
    if #new > 0 then redis.call('RPUSH', BASE .. ':queue:' .. shard, unpack(new)) end
  end
  for first = 1, #clean, MOST_AT_ONCE do
    redis.call('HDEL', DIRTY, unpack(clean, first, math.min(#clean, first + MOST_AT_ONCE - 1)))
  end
end

local function listed(digests) -- the record of a part that lists these identifiers, as a marking keeps it
  local list = {}
  for _, digest in ipairs(digests) do
    local n = node_of(since_erased(digest))
    if n then list[#list + 1] = struct.pack('>I5', n.id) end
  end
  return struct.pack(PART, 0, 0, 0, 0, 0, NOBODY, 0, 0, 0, 0) .. table.concat(list)
end

local newest = 1000 -- notes of an entity that are looked at

-- The topic says it all: what a replay noted of it was told before. What guards refused is in no document, so of an entity that lives, with `told`
-- as its marking, nobody knows whether that was told: it is told once more.
local function keep_as_told(key, told)
  local refused = {}
  if string.sub(key, 1, 1) == 'e' then
    local name = BASE .. ':note:' .. key
    local noted = redis.call('LRANGE', name, -newest, -1)
    if #noted > 0 then redis.call('DEL', name) end
    for _, one in ipairs(noted) do
      if told and string.find(one, '^[lsf]') then refused[#refused + 1] = one end
    end
    if #refused > 0 then redis.call('RPUSH', name, unpack(refused)) end
  end
  if #refused > 0 then mark(key, told) else clean[#clean + 1] = key end
end

local function same_traits(p, packed)
  local told, count = cmsgpack.unpack(packed), 0
  for name, fact in pairs(traits_of(p)) do
    if not told[name] or told[name][4] ~= fact[4] then return false end
    count = count + 1
  end
  for _ in pairs(told) do count = count - 1 end
  return count == 0
end

local function same_entity(n, p, row)
  local first, last, times = unpack(row[9])
  if not times or has(p, SHOWN + DIVIDING) or p.founder ~= n.id or p.first ~= first or p.last ~= last or p.count ~= #row[4] then return false end
  for i, digest in ipairs(row[4]) do
    local one = node_of(since_erased(digest))
    if not one or has(one, DETACHED) or find(one).id ~= p.root or one.first ~= times[2 * i - 1] or one.last ~= times[2 * i] then return false end
  end
  return same_traits(p, row[5])
end

local function same_membership(f, said)
  local since, until_ms, last, source, role = unpack(said)
  if not role or not f.latest then return false end
  local told = f.ended == 1 and f.active or f.latest
  local named = f.latest[4] ~= '' and f.latest[4] or told[4]
  local ended = f.ended == 1 and f.latest[1] or 0
  return told[1] == since and ended == until_ms and math.floor(f.latest[1] / 3600000) == last and f.latest[2] == source and named == role
end

local function write_node(n)
  local where, field = page('n', n.id)
  redis.call('HSET', where, field, pack_node(n))
end

local function retell_entity(key, row)
  local n, status = node_of(row[2]), row[3]
  if not n then
    if status ~= '' and status ~= 'erased' then mark(key, 'X' .. row[7]) end
    return
  end
  if not has(n, FOUNDED) then -- the replay may have issued other ids on its way
    raise(n, FOUNDED)
    write_node(n)
  end
  local at, place = page('s', n.id)
  if row[8] ~= '' then redis.call('HSET', at, place, row[8]) else redis.call('HDEL', at, place) end
  if has(n, DETACHED) and has(n, ERASED) and status == 'erased' then
    keep_as_told(key)
    return
  end
  if has(n, DETACHED) then
    mark(key, status == 'active' and cmsgpack.pack({ listed(row[4]), row[5] }) or '')
    return
  end
  local p = part(find(n))
  local founder = node(p.founder).digest
  local where, field = page('g', n.id)
  local survivor = status == 'merged' and node_of(row[6])
  if survivor then redis.call('HSET', where, field, struct.pack('>I5', survivor.id)) else redis.call('HDEL', where, field) end
  if status == 'active' then
    local told = cmsgpack.pack({ listed(row[4]), row[5] })
    if same_entity(n, p, row) then keep_as_told(key, told) else mark(key, told) end
  elseif has(p, DIVIDING) then
    mark(key, '')
  elseif founder ~= row[2] and founder == row[9][1] then
    keep_as_told(key)
  elseif founder == row[2] or is_dirty(key) or (status == 'merged' and founder ~= row[6]) or status == 'split' or status == 'erased' then
    mark(key, '')
  end
end

local function retell_identifier(key, row)
  local n = node_of(since_erased(row[2]))
  if not n or (has(n, DETACHED) and has(n, ERASED)) then
    if row[3] == 1 then mark(key, 'X' .. row[4]) end
    return
  end
  if has(n, DETACHED) then
    if row[3] == 1 then mark(key, '') end
    return
  end
  local first, last, named = unpack(row[5])
  local founder = n.first == first and n.last == last and node(part(find(n)).founder)
  if not founder or founder.digest ~= named then
    mark(key, '')
    return
  end
  keep_as_told(key)
  if n.told ~= founder.id then
    n.told = founder.id
    write_node(n)
  end
end

local function retell_membership(key, row)
  if node_of(string.sub(row[2], 1, 16)) and node_of(string.sub(row[2], 17)) then
    local f = fold_of(row[2])
    if same_membership(f, row[5]) then
      keep_as_told(key)
    elseif row[3] ~= '' or is_dirty(key) or f.latest then
      mark(key, row[3])
    end
  elseif row[3] ~= '' then
    mark(key, 'X' .. row[4])
  end
end

local by_kind = { e = retell_entity, i = retell_identifier, m = retell_membership }
for _, row in ipairs(cmsgpack.unpack(ARGV[3])) do by_kind[row[1]](row[1] .. row[2], row) end
write_marks()
redis.call('HSET', RECOVERY, shard, again)
return { 'OK' }
