-- Take in a batch of corrections of one partition of one log.
--
-- KEYS[1]  the space's base key
-- ARGV[1]  log and partition        ARGV[2]  offset at which the batch starts        ARGV[3]  the position after it, `offset:checksum`
-- ARGV[4]  msgpack {{'b' block | 'f' forbid | 'l' link, {digest, ...} in order, issued ms, command id, 1 if it holds | 0}, ...} or
--          {'e' erase, {{digest, type code, digest since}, ...}, cutoff ms}; but for the last all digests are of first generations
-- ARGV[5]  guards, as for `apply`        ARGV[6]  mark of the call that this one comes after        ARGV[7]  mark of this call
-- REPLY    {'OK'} | {'GAP', stored offset} | {'LOST'}
--
-- Cost     O(corrections, and the pairs that name the same identifiers); what follows is walked over and settled. Of an erasure also O(partitions, and days since its cutoff)
-- Keeps    Of each subject the latest by (issued, command id) stands, whatever came first. What is said of an identifier is kept
--          whether or not it was seen yet.

if lost() then return { 'LOST' } end
buckets, shards = unpack(redis.call('HMGET', META, 'buckets', 'shards'))
buckets, shards = tonumber(buckets), tonumber(shards)
local stored = gap()
if stored then return { 'GAP', stored } end
read_unread()
read_guards(ARGV[5])

local said, stand = {}, {}

local function flags_of(digest)
  said[digest] = said[digest] or { flags = said_of(digest), digest = digest }
  return said[digest]
end

local function attached(digest)
  local n = node_of(digest)
  return n and not has(n, DETACHED) and part(find(n)) or nil
end

-- Say a thing of an identifier, whether it was seen or not; or take it back.
local function flag(digest, what, holds)
  local change = holds and raise or lower
  change(flags_of(digest), what)
  local n = node_of(digest)
  if n then change(n, what) end
end

local function put_both_in_case(one, other)
  local p, q = attached(one), attached(other)
  if p and q then put_in_case({ p, q }, true) end
end

local function block(digests, holds)
  local n = node_of(digests[1])
  if n and holds and not has(n, BLOCKED) then turn_off(n, BLOCKED) end
  flag(digests[1], BLOCKED, holds)
  if not n then return end
  if not holds then turn_on(n) end
  walks[n.id] = true -- also for hubs that are judged by whom they met
end

local function forbid(digests, holds)
  local one, other = unpack(digests)
  for _, way in ipairs({ { one, other }, { other, one } }) do
    local key = BASE .. ':f:' .. way[1]
    redis.call(holds and 'SADD' or 'SREM', key, way[2])
    flag(way[1], FORBIDS, redis.call('EXISTS', key) == 1)
    local p = attached(way[1])
    if p and holds then raise(p, TOUCHED) end
  end
  local p, q = attached(one), attached(other)
  if p and q and (p == q or (p.case ~= 0 and p.case == q.case)) then put_both_in_case(one, other) end
end

local function join(digests, holds, issued)
  local one, other = unpack(digests)
  for _, way in ipairs({ { one, other }, { other, one } }) do
    local key = BASE .. ':j:' .. way[1]
    if holds then redis.call('HSET', key, way[2], string.format('%d', issued)) else redis.call('HDEL', key, way[2]) end
    flag(way[1], LINKED, redis.call('EXISTS', key) == 1)
  end
  put_both_in_case(one, other)
end

-- A node without evidence: of an identifier that is erased, so that an id that was made of it leads to that.
local function husk(digest, code)
  if node_of(digest) then return end
  local id = number('nodes')
  nodes[id] = { id = id, parent = id, next = id, first = 0, last = 0, flink = 0, head = 0, told = 0, code = code, digest = digest, flags = ERASED + DETACHED, dirty = true }
  known[digest] = id
  if redis.call('HEXISTS', bucket('z', digest), digest) == 1 then raise(nodes[id], REBORN) end
  put(bucket('i', digest), digest, struct.pack('>I5', id))
end

-- What operators said of an identifier holds for it under its new digest.
local function rename_said(was, now)
  flags_of(now).flags, flags_of(was).flags = flags_of(was).flags, 0
  local enemies, linked = BASE .. ':f:' .. was, redis.call('HGETALL', BASE .. ':j:' .. was)
  for _, other in ipairs(redis.call('SMEMBERS', enemies)) do
    redis.call('SREM', BASE .. ':f:' .. other, was)
    redis.call('SADD', BASE .. ':f:' .. other, now)
    redis.call('SADD', BASE .. ':f:' .. now, other)
  end
  for i = 1, #linked, 2 do
    redis.call('HDEL', BASE .. ':j:' .. linked[i], was)
    redis.call('HSET', BASE .. ':j:' .. linked[i], now, linked[i + 1])
    redis.call('HSET', BASE .. ':j:' .. now, linked[i], linked[i + 1])
  end
  redis.call('DEL', enemies, BASE .. ':j:' .. was)
end

local again, again_from = {}, nil -- first generations' digests of what may have been seen after the cutoff too, and the earliest cutoff

local function erase(first, code, since, cutoff)
  local e = erasure_of(first)
  redis.call('HSET', bucket('z', since), since, first)
  if e and e[1] >= cutoff then
    if since ~= e[2] then husk(since, code) end
    return
  end
  local was = e and e[2] or first
  local n, before = node_of(was), was
  if not n then
    husk(was, code)
    if e then before = e[3] end
  elseif not has(n, ERASED) then
    if (n.last + 1) * 3600000 > cutoff then
      again[#again + 1] = first
      again_from = math.min(again_from or cutoff, cutoff)
    end
    for _, flag in ipairs({ BLOCKED, FORBIDS, LINKED }) do lower(n, flag) end
    cover(n)
  end
  redis.call('HSET', bucket('y', first), first, struct.pack(ERASURE, cutoff, since, before))
  redis.call('HSET', META, 'erased', 1)
  any_erased = true
  rename_said(was, since)
end

-- Have the events log applied once more, from the first event of the cutoff's day on.
local function read_again()
  if #again == 0 then return end
  local places, asked = redis.call('HGETALL', BASE .. ':pos'), false
  for i = 1, #places, 2 do
    local partition = string.match(places[i], '^events/(.*)$')
    local from
    local days = partition and redis.call('ZRANGEBYSCORE', BASE .. ':days:' .. partition, math.floor(again_from / DAY), '+inf') or {}
    for _, day in ipairs(days) do from = math.min(from or math.huge, tonumber(string.match(day, '%d+$'))) end
    if from then
      local upto = math.max(tonumber(string.match(places[i + 1], '^%d+')), tonumber(redis.call('HGET', BASE .. ':pos', 'upto/' .. partition) or '0'))
      local stretch = string.format('%d:%d', from, upto)
      local waits = redis.call('HGET', REREADS .. ':next', partition)
      if redis.call('HEXISTS', REREADS, partition) == 0 then
        begin_reread(partition, stretch)
      else
        if waits then stretch = string.format('%d:%d', math.min(from, tonumber(string.match(waits, '^%d+'))), upto) end
        redis.call('HSET', REREADS .. ':next', partition, stretch)
      end
      asked = true
    end
  end
  if asked then redis.call('SADD', REREADS .. ':of', unpack(again)) end
end

local by_kind = { b = block, f = forbid, l = join }

local function later(one, other) -- {issued, command id}
  if one[1] ~= other[1] then return one[1] > other[1] end
  return bytes_less(other[2], one[2])
end

local function correct(c)
  local kind, digests, issued, holds = c[1], c[2], c[3], c[5] == 1
  local subject = kind .. table.concat(digests)
  local key = bucket('c', digests[1])
  local raw = stand[subject] and stand[subject].packed or redis.call('HGET', key, subject)
  local had = raw and cmsgpack.unpack(raw)
  if not had or later({ issued, c[4] }, had) then
    stand[subject] = { key = key, packed = cmsgpack.pack({ issued, c[4], c[5] }) }
    for i, first in ipairs(digests) do digests[i] = since_erased(first) end
    if (had and had[3] == 1 or false) ~= holds or (kind == 'l' and holds) then by_kind[kind](digests, holds, issued) end
  end
end

for _, c in ipairs(cmsgpack.unpack(ARGV[4])) do
  if c[1] == 'e' then
    for _, one in ipairs(c[2]) do erase(one[1], one[2], one[3], c[3]) end
  else
    correct(c)
  end
end

for subject, one in pairs(stand) do put(one.key, subject, one.packed) end
local blocked = 0 -- more, or fewer, than before
for digest, one in pairs(said) do
  blocked = blocked + bit.band(one.flags, BLOCKED) - bit.band(said_of(digest), BLOCKED)
  if one.flags ~= 0 then put(bucket('x', digest), digest, string.char(one.flags)) else redis.call('HDEL', bucket('x', digest), digest) end
end
if next(stand) then redis.call('HSET', META, 'corrected', 1) end
if blocked ~= 0 then redis.call('HINCRBY', META, 'blocked', blocked) end
flush()
write_walks()
go_on()
read_again()
return { 'OK' }
