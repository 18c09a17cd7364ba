-- Graph: what a script may do to records, and how the outcome is written. Prepended after records.lua.
--
-- Invariant: every operation is a join (sets unite, first = min, last = max, trait = max), so any order and any repeat
-- of the same evidence ends in the same graph. What a change makes visible outside is marked dirty in the same step.

local dirty = {} -- output key -> what was told last ('' = nothing)
local notes = {} -- entity's output key -> packed {'+' absorbed | '-' absorbed by, that founder's digest, link}
local counters = {}
local shards

local function shard_of(digest) return struct.unpack('>I4', digest) % shards end

local function number(name)
  counters[name] = (counters[name] or tonumber(redis.call('HGET', META, name) or '0')) + 1
  return counters[name]
end

local unread = {} -- shards whose topics are still to be read: those say what was told, so nothing is remembered of it here

local function mark_identifier(n) dirty['i' .. first_of(n)] = '' end

local function mark_entity(digest, p) -- p: the part that was told under this id until now, or nil
  local key = 'e' .. digest
  if dirty[key] then return end
  raise(node_of(digest), FOUNDED)
  if not (p and p.raw) or unread[shard_of(digest)] then
    dirty[key] = ''
    return
  end
  dirty[key] = cmsgpack.pack({ p.raw, raw_traits_of(p) })
end

local function note(digest, sign, other, link_id)
  local key = 'e' .. digest
  notes[key] = notes[key] or {}
  table.insert(notes[key], sign .. other .. struct.pack('>I5', link_id))
end

local carries -- whether memberships carry states, in this space
do
  local known

  carries = function()
    if known == nil then known = redis.call('HEXISTS', META, 'carries') == 1 end
    return known
  end
end

local retell_membership
do
  -- The founder's digest under which a link's memberships are told, and of which generation; '' where they are nobody's, or not told yet;
  -- nil while that is being divided.
  local function told_under(id)
    local n = centre_of(link(id))
    if not n or has(n, DETACHED) then return '', 0 end
    local p = part(find(n))
    if has(p, DIVIDING) then return nil end
    if has(p, HIDDEN) then return '', 0 end
    return node(p.founder).digest, p.gen
  end

  -- Rejoin one membership with the fold of its present pair of entities, and move it there if it lay elsewhere. Whatever takes evidence from an
  -- entity divides it (settle.lua), and then this is done for all that it has left: the first of a new generation begins the fold anew. While that is
  -- under way, memberships stay as they were told.
  retell_membership = function(b)
    local a, k = struct.unpack('>I5I5', b.name)
    local p, gen = told_under(a)
    local g, other = told_under(k)
    if not p or not g then return end
    gen = math.max(gen, other)
    if not b.latest or link(a).dead or link(k).dead or p == '' or g == '' then p, g, gen = '', '', 0 end -- an erasure took one of the links, or it is nobody's
    local moves = b.told_p ~= p or b.told_g ~= g
    if moves and b.told_p ~= '' then
      local left = fold_of(b.told_p .. b.told_g)
      left.count, left.dirty = left.count - 1, true
      if left.count == 0 then
        local key = 'm' .. left.name
        dirty[key] = dirty[key] or left.raw
        left.latest, left.active, left.begun, left.ended = nil, nil, nil, nil
      end
    end
    if moves or b.gen ~= gen then b.told_p, b.told_g, b.gen, b.dirty = p, g, gen, true end
    if p == '' then return end
    local f, changed = fold_of(p .. g), false
    if moves then f.count, f.dirty = f.count + 1, true end
    if f.gen ~= gen then f.latest, f.active, f.begun, f.ended, f.gen = nil, nil, nil, nil, gen end
    if not f.latest or fact_less(f.latest, b.latest) then
      f.latest, f.ended, changed = b.latest, b.ended, true
    elseif f.ended ~= b.ended and not fact_less(b.latest, f.latest) then
      f.ended, changed = math.max(f.ended, b.ended), true
    end
    if b.active and (not f.active or fact_less(f.active, b.active)) then f.active, changed = b.active, true end
    if b.begun and (not f.begun or fact_less(b.begun, f.begun)) then -- no document says it; but what is carried is told anew
      f.begun, f.dirty, changed = b.begun, true, changed or carries()
    end
    if changed then
      local key = 'm' .. f.name
      dirty[key], f.dirty = dirty[key] or f.raw, true
    end
  end
end

-- A node that was last taken under the founder that it has now, or is dirty still, needs no telling.
local function retell_identifier(n)
  if has(n, DETACHED) then
    if n.told ~= 0 then mark_identifier(n) end
    return
  end
  local p = part(find(n))
  if not has(p, UNTOLD) and n.told ~= p.founder then mark_identifier(n) end
end

-- Visit memberships of a link from a place on, `most` at most; gives how many, and whether these were the last. A place is
-- {at = link, way = 0 before the first | 1 among its groups | 2 among its members, cursor}; lists only grow, at their heads.
local function go_over(place, most, visit)
  local q, visited = list_of(place.at), 0
  if place.way == 0 then place.way, place.cursor = 1, q.groups end
  while true do
    if place.cursor == NOTHING and place.way == 2 then
      place.way = 0
      return visited, true
    elseif place.cursor == NOTHING then
      place.way, place.cursor = 2, q.members
    elseif visited >= most then
      return visited, false
    else
      local b = belonging(place.cursor)
      visit(b)
      visited, place.cursor = visited + 1, place.way == 1 and b.next_a or b.next_g
    end
  end
end

local MEMBERSHIP_COST = 4 -- a membership that is retold costs as much as so many identifiers

-- Retell the memberships of those links of a node that it is the centre of, from a place on; gives what is left of `most`, and whether all are told.
local function retell_links(n, place, most)
  while place.at ~= 0 and most > 0 do
    local l, over = link(place.at), true
    most = most - 1
    if place.way ~= 0 or centre_of(l) == n then
      local visited
      visited, over = go_over(place, math.max(1, math.floor(most / MEMBERSHIP_COST)), retell_membership)
      most = most - visited * MEMBERSHIP_COST
    end
    if over then place.at = next_of(l, n) end
  end
  return most, place.at == 0
end

local sweeps = {} -- {name, first node, node to stop at} to be appended to the queue of sweeps
local SWEEP = '>I5I5I5Bc10B' -- node, node to stop at, place among its links with a way of 3 before the node itself, 1 to go round once more

local function sweep_all(start, last) -- of a run of nodes
  sweeps[#sweeps + 1] = { struct.pack('>I5B', find(node(start)).id, 0), start, node(last).next }
end

-- Retell the memberships of a node as far as `most` goes, and leave what more there are to a sweep; gives what is left of `most`.
local function retell_held(n, most)
  if not has(n, HOLDS) then return most end
  local left, over = retell_links(n, { at = n.head, way = 0 }, most)
  if not over then sweeps[#sweeps + 1] = { struct.pack('>I5B', n.id, 1), n.id, n.next } end
  return left
end

local retell, retell_runs
do
  local more, next_at, told_at, told_on = HOLDS + REBORN + DETACHED, 6, 32, '>I5Bc16I2' -- flags of a node that is more than marked; places in a packed one
  local runs = {} -- {first node, how many}

  -- Retell the run of `count` nodes from `start` to `last`, which were a circle of their own until now: when all is written, since one call often
  -- gives a part one founder after the other. A sweep ends when it comes to the node that follows the run today: nodes are only ever added, after
  -- `last`, so it will come.
  retell = function(start, last, count)
    if count > INLINE then sweep_all(start, last) else runs[#runs + 1] = { start, count } end
  end

  -- Read what is packed of the nodes of a part that are not known yet: together, as they often lie on few pages.
  local function packed_of(p)
    local found, named, pages = {}, {}, {}
    local list = oldest_of(p)
    for at = 1, #list, 5 do
      local id = struct.unpack('>I5', list, at)
      if not nodes[id] then
        local key, field = page('n', id)
        if not pages[key] then pages[key], named[key] = {}, {} end
        table.insert(pages[key], field)
        table.insert(named[key], id)
      end
    end
    for key, fields in pairs(pages) do
      for i, raw in ipairs(redis.call('HMGET', key, unpack(fields))) do found[named[key][i]] = raw end
    end
    return found
  end

  local function retell_run(start, count, done)
    local p, id, left = part(find(node(start))), start, MEMBERSHIP_COST * INLINE
    local packed = not has(p, UNTOLD) and p.count <= 2 * count and packed_of(p) or {}
    for _ = 1, count do
      done[id] = true
      local raw = not nodes[id] and packed[id]
      local told, digest, flags, _
      if raw then told, _, digest, flags = struct.unpack(told_on, raw, told_at) end
      if raw and bit.band(flags, more) == 0 then -- as retell_identifier would
        if told ~= p.founder then dirty['i' .. digest] = '' end
        id = struct.unpack('>I5', raw, next_at)
      else
        local n = node(id, raw)
        retell_identifier(n)
        left = retell_held(n, left)
        id = n.next
      end
    end
  end

  -- The latest run first: it holds each older one that it touches, since parts were only united meanwhile.
  retell_runs = function()
    local done = {}
    for i = #runs, 1, -1 do
      local start, count = unpack(runs[i])
      if not done[start] then retell_run(start, count, done) end
    end
  end
end

-- Cut the list of a part to the oldest identifiers that a document lists; true when that changed it. Nodes that are not
-- listed are never older than the horizon.
local function cut(p)
  local list = oldest_of(p)
  if #list <= LISTED * 5 then return false end
  local all = {}
  for at = 1, #list, 5 do all[#all + 1] = node((struct.unpack('>I5', list, at))) end
  table.sort(all, older)
  local kept = {}
  for i = 1, LISTED do kept[i] = struct.pack('>I5', all[i].id) end
  p.list = table.concat(kept)
  p.horizon, p.horizon_digest = all[LISTED].first, all[LISTED].digest
  return true
end

-- Cut once the list is twice as long, so that the work is constant per identifier on average.
local function trim(p)
  if #oldest_of(p) > 2 * LISTED * 5 then cut(p) end
end

-- List a node that has come to lie before the horizon of its part. Without a horizon every node is listed.
local function consider(p, n)
  if p.horizon == 0 or n.first > p.horizon or (n.first == p.horizon and not bytes_less(n.digest, p.horizon_digest)) then return end
  local packed, list = struct.pack('>I5', n.id), oldest_of(p)
  local at = string.find(list, packed, 1, true)
  while at do
    if at % 5 == 1 then return end
    at = string.find(list, packed, at + 1, true)
  end
  p.list = list .. packed
  trim(p)
end

-- Join a fact into traits, a link's or a part's; gives whether that changed them, and whether it changed what they say. Of a trait that keeps all values,
-- whose facts lie under its name, a NUL and the value, the shortest stay, then the least by bytes, as far as there is room for them (trait_rules.py):
-- so what stays is a function of the set. Costs O(values) for the first of a trait in a call, and O(log values) for each further one.
local take_trait
do
  local ROOM = { values = 500, bytes = 131072 }
  local sets = {} -- traits -> name of one that keeps all, with the NUL -> {count, bytes, heap of their keys with the last at its top, once it was needed}

  local function before(a, b, at) -- keys of one trait, whose values begin there
    if #a ~= #b then return #a < #b end
    for i = at, #a - 5, 6 do
      local x, y = struct.unpack('>I6', a, i), struct.unpack('>I6', b, i)
      if x ~= y then return x < y end
    end
    return bytes_less(string.sub(a, -6), string.sub(b, -6))
  end

  local function sink(heap, key, i, at) -- into a gap at i, whose children are in order
    while 2 * i <= #heap do
      local child = 2 * i
      if child < #heap and before(heap[child], heap[child + 1], at) then child = child + 1 end
      if not before(key, heap[child], at) then break end
      heap[i], i = heap[child], child
    end
    heap[i] = key
  end

  local function push(heap, key, at)
    local i = #heap + 1
    heap[i] = key
    while i > 1 and before(heap[math.floor(i / 2)], key, at) do
      heap[i], i = heap[math.floor(i / 2)], math.floor(i / 2)
    end
    heap[i] = key
  end

  local function keys_of(all, base)
    local keys, bytes = {}, 0
    for name, fact in pairs(all) do
      if string.sub(name, 1, #base) == base then keys[#keys + 1], bytes = name, bytes + #fact[4] end
    end
    return keys, bytes
  end

  local function set_of(all, base)
    local of = sets[all] or {}
    sets[all] = of
    if not of[base] then
      local keys, bytes = keys_of(all, base)
      of[base] = { count = #keys, bytes = bytes }
    end
    return of[base]
  end

  -- The last of a set: found by looking at all the first time, and by a heap from then on.
  local function last_of(set, all, base)
    local at = #base + 1
    if set.heap then return set.heap[1] end
    local keys = keys_of(all, base)
    if set.cut then
      set.heap = keys
      for i = math.floor(#keys / 2), 1, -1 do sink(keys, keys[i], i, at) end
      return keys[1]
    end
    if not set.last then
      set.last = keys[1]
      for i = 2, #keys do
        if before(set.last, keys[i], at) then set.last = keys[i] end
      end
    end
    return set.last
  end

  local function take_out(set, all, last, at)
    set.count, set.bytes, set.cut, set.last = set.count - 1, set.bytes - #all[last][4], true, nil
    all[last] = nil
    local key = set.heap and table.remove(set.heap)
    if key and #set.heap > 0 then sink(set.heap, key, 1, at) end
  end

  -- Take those out that come after a new one and have no room beside it; false where it is itself the last.
  local function make_room(all, base, name, size)
    local set, at = set_of(all, base), #base + 1
    while set.count >= ROOM.values or set.bytes + size > ROOM.bytes do
      local last = last_of(set, all, base)
      if not last or before(last, name, at) then return false end
      take_out(set, all, last, at)
    end
    set.count, set.bytes = set.count + 1, set.bytes + size
    if set.heap then push(set.heap, name, at) end
    if set.last and before(set.last, name, at) then set.last = name end
    return true
  end

  take_trait = function(all, name, fact)
    local was = all[name]
    if was and not fact_less(was, fact) then return false, false end
    local mark = not was and string.find(name, '\0', 1, true)
    if mark and not make_room(all, string.sub(name, 1, mark), name, #fact[4]) then return false, false end
    all[name] = fact
    return true, not was or was[4] ~= fact[4]
  end
end

-- Unite the components of two roots by size; gives the root that remains. The circles are joined at the roots, so
-- what was one circle stays one contiguous run of the new one, which a sweep in progress relies on.
local function unite(a, b)
  if a == b then return a end
  local p, q = part(a), part(b)
  if p.count < q.count or (p.count == q.count and p.root > q.root) then a, b, p, q = b, a, q, p end
  b.parent, b.dirty, a.dirty = a.id, true, true
  a.next, b.next = b.next, a.next
  if older(node(q.founder), node(p.founder)) then p.founder, p.gen = q.founder, q.gen end
  p.first, p.last = math.min(p.first, q.first), math.max(p.last, q.last)
  local counts = counts_of(p)
  for code, count in pairs(counts_of(q)) do counts[code] = (counts[code] or 0) + count end
  p.count = p.count + q.count
  if p.horizon > 0 and q.count == 1 then
    consider(p, b)
  else
    if q.horizon > 0 and (p.horizon == 0 or q.horizon < p.horizon or (q.horizon == p.horizon and bytes_less(q.horizon_digest, p.horizon_digest))) then
      p.horizon, p.horizon_digest = q.horizon, q.horizon_digest
    end
    p.list = oldest_of(p) .. oldest_of(q)
    trim(p)
  end
  local from = traits_of(q)
  if next(from) then
    local into = traits_of(p)
    for name, fact in pairs(from) do take_trait(into, name, fact) end
    p.traits_dirty = true
  end
  p.flags = bit.bor(bit.band(p.flags, q.flags, HIDDEN), bit.band(bit.bor(p.flags, q.flags), STALE + TOUCHED + LESSENED + SHOWN))
  p.dirty, q.gone = true, true
  return a
end

-- The part of a node that is alone.
local function alone(n)
  return {
    root = n.id, founder = n.id, first = n.first, last = n.last, count = 1, horizon = 0, horizon_digest = string.rep('\0', 16),
    case = 0, flags = (has(n, FORBIDS) and TOUCHED or 0) + (has(n, SHOWS) and SHOWN or 0), gen = 0, counts = { [n.code] = 1 }, list = struct.pack('>I5', n.id), issued = false,
    traits = {}, traits_raw = '', fresh = true, dirty = true,
  }
end

-- The digest of the id under which the identifiers of a part were told, or given out; false where there is none. `cuts` has it of those in division.
local function issued_of(p)
  if not has(p, DIVIDING) then return p.issued end
  local issued = redis.call('HGET', BASE .. ':cuts', p.root)
  return issued and issued ~= '' and issued
end

local function snapshot(root) -- of a part that is about to change; its circle is a run of the one that it joins
  local p = part(root)
  return { told = not has(p, HIDDEN) and p, issued = p.issued, start = root.next, last = root.id, count = p.count }
end

local announce
do
  -- Where an id was told to have gone, a node; nil if it was told to live since, or never told to have ended.
  local function told_gone(digest)
    local key, field = page('g', node_of(digest).id)
    local packed = redis.call('HGET', key, field)
    return packed and struct.unpack('>I5', packed)
  end

  -- Whether a merge is of two lives that nobody was told of, and was told when these ids were last told to live.
  local function told_before(into, absorbed)
    local gone = told_gone(absorbed)
    if not gone then return false end
    local on = told_gone(into)
    return on and (gone == node_of(into).id or gone == on)
  end

  -- Mark what follows from parts having become one, `p`, or from its founder having changed. `before` are the parts as they were.
  announce = function(p, before, link_id, changed)
    if has(p, DIVIDING) then return end
    local founder = node(p.founder).digest
    local told
    if has(p, HIDDEN) then p.issued = false end
    for _, o in ipairs(before) do
      if o.issued == founder then
        told = o.told
        if has(p, HIDDEN) then p.issued = founder end
      elseif o.issued or not has(p, HIDDEN) then
        changed = true
        if o.issued then
          mark_entity(o.issued, o.told)
          if not has(p, HIDDEN) and not told_before(founder, o.issued) then note(founder, '+', o.issued, link_id) end
          note(o.issued, '-', founder, link_id)
        end
      end
      if not has(p, HIDDEN) and (o.issued ~= founder or not o.told) then retell(o.start, o.last, o.count) end
    end
    if has(p, HIDDEN) then
      if p.issued then raise(p, ISSUED) end
      return
    end
    if changed or #before > 1 then mark_entity(founder, told) end
    p.issued = founder
  end
end

local function fold_trait(p, name, fact) -- into the traits of a part
  local taken, tells = take_trait(traits_of(p), name, fact)
  if tells and not has(p, UNTOLD) then mark_entity(p.issued, p) end
  if taken then p.traits_dirty = true end
end

local shown = {} -- {node, link that it is on and that has observations}

-- Say that a link has observations of states, to the part that has it now; what that makes of its states is told anew.
local function show(l)
  for _, m in ipairs(l.members) do
    raise(node(m[1]), SHOWS)
    shown[#shown + 1] = { m[1], l.id }
  end
  local n = centre_of(l)
  if not n or has(n, DETACHED) then return end
  local p = part(find(n))
  raise(p, SHOWN)
  if not has(p, UNTOLD) then mark_entity(p.issued, p) end
end

-- Enter a membership in the lists of its links.
local function enlist(b, l, k)
  local groups, members = list_of(l.id), list_of(k.id)
  for _, one in ipairs({ { groups, l }, { members, k } }) do
    local q = one[1]
    if q.groups == NOTHING and q.members == NOTHING then
      for _, m in ipairs(one[2].members) do raise(node(m[1]), HOLDS) end
    end
    q.dirty = true
  end
  b.next_a, groups.groups = groups.groups, b.name
  b.next_g, members.members = members.members, b.name
end

local MOST_AT_ONCE = 1000 -- arguments of one command that come from a table: Lua's stack is bounded

-- Fields of hashes to be written, key by key: one command for all fields of a hash, since a command costs more than a field.
local puts = {} -- key -> {field, value, field, value, ...}

local function put(key, field, value)
  local fields = puts[key]
  if not fields then
    puts[key] = { field, value }
    return
  end
  local count = #fields
  fields[count + 1], fields[count + 2] = field, value
end

-- Cases: parts whose evidence breaks a guard together, or may. Nobody unites these but who settles the case (settle.lua), by a pure
-- function of all their evidence. `seq` counts the evidence that came, `epoch` what changed who may connect; `roots` are those put in here.
-- A large case that meets another goes `into` it as it is, its parts still listed under its own number.
local cases = {}

local function case_of(id) -- the one that it has gone into, if it has
  local c = cases[id]
  if not c then
    local into, seq, epoch, more = unpack(redis.call('HMGET', BASE .. ':case:' .. id, 'into', 'seq', 'epoch', 'more'))
    c = { id = id, into = tonumber(into), seq = tonumber(seq or '0'), epoch = tonumber(epoch or '0'), more = tonumber(more or '0'), roots = {}, inside = {}, dirty = false }
    cases[id] = c
  end
  if c.into then return case_of(c.into) end
  return c
end

local function parts_in(c) return redis.call('SCARD', BASE .. ':case:' .. c.id .. ':roots') + c.more end -- about how many parts

local put_in_case
do
  local function go_into(from, c)
    local key, size = BASE .. ':case:' .. from.id, parts_in(from)
    c.epoch, from.into = math.max(c.epoch, from.epoch) + 1, c.id
    if size > MOVED or next(from.inside) or redis.call('EXISTS', key .. ':inside') == 1 then
      from.joins, c.inside[from.id], c.more = true, true, c.more + size
      return
    end
    for _, root in ipairs(redis.call('SMEMBERS', key .. ':roots')) do from.roots[tonumber(root)] = true end
    for root in pairs(from.roots) do
      local moved = part(node(root))
      moved.case, moved.dirty, c.roots[root] = c.id, true, true
    end
    from.gone = true
  end

  -- Put parts into one case, uniting those in which they are, and tell it that there is new evidence.
  put_in_case = function(list, changes_epoch)
    local c, size
    for _, p in ipairs(list) do
      local one = p.case ~= 0 and case_of(p.case)
      if one and one ~= c then
        local n = parts_in(one)
        if not c or n > size then c, size = one, n end
      end
    end
    c = c or case_of(number('cases'))
    for _, p in ipairs(list) do
      if p.case == 0 then
        p.case, p.dirty, c.roots[p.root] = c.id, true, true
      elseif case_of(p.case) ~= c then
        go_into(case_of(p.case), c)
      end
    end
    c.seq, c.dirty = c.seq + 1, true
    if changes_epoch then c.epoch = c.epoch + 1 end
  end
end

local DUE = BASE .. ':due' -- case -> ms at which it is to be settled; while it is being settled, when somebody else may

local function now_ms()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

-- How long a case waits before it is settled again, ms: by what that took, but small ones no longer than a slow network would make them.
local function pause_of(took, size) return math.min(PATIENCE * took, 1000 + 5 * size) end

local function drop_case(key, id)
  redis.call('DEL', key, key .. ':roots', key .. ':inside')
  redis.call('ZREM', DUE, id)
end

local flush -- writes everything that is dirty
do
  -- Whom memberships connect: by the founder's digest of an entity, those of its groups at 'b', and of its members at 'B'. Kept in spaces whose states are
  -- derived of them, just for the folds that there are.
  local function index(name, command)
    if not carries() then return end
    local member, group = string.sub(name, 1, 16), string.sub(name, 17)
    redis.call(command, BASE .. ':b:' .. member, group)
    redis.call(command, BASE .. ':B:' .. group, member)
  end

  local function write_puts()
    for key, fields in pairs(puts) do
      for first = 1, #fields, MOST_AT_ONCE do
        redis.call('HSET', key, unpack(fields, first, math.min(#fields, first + MOST_AT_ONCE - 1)))
      end
    end
  end

  -- Make keys of a shard dirty that are not; what was told of one that is stays that of the older marking.
  local function write_dirty_of(shard, keys)
    local hash, queue = BASE .. ':dirty:' .. shard, BASE .. ':queue:' .. shard
    for first = 1, #keys, MOST_AT_ONCE / 2 do
      local last = math.min(#keys, first + MOST_AT_ONCE / 2 - 1)
      local had = redis.call('HMGET', hash, unpack(keys, first, last))
      local new, marked = {}, {}
      for i, told in ipairs(had) do
        local key = keys[first + i - 1]
        if told and string.byte(dirty[key]) == 88 then -- 'X': its value is gone, so nothing else can be told of it
          redis.call('HSET', hash, key, dirty[key])
        elseif not told then
          new[#new + 1] = key
          marked[#marked + 1] = key
          marked[#marked + 1] = dirty[key]
        end
      end
      if #new > 0 then
        redis.call('HSET', hash, unpack(marked))
        redis.call('RPUSH', queue, unpack(new))
      end
    end
  end

  -- Memberships last: a round tells of an entity before what it belongs to.
  local function write_dirty()
    local by_shard, belonging_keys = {}, {}
    local function add(key)
      local shard = struct.unpack('>I4', key, 2) % shards -- shard_of its digest
      local keys = by_shard[shard]
      if keys then keys[#keys + 1] = key else by_shard[shard] = { key } end
    end
    for key in pairs(dirty) do
      if string.byte(key) == 109 then belonging_keys[#belonging_keys + 1] = key else add(key) end
    end
    for _, key in ipairs(belonging_keys) do add(key) end
    for shard, keys in pairs(by_shard) do write_dirty_of(shard, keys) end
    for key, list in pairs(notes) do
      for first = 1, #list, MOST_AT_ONCE do
        redis.call('RPUSH', BASE .. ':note:' .. key, unpack(list, first, math.min(#list, first + MOST_AT_ONCE - 1)))
      end
    end
  end

  local function write_memberships()
    for _, b in pairs(belongs) do
      if b and b.dirty then put(pair_key(b.name), b.name, cmsgpack.pack({ b.latest, b.ended, b.active, b.begun == b.active or b.begun, b.next_a, b.next_g, b.told_p, b.told_g, b.gen })) end
    end
    for _, q in pairs(lists) do
      if q.dirty then
        local key, field = page('q', q.id)
        put(key, field, struct.pack(LISTS, q.groups, q.members))
      end
    end
    for name, f in pairs(folds) do
      if f.dirty then
        if f.latest then
          put(bucket('r', name), name, cmsgpack.pack({ f.latest, f.ended, f.active or false, f.begun == f.active or f.begun, f.count, f.gen }))
          if f.raw == '' then index(name, 'SADD') end
        else
          redis.call('HDEL', bucket('r', name), name)
          index(name, 'SREM')
        end
      end
    end
  end

  local function write_sweeps()
    for _, s in ipairs(sweeps) do
      local name, at, stop = unpack(s)
      local under_way = redis.call('HGET', BASE .. ':sweeps', name)
      local where, way, cursor, again = 0, 3, NOTHING, 0
      if under_way then -- let it finish where it is and then go round once more, so that it gets on whatever changes
        at, stop, where, way, cursor = struct.unpack(SWEEP, under_way)
        again = 1
        if string.byte(name, 6) == 0 then stop = at end
      else
        redis.call('RPUSH', BASE .. ':sweepq', name)
      end
      redis.call('HSET', BASE .. ':sweeps', name, struct.pack(SWEEP, at, stop, where, way, cursor, again))
    end
  end

  -- A case that has a quarter of its size of new evidence waits no longer.
  local function write_cases()
    local now
    for id, c in pairs(cases) do
      local key = BASE .. ':case:' .. id
      for other in pairs(c.inside) do redis.call('SADD', key .. ':inside', other) end
      if c.gone then
        drop_case(key, id)
      else
        for root in pairs(c.roots) do redis.call('SADD', key .. ':roots', root) end
      end
      if c.joins then
        redis.call('DEL', key)
        redis.call('HSET', key, 'into', c.into)
        redis.call('ZREM', DUE, id)
      elseif c.dirty and not c.into then
        now = now or now_ms()
        redis.call('HSET', key, 'seq', c.seq, 'epoch', c.epoch, 'more', c.more)
        local done, ended, took, leased = unpack(redis.call('HMGET', key, 'done', 'ended', 'took', 'leased'))
        if tonumber(leased or '0') < now then
          local size = parts_in(c)
          local due = tonumber(ended or '0') + pause_of(tonumber(took or '0'), size)
          if due > now and (c.seq - tonumber(done or '0')) * 4 >= size then due = now end
          local had = redis.call('ZSCORE', DUE, id)
          if not had or tonumber(had) > due then redis.call('ZADD', DUE, due, id) end
        end
      end
    end
  end

  flush = function()
    retell_runs()
    write_sweeps()
    for id, n in pairs(nodes) do
      if n.dirty then
        local key, field = page('n', id)
        put(key, field, pack_node(n))
      end
    end
    for id, l in pairs(links) do
      if l.dirty then
        local key, field = page('k', id)
        put(key, field, pack_link(l))
      end
    end
    for root, p in pairs(parts) do
      local key, field = page('p', root)
      if p.gone then
        if p.raw then redis.call('HDEL', key, field) end
        if p.traits_raw ~= '' then redis.call('HDEL', page('t', root)) end
      elseif p.dirty then
        put(key, field, pack_part(p))
      end
      if p.traits_dirty and not p.gone then
        local traits_key = page('t', root)
        if next(p.traits) then
          put(traits_key, field, cmsgpack.pack(p.traits))
        elseif p.traits_raw ~= '' then
          redis.call('HDEL', traits_key, field)
        end
      end
    end
    write_memberships()
    for _, one in ipairs(shown) do redis.call('SADD', BASE .. ':w:' .. one[1], one[2]) end
    write_puts()
    write_cases()
    write_dirty()
    for name, value in pairs(counters) do redis.call('HSET', META, name, string.format('%d', value)) end
  end
end
