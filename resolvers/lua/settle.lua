-- One step of settling a case: what its evidence makes of its parts is written back, in steps each of which leaves whole parts.
--
-- KEYS[1]  the space's base key
-- ARGV[1]  'hold' | 'divide' | 'flatten' | 'cut' | 'fold' | 'finish' | 'let_go' | 'unite' | 'reveal' | 'refuse' | 'release' | 'end'
-- ARGV[2]  case        ARGV[3]  fence        ARGV[4]  epoch
-- ARGV[5]  how long the case is leased on, ms        ARGV[6]  msgpack:
--          of 'divide'  {node, {{node, ...}, ...}, {node, ...}}: all nodes of its part, as the parts to be made of it, and those that are off
--          of 'flatten' {root, node of its circle to go on with or 0}
--          of 'cut'     {root, {{node, first node of the piece that it goes to}, ...}}: nodes as they follow the root, the root last
--          of 'fold'    {{root of a piece, ...}, node of the first to go on with or 0, its link to go on with}
--          of 'finish'  {{root of a piece, 1 if its id is noted as split off | 0}, ...}
--          of 'let_go'  {root of the piece of those that are off}
--          of 'unite'   {{node, node, link that joins them}, ...}
--          of 'reveal'  {node, ...}: what is untold of their parts is told from now on
--          of 'refuse'  {{stronger node, weaker node, link, 'l' limit | 's' size | 'f' forbidden}, ...}: edges to be reported, unless they were
--          of 'release' {seq, case or 0 for none or -1 for a new one, {node, ...}, 1 if these are all}: their parts leave the case, unless there is evidence
--                       after seq; until all have, the other case counts as part of this one
--          of 'end'     {seq}: up to which evidence this settled the case
-- REPLY    {'OK', case to which was released} | of 'flatten' {'OK', node to go on with or 0} | of 'cut' {'OK', how many it took} | of 'fold' {'OK', how many
--          pieces it went through, node, link to go on with} | of 'let_go' {'OK', 1 if there are more | 0} | {'REMAINS'} the part is too large to be divided in one
--          call | {'GONE'} somebody else settles it, or who may connect has changed, and then it is due again | {'LATER'} there is
--          evidence after seq | {'LOST'}
--
-- Cost     of 'divide' and the portions of a division at most PORTION nodes and links, and once the list of a part; of the others O(nodes named). Memberships, and
--          what follows of large parts, are swept; the links of those that are off are walked over
-- Keeps    Parts are only ever divided into pieces that the evidence keeps apart, and then united: no step joins what must not be joined.

if lost() then return { 'LOST' } end
buckets, shards = unpack(redis.call('HMGET', META, 'buckets', 'shards'))
buckets, shards = tonumber(buckets), tonumber(shards)

local named = cmsgpack.unpack(ARGV[6])
local key = BASE .. ':case:' .. ARGV[2]
local seq, fence, epoch = unpack(redis.call('HMGET', key, 'seq', 'fence', 'epoch'))
if fence == ARGV[3] and epoch ~= ARGV[4] then -- what was read of it says nothing any more: it is due after some time, as ever
  local now = now_ms()
  local took = now - tonumber(redis.call('HGET', key, 'started'))
  redis.call('HSET', key, 'ended', now, 'took', took, 'leased', 0)
  redis.call('ZADD', DUE, now + pause_of(took, parts_in(case_of(tonumber(ARGV[2])))), ARGV[2])
end
if fence ~= ARGV[3] or epoch ~= ARGV[4] then return { 'GONE' } end

read_unread()

local function unite_all(pairs_of)
  for _, one in ipairs(pairs_of) do
    local a, b = find(node(one[1])), find(node(one[2]))
    if a.id ~= b.id then
      if not is_here(part(a)) or not is_here(part(b)) then return false end
      local before, listed = { snapshot(a), snapshot(b) }, { [a.id] = part(a).case, [b.id] = part(b).case }
      local root = unite(a, b)
      local other = root.id == a.id and b.id or a.id
      left[other] = listed[other]
      announce(part(root), before, one[3], false)
    end
  end
  return true
end

local function reveal(p)
  if not is_here(p) or not has(p, HIDDEN) then return end
  lower(p, HIDDEN)
  lower(p, ISSUED)
  p.issued = node(p.founder).digest
  mark_entity(p.issued, false)
  retell(node(p.root).next, p.root, p.count)
end

local reported = {} -- {key, field}

local function refuse(stronger, weaker, link_id, guard)
  local name = struct.pack('>I5I5', stronger, weaker)
  local where = pair_key(name, 'R')
  local p = part(find(node(stronger)))
  if not is_here(p) or has(p, HIDDEN) or redis.call('HEXISTS', where, name) == 1 then return end
  mark_entity(p.issued, p)
  note(p.issued, guard, node(weaker).digest, link_id)
  reported[#reported + 1] = { where, name }
end

local ok, target, is_new, is_last = true, 0, false, true -- target: the case to which parts are released
local too_large, place = false, nil
if ARGV[1] == 'divide' then
  ok, too_large = divide(unpack(named))
  if too_large then return { 'REMAINS' } end
elseif portions[ARGV[1]] then
  place = { portions[ARGV[1]](unpack(named)) }
  ok = place[1]
elseif ARGV[1] == 'unite' then
  ok = unite_all(named)
elseif ARGV[1] == 'reveal' then
  for _, id in ipairs(named) do reveal(part(find(node(id)))) end
elseif ARGV[1] == 'refuse' then
  for _, one in ipairs(named) do refuse(unpack(one)) end
elseif ARGV[1] == 'release' then
  if tonumber(seq) ~= named[1] then return { 'LATER' } end
  is_new, is_last = named[2] == -1, named[4] == 1
  target = is_new and number('cases') or named[2]
  ok = is_new or target == 0 or case_of(target).id == number_of
  for _, id in ipairs(named[3]) do
    local p = part(find(node(id)))
    ok = ok and is_here(p)
    left[p.root] = p.case
    p.case, p.dirty = target, true
  end
end
if not ok then return { 'GONE' } end

-- Drop those inside a case that are empty; gives how many parts the others have.
local function prune(case)
  local size = 0
  for _, inside in ipairs(redis.call('SMEMBERS', BASE .. ':case:' .. case .. ':inside')) do
    local here = prune(inside)
    size = size + here
    if here == 0 then
      drop_case(BASE .. ':case:' .. inside, inside)
      redis.call('SREM', BASE .. ':case:' .. case .. ':inside', inside)
    end
  end
  return size + redis.call('SCARD', BASE .. ':case:' .. case .. ':roots')
end

for _, name in ipairs(cancelled) do -- before others of the same names are written
  redis.call('LREM', BASE .. ':sweepq', 1, name)
  redis.call('HDEL', BASE .. ':sweeps', name)
end
flush()
write_walks()
write_cuts()
for _, one in ipairs(reported) do redis.call('HSET', one[1], one[2], '') end
for root, listed in pairs(left) do
  redis.call('SREM', BASE .. ':case:' .. listed .. ':roots', root)
  if target ~= 0 then redis.call('SADD', BASE .. ':case:' .. target .. ':roots', root) end
end
for root in pairs(joined) do redis.call('SADD', key .. ':roots', root) end
local now, lease = now_ms(), tonumber(ARGV[5])
if target ~= 0 and is_last then
  redis.call('SREM', key .. ':inside', target)
  redis.call('HDEL', BASE .. ':case:' .. target, 'into')
  redis.call('HSET', BASE .. ':case:' .. target, 'seq', 0, 'epoch', 0)
elseif is_new then
  redis.call('SADD', key .. ':inside', target)
  redis.call('HSET', BASE .. ':case:' .. target, 'into', number_of)
end
if ARGV[1] ~= 'end' then
  redis.call('HSET', key, 'leased', now + lease)
  redis.call('ZADD', DUE, now + lease, ARGV[2])
elseif tonumber(seq) > named[1] then
  local took = now - tonumber(redis.call('HGET', key, 'started'))
  redis.call('HSET', key, 'done', named[1], 'ended', now, 'took', took, 'leased', 0)
  redis.call('ZADD', DUE, now + pause_of(took, parts_in(case_of(tonumber(ARGV[2])))), ARGV[2])
else
  local size = prune(number_of)
  if size == 0 then
    drop_case(key, ARGV[2])
  else
    local more = size - redis.call('SCARD', key .. ':roots')
    redis.call('HSET', key, 'done', named[1], 'ended', now, 'took', now - tonumber(redis.call('HGET', key, 'started')), 'leased', 0, 'more', more)
    redis.call('ZREM', DUE, ARGV[2])
  end
end
return { 'OK', unpack(place or { target }) }
