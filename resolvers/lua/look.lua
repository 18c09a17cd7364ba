-- Look things up: rows of identifiers and entities by digest, or of a run of nodes.
--
-- KEYS[1]  the space's base key
-- ARGV[1]  'identifier' | 'entity' with ARGV[2] a digest; 'membership' with two; 'nodes' with ARGV[2] the first node and ARGV[3] how many
-- REPLY    {'LOST'} | {'OK', msgpack row}; a membership row, or a row where that of 'identifier' is {founder, its type, identifier row} or {}, of 'entity' an
--          entity row, of 'nodes' a list of {founder, its type, identifier row, entity row or {}}
--
-- Cost     O(identifiers read). Writes nothing.

if lost() then return { 'LOST' } end
buckets = tonumber(redis.call('HGET', META, 'buckets'))

local function row(n)
  local founder = node(part(find(n)).founder)
  return { founder.digest, code_name(founder.code), identifier_row(n, true) }
end

if ARGV[1] == 'identifier' then
  local n = node_of(ARGV[2])
  return { 'OK', cmsgpack.pack(n and row(n) or {}) }
elseif ARGV[1] == 'entity' then
  return { 'OK', cmsgpack.pack(entity_row(ARGV[2], {})) }
elseif ARGV[1] == 'membership' then
  return { 'OK', cmsgpack.pack(membership_row(ARGV[2])) }
end

local rows = {}
for id = tonumber(ARGV[2]), tonumber(ARGV[2]) + tonumber(ARGV[3]) - 1 do
  local n = node(id)
  if n then
    local found = row(n)
    found[4] = found[1] == n.digest and entity_row(n.digest, {}) or {}
    rows[#rows + 1] = found
  end
end
return { 'OK', cmsgpack.pack(rows) }
