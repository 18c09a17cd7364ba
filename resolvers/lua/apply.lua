-- Apply a batch of evidence of one partition of one log.
--
-- KEYS[1]  the space's base key
-- ARGV[1]  log and partition, `events/3`         ARGV[2]  offset at which the batch starts
-- ARGV[3]  the position after it, `offset:checksum`
-- ARGV[4]  evidence, msgpack: {{time ms, time h, source, event id, sightings, memberships}, ...} where a sighting is
--          {link digest, participant, {{identifier digest, type code, value}, ... centre first},
--           {{trait, JSON, its order if that is not the time}, ...}, {{state, value}, ...}} and a membership {sighting, sighting, role, ended 0|1}
-- ARGV[5]  guards, msgpack: {{type code, code of the type that is counted for hubs or 0, over how many, limit or 0, size, priority}, ...}
-- ARGV[6]  mark of the call that this one comes after, '' for the first        ARGV[7]  mark of this call
-- ARGV[8]  the offset after the last of the evidence
-- REPLY    {'OK', founders' digests, 16 bytes a sighting, in order; zeros for nobody} | {'GAP', stored offset} another offset or mark | {'LOST'}
--
-- Cost     O(identifiers in the batch); a merge adds at most INLINE identifiers and memberships, and the reading of as many more nodes; the rest is swept
-- Keeps    What an erasure covers is left out, whenever it arrives. The batch, what it made dirty and the position are written in one step, or nothing is.

if lost() then return { 'LOST' } end
buckets, shards = unpack(redis.call('HMGET', META, 'buckets', 'shards'))
buckets, shards = tonumber(buckets), tonumber(shards)

do
  local stored = gap()
  if stored then return { 'GAP', stored } end
end
read_unread()

local batch = cmsgpack.unpack(ARGV[4])
read_guards(ARGV[5])

local created, created_links, observations, together = {}, {}, {}, {}
local link_ids = {}

local function link_of(digest)
  local id = link_ids[digest]
  if id == nil then
    local raw = redis.call('HGET', bucket('l', digest), digest)
    id = raw and struct.unpack('>I5', raw) or false
    link_ids[digest] = id
  end
  return id and link(id) or nil
end

local create_link
do
  local corrected = redis.call('HEXISTS', META, 'corrected') == 1 -- whether there was any correction, which may name what is new

  local function create_node(entry, l, event)
    local id = number('nodes')
    local n = { id = id, parent = id, next = id, first = event[1], last = event[2], flink = l.id, head = 0, told = 0, code = entry[2], digest = entry[1], flags = 0, dirty = true }
    nodes[id], known[n.digest] = n, id
    created[#created + 1] = { n, entry[3] }
    if corrected then n.flags = said_of(n.digest) end
    if erasures() and redis.call('HEXISTS', bucket('z', n.digest), n.digest) == 1 then n.flags = n.flags + REBORN end
    if has(n, BLOCKED) then
      raise(n, DETACHED)
    else
      parts[id] = alone(n)
      if has(n, LINKED) then put_with_partners(n) end
    end
    return n
  end

  -- Bring back an identifier of which an erasure had left no link.
  local function revive(n, value, l, event)
    lower(n, ERASED)
    n.first, n.last, n.flink, n.told, n.dirty = event[1], event[2], l.id, 0, true
    created[#created + 1] = { n, value }
    turn_on(n)
    if not has(n, DETACHED) then raise(part(find(n)), STALE) end
  end

  -- Remember who was seen with whom, for types that have a hub rule. One that met too many connects nothing from now on.
  local function count_together(members)
    for _, hub in ipairs(members) do
      local counted = counted_by[hub.code]
      if counted then
        local m = not has(hub, HUB) and met_by(hub)
        for _, other in ipairs(members) do
          if other.code == counted and other.id ~= hub.id then
            together[#together + 1] = { hub.id, other.id }
            if m and not m.seen[other.id] then m.seen[other.id], m.count = true, m.count + 1 end
          end
        end
        if m and over(hub, m) then turn_off(hub, HUB) end
      end
    end
  end

  create_link = function(sighting, event)
    local l = { id = number('links'), first = event[1], last = event[2], source = event[3], event_id = event[4], traits = {}, members = {}, dirty = true }
    links[l.id], link_ids[sighting[1]] = l, l.id
    created_links[#created_links + 1] = { sighting[1], l.id }
    local members = {}
    for i, entry in ipairs(sighting[3]) do
      local n = node_of(entry[1]) or create_node(entry, l, event)
      if has(n, ERASED) then revive(n, entry[3], l, event) end
      members[i] = n
      l.members[i] = { n.id, n.head }
      n.head, n.dirty = l.id, true
    end
    count_together(members)
    return l, members
  end
end

local settle
do
  -- Bring a link's time to its member; true when the identifier's document changed. `p` is the part that it is of, if any.
  local function touch(n, p, l, event)
    local changed = false
    if has(n, REFRESH) then count_in(fresh_of(n), l) end
    if l.first <= n.first and n.flink ~= l.id and fact_less(event_of(l), event_of(link(n.flink))) then n.flink, n.dirty = l.id, true end
    if event[1] < n.first then
      n.first, changed = event[1], true
      if p then
        p.first = math.min(p.first, n.first)
        if older(n, node(p.founder)) then p.founder = n.id end
        consider(p, n)
      end
    end
    if event[2] > n.last then
      n.last, changed = event[2], true
      if p then p.last = math.max(p.last, n.last) end
    end
    if changed then
      n.dirty = true
      if p then
        p.dirty = true
        if not has(p, HIDDEN) then mark_identifier(n) end
      end
    end
    return changed
  end

  -- Make members of a link one entity at the times of an event, and mark what that changes outside.
  local function join(members, l, event)
    local before, seen, changed = {}, {}, false
    for _, n in ipairs(members) do
      local root = find(n)
      if not seen[root.id] then
        seen[root.id] = true
        before[#before + 1] = snapshot(root)
      end
    end
    for _, n in ipairs(members) do changed = touch(n, part(find(n)), l, event) or changed end
    local root = find(members[1])
    for _, n in ipairs(members) do root = unite(root, find(n)) end
    announce(part(root), before, l.id, changed)
  end

  -- Whether parts that a link joins would break a guard together, or may.
  local function breach(list)
    local total, kinds, touched, counts, size = 0, 0, 0, {}, 0
    for _, p in ipairs(list) do
      total = total + p.count
      if has(p, TOUCHED) then touched = touched + 1 end
      for code, count in pairs(counts_of(p)) do
        if not counts[code] then kinds = kinds + 1 end
        counts[code] = (counts[code] or 0) + count
        if limit_of[code] and counts[code] > limit_of[code] then return true end
        size = size_of[code]
      end
    end
    return touched > 1 or (total > size and kinds > 1)
  end

  -- Parts in a case are not joined here: they take the link's times and traits each for itself, and what is new stays untold.
  local function wait(list, l, event, new_edges, by_root)
    if new_edges then put_in_case(list, false) end
    for _, p in ipairs(list) do
      if p.fresh then raise(p, HIDDEN) end
      join(by_root[p.root], l, event)
    end
  end

  -- The part that all members are of, if it was told and is in no case; nil where that is not so.
  local function one_part(members)
    local root
    for _, n in ipairs(members) do
      local above = not off(n) and find(n)
      if not above or (root and above ~= root) then return nil end
      root = above
    end
    local p = root and part(root)
    return p and p.issued and p.case == 0 and not has(p, UNTOLD) and p
  end

  -- What `join` comes to for members that are of one part already, which is what most sightings find.
  local function touch_all(members, p, l, event)
    local issued, changed = p.issued, false
    for _, n in ipairs(members) do changed = touch(n, p, l, event) or changed end
    if node(p.founder).digest ~= issued then
      announce(p, { snapshot(node(p.root)) }, l.id, changed)
    elseif changed then
      mark_entity(issued, p)
    end
  end

  -- Make a link's members one entity, but for those that are off; or leave that to the case in which they are.
  settle = function(members, l, event, new_edges)
    local known_part = one_part(members)
    if known_part then
      touch_all(members, known_part, l, event)
      return
    end
    local list, by_root, connects, waits = {}, {}, {}, false
    for _, n in ipairs(members) do
      if has(n, DETACHED) then
        touch(n, nil, l, event)
      elseif off(n) then -- of its part still, until that is divided
        local p = part(find(n))
        if p.fresh then raise(p, HIDDEN) end
        p.fresh = nil
        join({ n }, l, event)
      else
        connects[#connects + 1] = n
        local root = find(n)
        local p = part(root)
        if not by_root[root.id] then
          by_root[root.id] = {}
          list[#list + 1] = p
          if p.case ~= 0 then waits = true end
        end
        table.insert(by_root[root.id], n)
      end
    end
    if waits or (#list > 1 and breach(list)) then
      wait(list, l, event, new_edges and #connects > 1, by_root)
    elseif #connects > 0 then
      join(connects, l, event)
    end
    for _, p in ipairs(list) do p.fresh = nil end
  end
end

local see
do
  local taking_away = erasures() and redis.call('EXISTS', BASE .. ':walkq') == 1

  see = function(sighting, event)
    local l, members = link_of(sighting[1]), nil
    if erasures() and (not l or (taking_away and covers(l))) then
      sighting = as_known_now(sighting, event[1])
      if not sighting then return false end
      l = link_of(sighting[1])
    end
    if not l then
      l, members = create_link(sighting, event)
      settle(members, l, event, true)
    else
      local earlier = event[1] <= l.first and fact_less({ event[1], event[3], event[4] }, event_of(l))
      local later = event[2] > l.last
      local edges = event[1] < l.first
      if earlier then l.first, l.source, l.event_id = event[1], event[3], event[4] end
      if later then l.last = event[2] end
      if earlier or later then
        l.dirty = true
        members = {}
        for i, m in ipairs(l.members) do members[i] = node(m[1]) end
        settle(members, l, event, edges)
      end
    end
    local centre = centre_of(l)
    if #sighting[4] > 0 then
      local p = centre and part(find(centre))
      for _, trait in ipairs(sighting[4]) do
        local fact = { trait[3] or event[1], event[3], event[4], trait[2], trait[3] and event[1] }
        if take_trait(said_by(l).traits, trait[1], fact) then
          l.dirty = true
          if p then fold_trait(p, trait[1], fact) end
        end
      end
    end
    for _, state in ipairs(sighting[5]) do
      local packed = cmsgpack.pack({ state[1], event[1], event[3], event[4], sighting[2], state[2] })
      if not redis.call('ZSCORE', BASE .. ':o:' .. l.id, packed) then
        observations[#observations + 1] = { l.id, event[1], packed }
        show(l)
      end
    end
    return l
  end
end

local function belong(l, k, fact, ended)
  local name = struct.pack('>I5I5', l.id, k.id)
  local b = belonging(name)
  if not b then
    b = { name = name, latest = fact, ended = ended, active = ended == 0 and fact, begun = ended == 0 and fact, told_p = '', told_g = '', gen = 0, dirty = true }
    belongs[name] = b
    enlist(b, l, k)
  elseif fact_less(b.latest, fact) then
    b.latest, b.ended, b.dirty = fact, ended, true
  elseif ended > b.ended and not fact_less(fact, b.latest) then
    b.ended, b.dirty = ended, true
  end
  if ended == 0 and (not b.active or fact_less(b.active, fact)) then b.active, b.dirty = fact, true end
  if ended == 0 and (not b.begun or fact_less(fact, b.begun)) then b.begun, b.dirty = fact, true end
  if b.dirty then retell_membership(b) end
end

local seen = {}
for _, event in ipairs(batch) do
  local here = {}
  for i, sighting in ipairs(event[5]) do
    here[i] = see(sighting, event)
    seen[#seen + 1] = here[i]
  end
  for _, m in ipairs(event[6]) do
    local member, group = here[m[1] + 1], here[m[2] + 1]
    if member and group then belong(member, group, { event[1], event[3], event[4], m[3] }, m[4]) end
  end
end

local founders = {}
do
  local NOWHERE = string.rep('\0', 16)

  -- The id that a participant gets: what is untold until its case is settled has been told by this, and must lead somewhere.
  local function replied(l)
    local centre = l and centre_of(l)
    if not centre then return NOWHERE end
    local p = part(find(centre))
    local issued = issued_of(p)
    if has(p, DIVIDING) and issued then return issued end
    local founder = node(p.founder).digest
    if has(p, DIVIDING) then mark_entity(founder, false) elseif has(p, HIDDEN) then raise(p, ISSUED) end
    return founder
  end

  for i, l in ipairs(seen) do founders[i] = replied(l) end
end

for _, new in ipairs(created) do
  local n, value = new[1], new[2]
  put(bucket('i', n.digest), n.digest, struct.pack('>I5', n.id))
  local key, field = page(#value <= 64 and 'v' or 'V', n.id)
  put(key, field, value)
end
for _, new in ipairs(created_links) do put(bucket('l', new[1]), new[1], struct.pack('>I5', new[2])) end
for _, o in ipairs(observations) do redis.call('ZADD', BASE .. ':o:' .. o[1], o[2], o[3]) end
do
  local function remember(id, other)
    if has(node(id), REFRESH) then redis.call('SADD', BASE .. ':Hn:' .. id, other) end
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

  for _, t in ipairs(together) do remember(t[1], t[2]) end
end
flush()
write_walks()
write_freshes()
go_on()

do
  -- Up to where a partition is applied, how far its events have come in time, and of each day the first offset at which it has an event of it: what is
  -- read again when an erasure asks for that.
  local log, partition = string.match(ARGV[1], '^([^/]*)/(.*)$')
  if log == 'events' then
    redis.call('HSET', BASE .. ':pos', 'upto/' .. partition, ARGV[8])
    if redis.call('EXISTS', RECOVERY) == 0 then -- what is only read once more tells nothing of the time
      local had, came, since = string.match(redis.call('HGET', BASE .. ':tide', partition) or '0:0:0', '^(%d+):(%d+):(%d+)$')
      local latest, now, epoch = tonumber(had), now_ms(), 62135596800000 -- ms from the year 1 on
      for _, event in ipairs(batch) do latest = math.max(latest, event[1] - epoch) end
      local age = now - tonumber(came)
      if age < 0 or age >= IDLE then since = string.format('%d', now) end
      if latest > tonumber(had) then redis.call('HSET', BASE .. ':tide', partition, string.format('%d:%d:%s', latest, now, since)) end
    end
    local days = {}
    for _, evidence in ipairs(batch) do days[math.floor(evidence[1] / DAY)] = true end
    for day in pairs(days) do
      local key = BASE .. ':days:' .. partition
      if redis.call('ZCOUNT', key, day, day) == 0 then redis.call('ZADD', key, day, string.format('%d:%s', day, ARGV[2])) end
    end
  end

  -- A partition that was read again to its end; once more, for erasures that came meanwhile.
  local under_way = log == 'reread' and redis.call('HGET', REREADS, partition)
  if under_way and tonumber(string.match(ARGV[3], '^%d+')) >= tonumber(string.match(under_way, '%d+$')) then
    local after = redis.call('HGET', REREADS .. ':next', partition)
    redis.call('HDEL', REREADS .. ':next', partition)
    if after then
      begin_reread(partition, after)
    else
      redis.call('HDEL', REREADS, partition)
      redis.call('HDEL', BASE .. ':pos', ARGV[1])
      redis.call('HDEL', BASE .. ':marks', ARGV[1])
      if redis.call('EXISTS', REREADS) == 0 then redis.call('DEL', REREADS .. ':of') end
    end
  end
end
return { 'OK', table.concat(founders) }
