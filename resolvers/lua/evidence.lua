-- Read the evidence of a case: the roots of its parts, the nodes of these, or the links that join them.
--
-- KEYS[1]  the space's base key
-- ARGV[1]  'roots' | 'nodes' | 'links'        ARGV[3]  about how many rows to read
-- ARGV[2]  of 'roots' msgpack {{case, where to go on or '0'}}; else msgpack {{root of a part, node to go on with or 0}, ...} | {{node, link to go on with or 0}, ...}
--          ARGV[4]  case        ARGV[5]  fence        ARGV[6]  epoch
-- REPLY    {'OK', msgpack {{row, ...}, rest}} with a rest as in ARGV[2] | {'GONE'} somebody else settles the case, or who may connect has changed
--          | {'LOST'}; a row is of 'roots' {root}, one may come twice; of 'nodes' {node, root, digest, type code,
--          1 if it is off, 1 if its part is stale or was left in division, {digest that may not be with it, ...}, {digest to which it is linked, since when in ms, ...}, 1 if it founds its part}, of 'links' {link, first ms, {node, ...}}: those that are not off, the centre first, and two at least
--
-- Cost     O(rows). Writes nothing. A link is given once, with its centre.

if lost() then return { 'LOST' } end
local fence, epoch = unpack(redis.call('HMGET', BASE .. ':case:' .. ARGV[4], 'fence', 'epoch'))
if fence ~= ARGV[5] or epoch ~= ARGV[6] then return { 'GONE' } end
buckets = tonumber(redis.call('HGET', META, 'buckets'))

local rows, rest, read, most = {}, {}, 0, tonumber(ARGV[3])

local function read_nodes(root_id, at)
  local root = node(root_id)
  if not root or root.parent ~= root_id or has(root, DETACHED) then return end
  local n = at == 0 and root or node(at)
  repeat
    if read >= most then
      rest[#rest + 1] = { root_id, n.id }
      return
    end
    read = read + 1
    local p, enemies, linked = part(root), {}, {}
    if has(n, FORBIDS) then enemies = redis.call('SMEMBERS', BASE .. ':f:' .. n.digest) end
    if has(n, LINKED) then linked = redis.call('HGETALL', BASE .. ':j:' .. n.digest) end
    rows[#rows + 1] = { n.id, root_id, n.digest, n.code, off(n) and 1 or 0, has(p, STALE + DIVIDING) and 1 or 0, enemies, linked, n.id == p.founder and 1 or 0 }
    n = node(n.next)
  until n.id == root_id
end

local function read_links(id, at)
  if at == 0 then at = node(id).head end
  while at ~= 0 do
    if read >= most then
      rest[#rest + 1] = { id, at }
      return
    end
    read = read + 1
    local l, on, after = link(at), {}, 0
    for _, m in ipairs(l.members) do
      if not off(node(m[1])) then on[#on + 1] = m[1] end
      if m[1] == id then after = m[2] end
    end
    if #on > 1 and on[1] == id and not l.dead then rows[#rows + 1] = { l.id, l.first, on } end
    at = after
  end
end

local function read_roots(case, at)
  local page = redis.call('SSCAN', BASE .. ':case:' .. case .. ':roots', at, 'COUNT', most)
  for _, root in ipairs(page[2]) do rows[#rows + 1] = { tonumber(root) } end
  read = read + #page[2]
  if page[1] ~= '0' then rest[#rest + 1] = { case, page[1] } end
  if at ~= '0' then return end
  for _, other in ipairs(redis.call('SMEMBERS', BASE .. ':case:' .. case .. ':inside')) do rest[#rest + 1] = { other, '0' } end
end

local by_kind = { roots = read_roots, nodes = read_nodes, links = read_links }
for _, one in ipairs(cmsgpack.unpack(ARGV[2])) do
  if read >= most then rest[#rest + 1] = one else by_kind[ARGV[1]](one[1], one[2]) end
end
return { 'OK', cmsgpack.pack({ rows, rest }) }
