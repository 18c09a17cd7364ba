-- View: rows that tell Python what documents are made of. Prepended after graph.lua and names.lua to scripts that read.

local identifier_row
do
  local no_event = {}

  -- {digest, type, value, first ms, last h, {first event}, 1 if told before}
  identifier_row = function(n, told)
    local first = not told and link(n.flink)
    local event = first and not first.dead and event_of(first) or no_event
    return { n.digest, code_name(n.code), value_of(n.id), n.first, n.last, event, told and 1 or 0 }
  end
end

local function nodes_in(list)
  local found, count = {}, 0
  for at = 1, #list, 5 do
    found[struct.unpack('>I5', list, at)] = true
    count = count + 1
  end
  return found, count
end

local SUCCESSORS, LINKS_READ = 100, 500 -- named of an id that was split, and the links that are read for them

local function successors_of(n)
  local found, named, at, visits = {}, {}, n.head, 0
  while at ~= 0 and visits < LINKS_READ and #found < SUCCESSORS do
    visits = visits + 1
    local l = link(at)
    local centre = centre_of(l)
    local p = centre and part(find(centre))
    local founder = p and node(p.founder)
    if p and has(p, DIVIDING) then -- who founds it is not known yet
      local issued = issued_of(p)
      founder = issued and node_of(issued)
    end
    if founder and not named[founder.id] then
      named[founder.id] = true
      found[#found + 1] = { founder.digest, code_name(founder.code) }
    end
    at = next_of(l, n)
  end
  return found
end

-- The nodes of an old list that are of another part today, or of none; and 1 if any was erased: of those none is named again.
local function rows_left(p, old)
  local rows, erased = {}, 0
  for id in pairs(old) do
    local n = node(id)
    local left = has(n, DETACHED) or find(n).id ~= p.root
    if left and has(n, ERASED) then
      erased = 1
    elseif left then
      rows[#rows + 1] = { n.digest, code_name(n.code), value_of(id), n.first, n.last, {}, 1 }
    end
  end
  return rows, erased
end

-- What a part must still be like for what is read of it by and by to belong together: nothing that a new sighting alone changes.
local function likeness(p)
  return struct.pack('>I5I5I7I5I5I5I2', p.root, p.founder, p.first, p.count, p.case, p.gen, p.flags)
end

-- All that was observed of a part's states: packed {state, time in ms, source, event id, participant, value}. Of more than OBSERVED, which
-- observed.lua gives page by page, the part's likeness.
local function observations_of(p)
  local found, visits = {}, 0
  if not has(p, SHOWN) then return found end
  local n = node(p.root)
  repeat
    local shows = has(n, SHOWS) and redis.call('SSCAN', BASE .. ':w:' .. n.id, 0, 'COUNT', OBSERVED) or { '0', {} }
    visits = visits + 1
    if shows[1] ~= '0' or visits > OBSERVED then return likeness(p) end
    for _, id in ipairs(shows[2]) do
      if centre_of(link(tonumber(id))) == n then
        for _, one in ipairs(redis.call('ZRANGE', BASE .. ':o:' .. id, 0, OBSERVED - #found)) do found[#found + 1] = one end
        if #found > OBSERVED then return likeness(p) end
      end
    end
    n = node(n.next)
  until n.id == p.root
  return found
end

local function states_told(n) -- of the id that a node founds, as the last round that was kept said
  local key, field = page('s', n.id)
  return redis.call('HGET', key, field) or ''
end

-- {'unknown'} | {'erased', type} | {'gone', survivor's founder, type} (take adds 1 if that was told, the digests that it was told to have, if there are notes, and 1 if states are remembered of it) | {'split', type, {{founder of a successor, its type}, ...}}
-- | {'living', type, count, first ms, last h, traits, {identifier row, ...}, {row of an identifier that left, ...}, 1 if an identifier that it had was erased,
--   states as told last, {observation, ...} or, of many, the part's likeness}
-- `old` are the nodes listed when the entity was told last: their first events are not read again, unless all of it is told `anew`.
local function entity_row(digest, old, anew)
  local n = node_of(digest)
  if not n then return { 'unknown' } end
  if has(n, DETACHED) and has(n, ERASED) then return { 'erased', code_name(n.code) } end
  if has(n, DETACHED) then return { 'split', code_name(n.code), successors_of(n) } end
  local p = part(find(n))
  local founder = node(p.founder)
  if founder.digest ~= digest then return { 'gone', founder.digest, code_name(founder.code) } end
  local rows, list, gone, erased = {}, oldest_of(p), rows_left(p, old)
  anew = anew or erased == 1
  for at = 1, #list, 5 do
    local id = struct.unpack('>I5', list, at)
    rows[#rows + 1] = identifier_row(node(id), not anew and old[id] and id ~= p.founder)
  end
  return { 'living', code_name(founder.code), p.count, p.first, p.last, raw_traits_of(p), rows, gone, erased, states_told(n), observations_of(p) }
end

-- {person's founder, type, group's founder, type, fold, 1 if either was erased} with an empty fold where nobody belongs to anything any more
local function membership_row(name)
  local p, g = string.sub(name, 1, 16), string.sub(name, 17)
  local raw = redis.call('HGET', bucket('r', name), name) or ''
  local member, group = node_of(p), node_of(g)
  local erased = raw == '' and (has(member, ERASED) or has(group, ERASED))
  return { p, code_name(member.code), g, code_name(group.code), raw, erased and 1 or 0 }
end

-- {'+' | '-' | '/' | 'x' something of it was erased | guard, other founder, type, {link's first event}, {{type, value}, ...}} for each merge, split or refusal that was noted
-- of a node's id; of '-' without {type, value}. The type is that of the node: only its entity type counts, which is the same.
local function note_rows(n, packed)
  local rows = {}
  for at = 1, #packed, 22 do
    local other = string.sub(packed, at + 1, at + 16)
    local id = struct.unpack('>I5', packed, at + 17) -- 0: a correction joined them
    local l = id ~= 0 and link(id)
    if l and l.dead then l = false end
    local sign, named = string.sub(packed, at, at), {}
    for i, m in ipairs(l and sign ~= '-' and l.members or {}) do
      if i > 10 then break end -- enough to see why
      named[i] = { code_name(node(m[1]).code), value_of(m[1]) }
    end
    rows[#rows + 1] = { sign, other, code_name(n.code), l and event_of(l) or {}, named }
  end
  return rows
end
