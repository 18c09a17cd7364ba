-- Apply a batch of evidence of one partition of one log.
--
-- KEYS[1]  the space's base key
-- ARGV[1]  log and partition, `events/3`         ARGV[2]  offset at which the batch starts
-- ARGV[3]  the position after it, `offset:checksum`
-- ARGV[4]  evidence, msgpack: {{time ms, time h, source, event id, sightings, memberships}, ...} where a sighting is
--          {link digest, participant, {{identifier digest, type code, value}, ... centre first},
--           {{trait, JSON}, ...}, {{state, value}, ...}} and a membership {sighting, sighting, role, ended 0|1}
-- ARGV[5]  hub rules, msgpack: {{type code, code of the type that is counted}, ...}
-- ARGV[6]  mark of the call that this one comes after, '' for the first        ARGV[7]  mark of this call
-- REPLY    {'OK', founders' digests, 16 bytes a sighting, in order} | {'GAP', stored offset} another offset or mark | {'LOST'}
--
-- Cost     O(identifiers in the batch); a merge adds at most INLINE identifiers and memberships, the rest is swept.
-- Keeps    The batch, what it made dirty and the position are written in one step, or nothing is.

if lost() then return { 'LOST' } end
buckets, shards = unpack(redis.call('HMGET', META, 'buckets', 'shards'))
buckets, shards = tonumber(buckets), tonumber(shards)

local stored = redis.call('HGET', BASE .. ':pos', ARGV[1])
local offset = stored and string.match(stored, '^(%d+):') or '0'
local last = redis.call('HGET', BASE .. ':marks', ARGV[1]) or ''
if ARGV[7] == '' or ARGV[7] ~= last then -- else it is this call again, whose answer was lost
  if offset ~= ARGV[2] or (ARGV[6] ~= '' and ARGV[6] ~= last) then return { 'GAP', offset } end
end

local recovering = redis.call('HGETALL', RECOVERY)
for i = 1, #recovering, 2 do unread[tonumber(recovering[i])] = recovering[i + 1] == 'waiting' end

local batch = cmsgpack.unpack(ARGV[4])
local hub_of = {}
for _, rule in ipairs(cmsgpack.unpack(ARGV[5])) do hub_of[rule[1]] = rule[2] end

local created, created_links, observations, together = {}, {}, {}, {}
local link_ids = {}
local NOWHERE = string.rep('\0', 16)

local function link_of(digest)
  local id = link_ids[digest]
  if id == nil then
    local raw = redis.call('HGET', bucket('l', digest), digest)
    id = raw and struct.unpack('>I5', raw) or false
    link_ids[digest] = id
  end
  return id and link(id) or nil
end

local function create_node(entry, l, event)
  local id = number('nodes')
  local n = { id = id, parent = id, next = id, first = event[1], last = event[2], flink = l.id, head = 0, told = 0, code = entry[2], digest = entry[1], dirty = true }
  nodes[id], known[n.digest] = n, id
  created[#created + 1] = { n, entry[3] }
  parts[id] = {
    root = id, founder = id, first = n.first, last = n.last, count = 1, horizon = 0, horizon_digest = NOWHERE,
    counts = { [n.code] = 1 }, list = struct.pack('>I5', id), traits = {}, traits_raw = '', fresh = true, dirty = true,
  }
  return n
end

-- Remember who was seen with whom, for types that have a hub rule: exact sets.
local function count_together(members)
  for _, hub in ipairs(members) do
    local counted = hub_of[hub.code]
    if counted then
      for _, other in ipairs(members) do
        if other.code == counted and other.id ~= hub.id then together[#together + 1] = { hub.id, other.id } end
      end
    end
  end
end

local function remember(id, other)
  local key, field = page('h', id)
  local packed, new = redis.call('HGET', key, field) or '', struct.pack('>I5', other)
  if packed == '*' then
    redis.call('SADD', BASE .. ':H:' .. id, other)
    return
  end
  for at = 1, #packed, 5 do
    if string.sub(packed, at, at + 4) == new then return end
  end
  if #packed < 60 then
    redis.call('HSET', key, field, packed .. new)
    return
  end
  for at = 1, #packed, 5 do redis.call('SADD', BASE .. ':H:' .. id, (struct.unpack('>I5', packed, at))) end
  redis.call('SADD', BASE .. ':H:' .. id, other)
  redis.call('HSET', key, field, '*')
end

local function create_link(sighting, event)
  local l = { id = number('links'), first = event[1], last = event[2], source = event[3], event_id = event[4], traits = {}, members = {}, dirty = true }
  links[l.id], link_ids[sighting[1]] = l, l.id
  created_links[#created_links + 1] = { sighting[1], l.id }
  local members = {}
  for i, entry in ipairs(sighting[3]) do
    local n = node_of(entry[1]) or create_node(entry, l, event)
    members[i] = n
    l.members[i] = { n.id, n.head }
    n.head, n.dirty = l.id, true
  end
  count_together(members)
  return l, members
end

-- Bring a link's time to its member; true when the identifier's document changed.
local function touch(n, l, event)
  local p, changed = part(find(n)), false
  if l.first <= n.first and n.flink ~= l.id and fact_less(event_of(l), event_of(link(n.flink))) then n.flink, n.dirty = l.id, true end
  if event[1] < n.first then
    n.first, changed = event[1], true
    p.first = math.min(p.first, n.first)
    if older(n, node(p.founder)) then p.founder = n.id end
    consider(p, n)
  end
  if event[2] > n.last then
    n.last, changed = event[2], true
    p.last = math.max(p.last, n.last)
  end
  if changed then
    n.dirty, p.dirty = true, true
    mark_identifier(n)
  end
  return changed
end

-- Make the members of a link one entity at the times of an event, and mark what that changes outside.
local function settle(members, l, event)
  local before, seen, changed = {}, {}, false
  for _, n in ipairs(members) do
    local root = find(n)
    if not seen[root.id] then
      seen[root.id] = true
      local p = part(root)
      before[#before + 1] = { part = p, issued = p.issued, start = root.next, last = root.id, count = p.count }
    end
  end
  for _, n in ipairs(members) do changed = touch(n, l, event) or changed end
  local root = find(members[1])
  for _, n in ipairs(members) do root = unite(root, find(n)) end
  local p = part(root)
  local founder = node(p.founder).digest
  local told
  for _, o in ipairs(before) do
    if o.issued == founder then
      told = o.part
    else
      changed = true
      if o.issued then
        mark_entity(o.issued, o.part)
        note(founder, '+', o.issued, l.id)
        note(o.issued, '-', founder, l.id)
      end
      retell(o.start, o.last, o.count)
    end
  end
  if changed or #before > 1 then mark_entity(founder, told) end
  p.issued = founder
  return p
end

local function join_trait(l, p, name, fact)
  local had = l.traits[name]
  if had and not fact_less(had, fact) then return end
  l.traits[name], l.dirty = fact, true
  local all = traits_of(p)
  local was = all[name]
  if was and not fact_less(was, fact) then return end
  if not was or was[4] ~= fact[4] then mark_entity(p.issued, p) end
  all[name], p.traits_dirty = fact, true
end

local function see(sighting, event)
  local l, members = link_of(sighting[1]), nil
  if not l then
    l, members = create_link(sighting, event)
    settle(members, l, event)
  else
    local earlier = fact_less({ event[1], event[3], event[4] }, event_of(l))
    local later = event[2] > l.last
    if earlier then l.first, l.source, l.event_id = event[1], event[3], event[4] end
    if later then l.last = event[2] end
    if earlier or later then
      l.dirty = true
      members = {}
      for i, m in ipairs(l.members) do members[i] = node(m[1]) end
      settle(members, l, event)
    end
  end
  local centre = node(l.members[1][1])
  if #sighting[4] > 0 then
    local p = part(find(centre))
    for _, trait in ipairs(sighting[4]) do join_trait(l, p, trait[1], { event[1], event[3], event[4], trait[2] }) end
  end
  for _, state in ipairs(sighting[5]) do
    observations[#observations + 1] = { l.id, event[1], cmsgpack.pack({ state[1], event[1], event[3], event[4], sighting[2], state[2] }) }
  end
  return centre
end

local function belong(a, g, fact, ended)
  local b = belonging(a.id, g.id)
  if not b then
    local groups, members = list_of(a.id), list_of(g.id)
    b = { a = a.id, g = g.id, latest = fact, ended = ended, active = ended == 0 and fact, next_a = groups.groups, next_g = members.members, told_p = '', told_g = '', dirty = true }
    groups.groups, groups.group_count, groups.dirty = g.id, groups.group_count + 1, true
    members.members, members.member_count, members.dirty = a.id, members.member_count + 1, true
    local _, name = pair_key(a.id, g.id)
    belongs[name] = b
  elseif fact_less(b.latest, fact) then
    b.latest, b.ended, b.dirty = fact, ended, true
  elseif ended > b.ended and not fact_less(fact, b.latest) then
    b.ended, b.dirty = ended, true
  end
  if ended == 0 and (not b.active or fact_less(b.active, fact)) then b.active, b.dirty = fact, true end
  if b.dirty then retell_membership(b) end
end

local centres = {}
for _, evidence in ipairs(batch) do
  local event = { evidence[1], evidence[2], evidence[3], evidence[4] }
  local here = {}
  for i, sighting in ipairs(evidence[5]) do
    here[i] = see(sighting, event)
    centres[#centres + 1] = here[i]
  end
  for _, m in ipairs(evidence[6]) do
    belong(here[m[1] + 1], here[m[2] + 1], { event[1], event[3], event[4], m[3] }, m[4])
  end
end

local founders = {}
for i, n in ipairs(centres) do founders[i] = node(part(find(n)).founder).digest end

for _, new in ipairs(created) do
  local n, value = new[1], new[2]
  put(bucket('i', n.digest), n.digest, struct.pack('>I5', n.id))
  local key, field = page(#value <= 64 and 'v' or 'V', n.id)
  put(key, field, value)
end
for _, new in ipairs(created_links) do put(bucket('l', new[1]), new[1], struct.pack('>I5', new[2])) end
for _, o in ipairs(observations) do redis.call('ZADD', BASE .. ':o:' .. o[1], o[2], o[3]) end
for _, t in ipairs(together) do remember(t[1], t[2]) end
flush()
redis.call('HSET', BASE .. ':pos', ARGV[1], ARGV[3])
redis.call('HSET', BASE .. ':marks', ARGV[1], ARGV[7])
return { 'OK', table.concat(founders) }
