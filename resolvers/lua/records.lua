-- Records: how the graph lies in Redis, and the cache through which a script reads and writes it.
--
-- Prepended to every script, after a line that sets INLINE (identifiers or memberships that one call retells itself) and
-- LISTED (identifiers that a document lists). KEYS[1] = the space's base key, `nexus:{space}`; every other key is made of
-- it, so that all of a space lies in one slot. Nothing is written before `flush`: a script that fails half-way has changed nothing.
--
-- The last argument of every script but `open` is the space's birth, as `open` told it.
--
-- Times are milliseconds since the year 1, last times whole hours since then: never negative, so packed unsigned.
-- Strings are compared byte by byte or as integers, never with `<`, which follows the server's locale.

local redis, struct, string, table, math, cmsgpack = redis, struct, string, table, math, cmsgpack -- locals are faster than globals
local ipairs, pairs, unpack, tonumber = ipairs, pairs, unpack, tonumber
local BASE = KEYS[1]
local META = BASE .. ':meta'
local RECOVERY = BASE .. ':recovery' -- shard -> 'waiting' | 'hold' | 'unread' | 'reader' and its name
local ENDS = BASE .. ':ends' -- log and partition -> offset up to which it must be applied before anything is told
local NODE = '>I5I5I7I4I5I5I5Bc16'
local PART = '>I5I7I4I5I7c16B'
local LINK = '>I7I4I2'

local buckets -- set by the script that needs it, from META

-- Whether this is no longer the space that the caller opened: it is gone, or was born again. Type codes are of one birth only.
local function lost() return redis.call('HGET', META, 'born') ~= ARGV[#ARGV] end

local function page(kind, number) -- 128 numbered records to a hash: small enough for the compact encoding
  local place = number % 128
  return BASE .. ':' .. kind .. ':' .. (number - place) / 128, string.char(place)
end

local function bucket(kind, digest) -- records named by a digest
  return BASE .. ':' .. kind .. ':' .. (struct.unpack('>I4', digest, 5) % buckets)
end

local function bytes_less(a, b)
  if a == b then return false end
  local n = math.min(#a, #b)
  for i = 1, n do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

local function fact_less(a, b) -- facts: {time, source, event id, value}
  if a[1] ~= b[1] then return a[1] < b[1] end
  if a[2] ~= b[2] then return bytes_less(a[2], b[2]) end
  if a[3] ~= b[3] then return bytes_less(a[3], b[3]) end
  return bytes_less(a[4] or '', b[4] or '')
end

-- Nodes: one identifier each. `next` closes a circle over the nodes of a part; `flink` is the link of its first event,
-- `head` the newest link it is in, `told` the node that founded its entity when a round last took it.
local nodes = {}

local function pack_node(n)
  return struct.pack(NODE, n.parent, n.next, n.first, n.last, n.flink, n.head, n.told, n.code, n.digest)
end

local function node(id)
  local n = nodes[id]
  if n then return n end
  local key, field = page('n', id)
  local raw = redis.call('HGET', key, field)
  if not raw then return nil end
  local parent, after, first, last, flink, head, told, code, digest = struct.unpack(NODE, raw)
  n = { id = id, parent = parent, next = after, first = first, last = last, flink = flink, head = head, told = told, code = code, digest = digest, dirty = false }
  nodes[id] = n
  return n
end

local known = {}

local function node_of(digest)
  local id = known[digest]
  if id == nil then
    local raw = redis.call('HGET', bucket('i', digest), digest)
    id = raw and struct.unpack('>I5', raw) or false
    known[digest] = id
  end
  return id and node(id) or nil
end

local function older(a, b) -- nodes, by (first, digest)
  if a.first ~= b.first then return a.first < b.first end
  return bytes_less(a.digest, b.digest)
end

local function value_of(id)
  local key, field = page('v', id)
  local value = redis.call('HGET', key, field)
  if not value then
    key, field = page('V', id) -- values too long for the compact encoding
    value = redis.call('HGET', key, field)
  end
  return value
end

-- Find the root of a node's component. Halves the path on the way, which is only a cache.
local function find(n)
  while n.parent ~= n.id do
    local above = node(n.parent)
    if above.parent ~= above.id then
      n.parent = above.parent
      n.dirty = true
    end
    n = above
  end
  return n
end

-- Parts: the entity of a root. `list` packs its oldest nodes, up to twice as many as a document lists; nodes that are not
-- in it are not older than `horizon`, which is 0 while all are. `counts` are the identifiers per type, `raw` and
-- `traits_raw` what was loaded, `issued` the founder under which the entity was known before.
local parts = {}

local function part(root)
  local p = parts[root.id]
  if p then return p end
  local key, field = page('p', root.id)
  local raw = redis.call('HGET', key, field)
  local founder, first, last, all, horizon, horizon_digest, types, at = struct.unpack(PART, raw)
  local counts = {}
  for _ = 1, types do
    local code, count
    code, count, at = struct.unpack('>BI5', raw, at)
    counts[code] = count
  end
  p = {
    root = root.id, raw = raw, founder = founder, first = first, last = last, count = all, horizon = horizon, horizon_digest = horizon_digest,
    counts = counts, list = string.sub(raw, at), issued = node(founder).digest, traits = false, traits_raw = false, dirty = false,
  }
  parts[root.id] = p
  return p
end

local function pack_part(p)
  local types, count = {}, 0
  for code, n in pairs(p.counts) do
    count = count + 1
    types[count] = struct.pack('>BI5', code, n)
  end
  table.sort(types, bytes_less)
  return struct.pack(PART, p.founder, p.first, p.last, p.count, p.horizon, p.horizon_digest, count) .. table.concat(types) .. p.list
end

-- The fold of the traits of a part's links: name -> fact. A cache of what the links say.
local function traits_of(p)
  if not p.traits then
    local key, field = page('t', p.root)
    p.traits_raw = redis.call('HGET', key, field) or ''
    p.traits = p.traits_raw ~= '' and cmsgpack.unpack(p.traits_raw) or {}
  end
  return p.traits
end

-- Links: the evidence. `members` are {node, next link of that node}; the first is the centre of the star.
local links = {}

local function link(id)
  local l = links[id]
  if l then return l end
  local key, field = page('k', id)
  local raw = redis.call('HGET', key, field)
  local first, last, count, at = struct.unpack(LINK, raw)
  local members = {}
  for i = 1, count do
    local member, after
    member, after, at = struct.unpack('>I5I5', raw, at)
    members[i] = { member, after }
  end
  local said = cmsgpack.unpack(string.sub(raw, at))
  l = { id = id, members = members, first = first, last = last, source = said[1], event_id = said[2], traits = said[3], dirty = false }
  links[id] = l
  return l
end

local function pack_link(l)
  local members = {}
  for i, m in ipairs(l.members) do members[i] = struct.pack('>I5I5', m[1], m[2]) end
  return struct.pack(LINK, l.first, l.last, #l.members) .. table.concat(members) .. cmsgpack.pack({ l.source, l.event_id, l.traits })
end

local function event_of(l) return { l.first, l.source, l.event_id, '' } end

-- Memberships: evidence per pair of nodes, in a list per member and one per group; heads and lengths in 'q'.
-- latest and active are facts whose value is the role; told_p and told_g the founders under which it was last told.
local belongs = {}

local function pair_key(a, g)
  local name = struct.pack('>I5I5', a, g)
  return BASE .. ':m:' .. ((a * 31 + g) % buckets), name
end

local function belonging(a, g)
  local key, name = pair_key(a, g)
  local b = belongs[name]
  if b == nil then
    local raw = redis.call('HGET', key, name)
    b = false
    if raw then
      local r = cmsgpack.unpack(raw)
      b = { a = a, g = g, latest = r[1], ended = r[2], active = r[3] or false, next_a = r[4], next_g = r[5], told_p = r[6], told_g = r[7] }
    end
    belongs[name] = b
  end
  return b or nil
end

local lists = {}

local function list_of(id)
  local q = lists[id]
  if q then return q end
  local key, field = page('q', id)
  local raw = redis.call('HGET', key, field)
  local groups, group_count, members, member_count = 0, 0, 0, 0
  if raw then groups, group_count, members, member_count = struct.unpack('>I5I4I5I4', raw) end
  q = { id = id, groups = groups, group_count = group_count, members = members, member_count = member_count, dirty = false }
  lists[id] = q
  return q
end

-- Folds of memberships, by the founders' digests of person and group: what the memberships topic says.
local folds = {}

local function fold_of(name)
  local f = folds[name]
  if f then return f end
  local raw = redis.call('HGET', bucket('r', name), name)
  f = { name = name, raw = raw or '' }
  if raw then f.latest, f.ended, f.active = unpack(cmsgpack.unpack(raw)) end
  folds[name] = f
  return f
end
