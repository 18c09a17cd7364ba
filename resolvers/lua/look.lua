-- Look things up: rows of identifiers, entities and links by digest, or of a run of nodes.
--
-- KEYS[1]  the space's base key
-- ARGV[1]  'identifier' | 'entity' with ARGV[2] a digest; 'membership' with two; 'nodes' with ARGV[2] the first node and ARGV[3] how many;
--          'standing' with a digest; 'rereads';
--          'links' with ARGV[2] a digest, ARGV[3] the link to go on with (0 = the newest), ARGV[4] how many, ARGV[5] after how many
--          identifiers to stop
-- REPLY    {'LOST'} | {'OK', msgpack row}; a membership row, or a row where that of 'identifier' is {founder, its type, identifier row} or {}, of 'entity' an
--          entity row, of 'nodes' a list of {founder, its type, identifier row, entity row or {}},
--          of 'standing' {1 if known, flags, {{type, value}, ...} forbidden with it, {{type, value, since ms}, ...} linked with it, cutoff ms of
--          its latest erasure or 0},
--          of 'rereads' {{{partition, where it is, end}, ...}, {digest, ...}},
--          of 'links' {link to go on with or 0, {link row, ...}}
--
-- Cost     O(identifiers read): of 'links' at most ARGV[5] and those of one link more. Writes nothing.

if lost() then return { 'LOST' } end
buckets = tonumber(redis.call('HGET', META, 'buckets'))

local function row(n)
  local founder = node(part(find(n)).founder)
  return { founder.digest, code_name(founder.code), identifier_row(n, true) }
end

-- {{first event}, last h, {{digest, type, value}, ...}}
local function link_row(l)
  local named = {}
  for i, m in ipairs(l.members) do
    local member = node(m[1])
    named[i] = { member.digest, code_name(member.code), value_of(m[1]) }
  end
  return { event_of(l), l.last, named }
end

-- Follow a node's chain of links from `at` on: each link says for each of its members which link comes next.
local function link_page(n, at, most, most_linked)
  local rows, linked = {}, 0
  if at == 0 then at = n.head end
  while at ~= 0 and #rows < most and linked < most_linked do
    local l = link(at)
    if not l.dead then rows[#rows + 1] = link_row(l) end
    linked = linked + #l.members
    at = next_of(l, n)
  end
  return { at, rows }
end

local function named_by(key, read) -- identifiers that were seen, of those that corrections name together with one
  local rows = {}
  for _, one in ipairs(read(key)) do
    local n = node_of(one[1])
    if n and not has(n, ERASED) then rows[#rows + 1] = { code_name(n.code), value_of(n.id), one[2] } end
  end
  return rows
end

local function forbidden_with(key)
  local found = {}
  for i, digest in ipairs(redis.call('SMEMBERS', key)) do found[i] = { digest } end
  return found
end

local function linked_with(key)
  local found, flat = {}, redis.call('HGETALL', key)
  for i = 1, #flat, 2 do found[#found + 1] = { flat[i], tonumber(flat[i + 1]) } end
  return found
end

local function standing(first)
  local digest, erased = since_erased(first), erasure_of(first)
  local n, said = node_of(digest), redis.call('HGET', bucket('x', digest), digest)
  if n and has(n, ERASED) then n = nil end
  local flags = n and n.flags or said and string.byte(said) or 0
  local forbidden, linked = named_by(BASE .. ':f:' .. digest, forbidden_with), named_by(BASE .. ':j:' .. digest, linked_with)
  return { n and 1 or 0, flags, forbidden, linked, erased and erased[1] or 0 }
end

if ARGV[1] == 'standing' then
  return { 'OK', cmsgpack.pack(standing(ARGV[2])) }
elseif ARGV[1] == 'identifier' then
  local n = node_of(since_erased(ARGV[2]))
  return { 'OK', cmsgpack.pack(n and not has(n, DETACHED) and row(n) or {}) }
elseif ARGV[1] == 'entity' then
  return { 'OK', cmsgpack.pack(entity_row(ARGV[2], {})) }
elseif ARGV[1] == 'membership' then
  return { 'OK', cmsgpack.pack(membership_row(ARGV[2])) }
elseif ARGV[1] == 'links' then
  local n = node_of(since_erased(ARGV[2]))
  return { 'OK', cmsgpack.pack(n and link_page(n, tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])) or { 0, {} }) }
end

if ARGV[1] == 'rereads' then
  local stretches, flat = {}, redis.call('HGETALL', BASE .. ':rereads')
  for i = 1, #flat, 2 do
    local at = string.match(redis.call('HGET', BASE .. ':pos', 'reread/' .. flat[i]), '^%d+')
    stretches[#stretches + 1] = { tonumber(flat[i]), tonumber(at), tonumber(string.match(flat[i + 1], '%d+$')) }
  end
  return { 'OK', cmsgpack.pack({ stretches, redis.call('SMEMBERS', BASE .. ':rereads:of') }) }
end

local rows = {}
for id = tonumber(ARGV[2]), tonumber(ARGV[2]) + tonumber(ARGV[3]) - 1 do
  local n = node(id)
  if n and not has(n, DETACHED) then
    local found = row(n)
    found[4] = found[1] == n.digest and entity_row(n.digest, {}) or {}
    rows[#rows + 1] = found
  end
end
return { 'OK', cmsgpack.pack(rows) }
