-- One step of settling a case: what its evidence makes of its parts is written back, in steps each of which leaves whole parts.
--
-- KEYS[1]  the space's base key
-- ARGV[1]  'hold' | 'divide' | 'unite' | 'reveal' | 'refuse' | 'release' | 'end'        ARGV[2]  case        ARGV[3]  fence        ARGV[4]  epoch
-- ARGV[5]  how long the case is leased on, ms        ARGV[6]  msgpack:
--          of 'divide'  {node, {{node, ...}, ...}, {node, ...}}: all nodes of its part, as the parts to be made of it, and those that are off
--          of 'unite'   {{node, node, link that joins them}, ...}
--          of 'reveal'  {node, ...}: what is untold of their parts is told from now on
--          of 'refuse'  {{stronger node, weaker node, link, 'l' limit | 's' size | 'f' forbidden}, ...}: edges to be reported, unless they were
--          of 'release' {seq, case or 0 for none or -1 for a new one, {node, ...}, 1 if these are all}: their parts leave the case, unless there is evidence
--                       after seq; until all have, the other case counts as part of this one
--          of 'end'     {seq}: up to which evidence this settled the case
-- REPLY    {'OK', case to which was released} | {'GONE'} somebody else settles it, or who may connect has changed, and then it is due again | {'LATER'} there is
--          evidence after seq | {'LOST'}
--
-- Cost     of 'divide' O(nodes and links of the part, but for the links of those that are off, which are walked over); of the others O(nodes named). Memberships, and what follows of large parts, are swept
-- Keeps    Parts are only ever divided into pieces that the evidence keeps apart, and then united: no step joins what must not be joined.

if lost() then return { 'LOST' } end
buckets, shards = unpack(redis.call('HMGET', META, 'buckets', 'shards'))
buckets, shards = tonumber(buckets), tonumber(shards)

local number_of, named = tonumber(ARGV[2]), cmsgpack.unpack(ARGV[6])
local key = BASE .. ':case:' .. ARGV[2]
local seq, fence, epoch = unpack(redis.call('HMGET', key, 'seq', 'fence', 'epoch'))
if fence == ARGV[3] and epoch ~= ARGV[4] then -- what was read of it says nothing any more: it is due after some time, as ever
  local now = now_ms()
  local took = now - tonumber(redis.call('HGET', key, 'started'))
  redis.call('HSET', key, 'ended', now, 'took', took, 'leased', 0)
  redis.call('ZADD', DUE, now + pause_of(took, parts_in(case_of(tonumber(ARGV[2])))), ARGV[2])
end
if fence ~= ARGV[3] or epoch ~= ARGV[4] then return { 'GONE' } end
local joined, left, cancelled = {}, {}, {} -- roots, root -> case under whose number it was listed, names of sweeps

read_unread()

local function is_here(p) return p.case ~= 0 and case_of(p.case).id == number_of end

-- The sweeps of a part that is divided end: all of it is told anew. Each is named after a node that is a root, or was.
local function cancel_sweeps(all)
  for first = 1, #all, MOST_AT_ONCE do
    local names = {}
    for i = first, math.min(#all, first + MOST_AT_ONCE - 1) do names[#names + 1] = struct.pack('>I5B', all[i].id, 0) end
    for i, found in ipairs(redis.call('HMGET', BASE .. ':sweeps', unpack(names))) do
      if found then cancelled[#cancelled + 1] = names[i] end
    end
  end
end

-- Give the traits of the links that these nodes are on to the parts to which the links belong now.
local function fold_links(list)
  local done = {}
  for _, n in ipairs(list) do
    local at = n.head
    while at ~= 0 do
      local l = link(at)
      if not done[at] then
        done[at] = true
        local centre = centre_of(l)
        if centre then
          local p = part(find(centre))
          for name, fact in pairs(l.traits) do fold_trait(p, name, fact) end
        end
      end
      at = next_of(l, n)
    end
  end
end

local function block_of(list, flags, gen) -- of nodes that are alone; what `unite` would come to, in one go
  local root = list[1]
  local p, listed, oldest = parts[root.id], {}, root
  for i, n in ipairs(list) do
    local q = parts[n.id]
    n.parent, n.next = root.id, list[i % #list + 1].id
    if older(n, oldest) then oldest = n end
    flags = bit.bor(flags, q.flags)
    p.first, p.last = math.min(p.first, n.first), math.max(p.last, n.last)
    if i > 1 then
      p.counts[n.code] = (p.counts[n.code] or 0) + 1
      q.gone = true
    end
    listed[i] = struct.pack('>I5', n.id)
  end
  p.founder, p.count, p.list, p.flags, p.case, p.gen, p.fresh = oldest.id, #list, table.concat(listed), flags, number_of, gen, nil
  trim(p)
  return p
end

local MOST_TOLD = 100 -- of what came of one id

local function divide(member, blocks, offs)
  local root = node(member)
  if not root or has(root, DETACHED) then return false end
  root = find(root)
  local root_id = root.id
  local old, all = part(root), {}
  if not is_here(old) then return false end
  for i, ids in ipairs(blocks) do
    for j, id in ipairs(ids) do
      ids[j] = node(id)
      all[#all + 1] = ids[j]
    end
  end
  for i, id in ipairs(offs) do
    offs[i] = node(id)
    all[#all + 1] = offs[i]
  end
  if #all ~= old.count then return false end
  for _, n in ipairs(all) do
    if find(n).id ~= root_id then return false end
  end
  cancel_sweeps(all)
  traits_of(old)
  local hidden, issued = has(old, HIDDEN), old.issued
  if issued then mark_entity(issued, not hidden and old) end
  for _, n in ipairs(all) do
    n.parent, n.next, n.dirty, parts[n.id] = n.id, n.id, true, alone(n)
  end
  parts[root_id].raw, parts[root_id].traits_raw = old.raw, old.traits_raw
  parts[root_id].traits_dirty = old.traits_raw ~= ''
  left[root_id] = old.case
  local lessened = has(old, LESSENED)
  for _, n in ipairs(offs) do lessened = lessened or has(n, ERASED) end
  if lessened and issued and not hidden then note(issued, 'x', all[1].digest, 0) end
  for _, n in ipairs(offs) do
    raise(n, DETACHED)
    if n.id == root_id then parts[n.id].gone = true else parts[n.id] = nil end
  end
  local gen = number('divisions')
  for i, list in ipairs(blocks) do
    local p = block_of(list, hidden and HIDDEN or 0, gen)
    local founder = node(p.founder)
    joined[p.root] = true
    if founder.digest == issued then
      p.issued = issued
      if hidden then raise(p, ISSUED) end
    elseif not hidden then
      p.issued = founder.digest
      mark_entity(p.issued, false)
      if i <= MOST_TOLD then note(issued, '/', p.issued, founder.flink) end
    end
  end
  local inside = {}
  for _, n in ipairs(all) do
    if has(n, DETACHED) then walks[n.id] = true else inside[#inside + 1] = n end
  end
  fold_links(inside)
  for _, n in ipairs(all) do
    retell_identifier(n)
    if has(n, FOUNDED) then mark_entity(n.digest, false) end -- an id that ended may lead over one that is elsewhere now
  end
  local most = MEMBERSHIP_COST * INLINE
  for _, list in ipairs(hidden and {} or blocks) do
    if #list > INLINE then
      sweep_all(list[1].next, list[1].id)
    else
      for _, n in ipairs(list) do most = retell_held(n, most) end
    end
  end
  return true
end

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
if ARGV[1] == 'divide' then
  ok = divide(unpack(named))
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
return { 'OK', target }
