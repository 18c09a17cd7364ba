-- Read the evidence of a case: the nodes of its parts, or the links that join them.
--
-- KEYS[1]  the space's base key
-- ARGV[1]  'nodes' | 'links'        ARGV[3]  about how many rows to read
-- ARGV[2]  msgpack {{root of a part, node to go on with or 0}, ...} | {{node, link to go on with or 0}, ...}
-- REPLY    {'OK', msgpack {{row, ...}, rest}} with a rest as in ARGV[2] | {'LOST'}; a row is of 'nodes' {node, root, digest, type code,
--          flags}, of 'links' {link, first ms, {node, ...}}: those that are not off, the centre first, and two at least
--
-- Cost     O(rows). Writes nothing. A link is given once, with its centre.

if lost() then return { 'LOST' } end
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
    rows[#rows + 1] = { n.id, root_id, n.digest, n.code, n.flags }
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
    if #on > 1 and on[1] == id then rows[#rows + 1] = { l.id, l.first, on } end
    at = after
  end
end

local by_kind = { nodes = read_nodes, links = read_links }
for _, one in ipairs(cmsgpack.unpack(ARGV[2])) do
  if read >= most then rest[#rest + 1] = one else by_kind[ARGV[1]](one[1], one[2]) end
end
return { 'OK', cmsgpack.pack({ rows, rest }) }
