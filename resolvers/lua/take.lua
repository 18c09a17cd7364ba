-- Move dirty output keys of a shard into a new round, and read what their documents are made of.
--
-- KEYS[1]  the space's base key
-- ARGV[1]  shard         ARGV[2]  most keys to take        ARGV[3]  number of the last round that Kafka has
-- ARGV[4]  bytes to read before no further key is taken        ARGV[5]  the taker's name, one for each round
-- ARGV[6]  the present, epoch ms, or '' for that of the events and of Redis's clock (present.lua): values of states that lapse before it are told
-- ARGV[7]  '' for a new round, or the number of the taker's own, which is to have more keys: a large round is taken in several short calls
-- REPLY    {'NONE'} | {'BUSY', number} a round is in flight, or the one that was to have more is the taker's no more | {'LOST'}
--          | {'BEHIND', number} Kafka has a later round: writes were lost | {'HELD'} the logs are not applied far enough
--          | {'UNREAD'} the shard's topics must be read first
--          | {'OK', number, 1 if it is told as recovery, msgpack {row, ...}, the present, bytes read} where a row is
--          {'e', digest, had 0|1|2 but for some merges, old traits, notes, entity row} | {'i', founder, its type, identifier row} | {'m', old fold, membership row}
--          | {'o', row of an identifier that connects nothing any more}
--          | {'x', 'e' | 'i' | 'm', key of a topic that the graph does not know}
--
-- Cost     O(keys + bytes read), both bounded by the arguments and what one document holds.
-- Keeps    A key is dirty, in flight, or told; never nowhere. What is hidden while its case is open, or being divided, stays dirty until that is settled, and what rests
--          until it has rested.

if lost() then return { 'LOST' } end
buckets, shards = unpack(redis.call('HMGET', META, 'buckets', 'shards'))
buckets, shards = tonumber(buckets), tonumber(shards)

local shard = ARGV[1]
local round, inflight = BASE .. ':round:' .. shard, BASE .. ':inflight:' .. shard
local last, before = tonumber(redis.call('HGET', round, 'number') or '0'), redis.call('HLEN', inflight) -- keys of the round that former calls took
if last < tonumber(ARGV[3]) then return { 'BEHIND', last } end
if ARGV[7] == '' then
  if before > 0 then return { 'BUSY', last } end
else
  if before == 0 or ARGV[7] ~= tostring(last) or redis.call('HGET', round, 'taker') ~= ARGV[5] or redis.call('HEXISTS', round, 'payload') == 1 then return { 'BUSY', last } end
  last = last - 1
end

do
  -- Whether cases are settled and erasures have had read again what they asked for, so that all of it is told at once with the rest, and the topics find the
  -- ids that they know; but under a stream some may always be open.
  local function settled()
    if redis.call('EXISTS', DUE, BASE .. ':rereads') == 0 then return true end
    local since = redis.call('HGET', META, 'caught')
    if not since then redis.call('HSET', META, 'caught', now_ms()) end
    return since and now_ms() - tonumber(since) >= SETTLED_WITHIN
  end

  local function caught_up() -- and what that changed is marked, so that everything is told at once
    if redis.call('EXISTS', BASE .. ':sweepq', BASE .. ':walkq', BASE .. ':freshq') > 0 then return false end
    local ends = redis.call('HGETALL', ENDS)
    for i = 1, #ends, 2 do
      local at = string.match(redis.call('HGET', BASE .. ':pos', ends[i]) or '0:', '^(%d+):')
      if tonumber(at) < tonumber(ends[i + 1]) then return false end
    end
    return settled()
  end

  local state = redis.call('HGET', RECOVERY, shard)
  if state == 'waiting' or state == 'hold' then
    if not caught_up() then return { 'HELD' } end
    if state == 'waiting' then
      redis.call('HSET', RECOVERY, shard, 'unread')
    else
      redis.call('HDEL', RECOVERY, shard)
      if redis.call('EXISTS', RECOVERY) == 0 then redis.call('DEL', ENDS) end
      state = nil
    end
  end
  if state then return { 'UNREAD' } end
end

local now = present(ARGV[6])

local endings = {} -- node -> what was told of its id before and now, packed: the node that founds what it was merged into, or ''
local rows, taken, retold, cuts, read, limit, budget = {}, {}, {}, {}, 0, tonumber(ARGV[2]), tonumber(ARGV[4])

local NOTES = 200 -- merges of one entity that one round tells

-- What an entity is told as in this round, in the form in which a marking keeps it.
local function as_told(digest)
  local n = node_of(digest)
  local p = not has(n, DETACHED) and part(find(n))
  if not p or p.founder ~= n.id then return '' end
  return cmsgpack.pack({ pack_part(p), raw_traits_of(p), 1 })
end

local function told_of(first) -- the node that an identifier's output key tells of: the one before it was erased, while nothing was seen since
  local e = erasure_of(first)
  return node_of(e and e[2] or first) or (e and node_of(e[3]))
end

local function unknown(kind, digest)
  if kind == 'i' then
    local n = told_of(digest)
    return not n or has(n, ERASED)
  end
  return not node_of(string.sub(digest, 1, 16)) or (kind == 'm' and not node_of(string.sub(digest, 17)))
end

local function digests_of(list)
  local found = {}
  for id in pairs(list) do found[#found + 1] = node(id).digest end
  return found
end

-- Of a recovery, and of a promotion, nobody noted a split: notes of the entities that have now what a topic says that this one has. Whoever was seen
-- again after an erasure came of nobody.
local parted
do
  local in_recovery = redis.call('HEXISTS', round, 'recovering') == 1

  parted = function(p, old)
    local notes, named = {}, {}
    for id in pairs(in_recovery and old or {}) do
      local n = node(id)
      local root = not has(n, DETACHED + REBORN) and find(n).id
      if root and root ~= p.root and not named[root] then
        named[root] = true
        local other = part(node(root))
        if not has(other, UNTOLD) then notes[#notes + 1] = struct.pack('>c1c16I5', '/', node(other.founder).digest, 0) end
        if #notes == SUCCESSORS then break end
      end
    end
    read = read + 400 * #notes
    return table.concat(notes)
  end
end

local function row_of(key, told, noted)
  local kind, digest = string.sub(key, 1, 1), string.sub(key, 2)
  if string.byte(told) == 88 then -- 'X': a topic had it and the graph did not know it when the topic was read
    if unknown(kind, digest) then return { 'x', kind, string.sub(told, 2) } end
    told = ''
  end
  if kind == 'i' then
    local n = told_of(digest)
    if has(n, DETACHED) then
      n.told = 0
      retold[#retold + 1] = n
      return { 'o', identifier_row(n, true) }
    end
    local founder = node(part(find(n)).founder)
    if n.told ~= founder.id then
      n.told = founder.id
      retold[#retold + 1] = n
    end
    return { 'i', founder.digest, code_name(founder.code), identifier_row(n, true) }
  elseif kind == 'm' then
    return { 'm', told, membership_row(digest) }
  end
  local old, traits, had = {}, '', 0
  if told ~= '' then
    local was = cmsgpack.unpack(told)
    old, traits = nodes_in(oldest_in(was[1])), was[2]
    had = was[3] and 2 or 1
  end
  local n = node_of(digest)
  local p = n and not has(n, DETACHED) and part(find(n))
  if p and p.founder == n.id and cut(p) then cuts[#cuts + 1] = p end
  if p and p.founder == n.id and had == 1 then noted = noted .. parted(p, old) end
  local anew = false -- something of it was erased
  for at = 1, #noted, 22 do anew = anew or string.byte(noted, at) == 120 end
  local row = entity_row(digest, old, anew)
  if n then
    local where, field = page('g', n.id)
    local before = redis.call('HGET', where, field) or ''
    local now = row[1] == 'gone' and struct.pack('>I5', node_of(row[2]).id) or ''
    if row[1] == 'gone' then
      local at, place = page('s', n.id)
      row[4], row[5], row[6] = before == now and 1 or 0, noted ~= '' and digests_of(old) or {}, redis.call('HEXISTS', at, place)
    end
    if before ~= now then endings[n.id] = { before, now } end
  end
  if row[7] then
    read = read + 200 * #row[7] + #row[6] + #row[10]
    for _, one in ipairs(type(row[11]) == 'table' and row[11] or {}) do read = read + #one end
  end
  return { 'e', digest, had, traits, n and note_rows(n, noted) or {}, row }
end

local function is_hidden(key)
  local kind, digest = string.sub(key, 1, 1), string.sub(key, 2)
  local n
  if kind == 'e' then n = node_of(digest) elseif kind == 'i' then n = told_of(digest) end
  return n and not has(n, DETACHED) and has(part(find(n)), UNTOLD)
end

-- Entities of very many observations, which take long to tell: each rests after that, so that the others have their turn.
local rests, resting = BASE .. ':rests:' .. shard, {}
if redis.call('EXISTS', rests) == 1 then
  redis.call('ZREMRANGEBYSCORE', rests, '-inf', now_ms())
  for _, digest in ipairs(redis.call('ZRANGE', rests, 0, -1)) do resting['e' .. digest] = true end
end

local take_key
do
  local never_told = cmsgpack.pack({ '', '', 0, '' })

  take_key = function(key, told)
    if string.byte(key) ~= 101 then -- only entities, 'e', have notes, and ids that end
      rows[#rows + 1] = row_of(key, told, '')
      taken[#taken + 1] = { key, told == '' and never_told or cmsgpack.pack({ told, '', 0, '' }), 0 }
      read = read + 200 + #told
      return
    end
    local noted = redis.call('LRANGE', BASE .. ':note:' .. key, 0, NOTES - 1)
    local notes_packed = table.concat(noted)
    rows[#rows + 1] = row_of(key, told, notes_packed)
    local n = node_of(string.sub(key, 2))
    local ended = n and endings[n.id]
    taken[#taken + 1] = { key, cmsgpack.pack({ told, notes_packed, ended and n.id or 0, ended and ended[1] or '' }), #noted }
    read = read + 200 + #told + 400 * #noted
  end
end

-- Make entities dirty that have a value which has lapsed by now.
local function mark_lapsed()
  local lapses = BASE .. ':lapses:' .. shard
  local due = redis.call('ZRANGEBYSCORE', lapses, '-inf', string.format('%d', now), 'LIMIT', 0, limit)
  for _, digest in ipairs(due) do
    local key, n = 'e' .. digest, node_of(digest)
    local p = n and not has(n, DETACHED) and part(find(n))
    if p and p.founder == n.id and not has(p, UNTOLD) and redis.call('HEXISTS', BASE .. ':dirty:' .. shard, key) == 0 then
      redis.call('HSET', BASE .. ':dirty:' .. shard, key, cmsgpack.pack({ p.raw, raw_traits_of(p) }))
      redis.call('RPUSH', BASE .. ':queue:' .. shard, key)
    end
    redis.call('ZREM', lapses, digest)
  end
end

mark_lapsed()
do
  local VISITS = 10000 -- of the queue in one call: a reading leaves keys there that are not dirty any more, or twice
  local AT_ONCE = 50 -- keys whose markings are read together
  local queue, visited, seen, named, marked, flying, postponed, again = BASE .. ':queue:' .. shard, 0, {}, {}, {}, {}, {}, {}
  while #taken < limit and read < budget and visited < VISITS do
    local at = visited % AT_ONCE
    if at == 0 then
      named = redis.call('LRANGE', queue, visited, visited + AT_ONCE - 1)
      marked = #named > 0 and redis.call('HMGET', BASE .. ':dirty:' .. shard, unpack(named))
      if before > 0 and marked then flying = redis.call('HMGET', inflight, unpack(named)) end
    end
    local key = named[at + 1]
    if not key then break end
    visited = visited + 1
    local told = not seen[key] and marked[at + 1]
    if told then
      seen[key] = true
      if flying[at + 1] then -- it became dirty once more meanwhile: for the next round, to which it is no part of a recovery
        again[#again + 1] = key
      elseif resting[key] or is_hidden(key) then
        postponed[#postponed + 1] = key
      else
        take_key(key, told)
      end
    end
  end

  redis.call('LTRIM', queue, visited, -1)
  for _, key in ipairs(postponed) do redis.call('RPUSH', queue, key) end
  if #postponed > 0 and redis.call('HEXISTS', round, 'recovering') == 1 then redis.call('HSET', round, 'recovering', before + visited + redis.call('LLEN', queue)) end
  for _, key in ipairs(again) do redis.call('RPUSH', queue, key) end
  if visited > #taken and redis.call('HEXISTS', round, 'recovering') == 1 then
    if redis.call('HINCRBY', round, 'recovering', #taken - visited) <= 0 then redis.call('HDEL', round, 'recovering') end
  end
end
if #taken == 0 then return { 'NONE' } end

for _, n in ipairs(retold) do n.dirty = true end
for _, p in ipairs(cuts) do p.dirty = true end -- so that the next marking finds the list as it was told
for id, ended in pairs(endings) do
  local key, field = page('g', id)
  if ended[2] ~= '' then put(key, field, ended[2]) end
end
flush()
for id, ended in pairs(endings) do
  if ended[2] == '' then redis.call('HDEL', page('g', id)) end
end
local number, recovering = last + 1, redis.call('HEXISTS', round, 'recovering')
for first = 1, #taken, MOST_AT_ONCE / 2 do
  local keys, flying = {}, {}
  for at = first, math.min(#taken, first + MOST_AT_ONCE / 2 - 1) do
    keys[#keys + 1], flying[#flying + 1], flying[#flying + 2] = taken[at][1], taken[at][1], taken[at][2]
  end
  redis.call('HDEL', BASE .. ':dirty:' .. shard, unpack(keys))
  redis.call('HSET', inflight, unpack(flying))
end
do
  local noted = {} -- keys of notes that were taken whole
  for _, t in ipairs(taken) do
    if t[3] == NOTES then
      redis.call('LTRIM', BASE .. ':note:' .. t[1], t[3], -1)
    elseif t[3] > 0 then
      noted[#noted + 1] = BASE .. ':note:' .. t[1]
    end
    if t[3] == NOTES and redis.call('EXISTS', BASE .. ':note:' .. t[1]) == 1 then -- the others are told in the next round
      redis.call('HSET', BASE .. ':dirty:' .. shard, t[1], as_told(string.sub(t[1], 2)))
      redis.call('RPUSH', BASE .. ':queue:' .. shard, t[1])
      if recovering == 1 then redis.call('HSET', round, 'recovering', before + #taken + redis.call('LLEN', BASE .. ':queue:' .. shard)) end
    end
  end
  for first = 1, #noted, MOST_AT_ONCE do redis.call('DEL', unpack(noted, first, math.min(#noted, first + MOST_AT_ONCE - 1))) end
end
redis.call('HSET', round, 'number', string.format('%d', number), 'taker', ARGV[5])
if ARGV[6] == '' then redis.call('HSET', META, 'present', string.format('%d', now)) end -- what was told goes back no more
return { 'OK', number, recovering, cmsgpack.pack(rows), now, read }
