-- Records: how the graph lies in Redis, and the cache through which a script reads and writes it.
--
-- Prepended to every script, after lines that set the bounds it names: INLINE (identifiers or memberships that one call retells itself),
-- LISTED (identifiers that a document lists) and so on (scripts.py). KEYS[1] = the space's base key, `nexus:{space}`; every other key is made of
-- it, so that all of a space lies in one slot. Nothing is written before `flush`: a script that fails half-way has changed nothing.
--
-- The last argument of every script but `open` is the space's birth, as `open` told it.
--
-- Times are milliseconds since the year 1, last times whole hours since then: never negative, so packed unsigned.
-- Strings are compared byte by byte or as integers, never with `<`, which follows the server's locale.

local redis, struct, string, table, math, cmsgpack, bit = redis, struct, string, table, math, cmsgpack, bit -- locals are faster than globals
local ipairs, pairs, unpack, tonumber = ipairs, pairs, unpack, tonumber
local BASE = KEYS[1]
local META = BASE .. ':meta'
local RECOVERY = BASE .. ':recovery' -- shard -> 'waiting' | 'hold' | 'unread' | 'reader' and its name
local ENDS = BASE .. ':ends' -- log and partition -> offset up to which it must be applied before anything is told
local NODE = '>I5I5I7I4I5I5I5Bc16I2'
local PART = '>I5I7I4I5I7c16I5BI5B'
local LINK = '>I7I4I2'

local buckets -- set by the script that needs it, from META

-- Whether this is no longer the space that the caller opened: it is gone, or was born again. Type codes are of one birth only.
local function lost() return redis.call('HGET', META, 'born') ~= ARGV[#ARGV] end

local page, bucket
do
  local keys_of, places = {}, {} -- a key is made once in a call: writing a number costs more than finding it in a table

  local function key_of(kind, index)
    local keys = keys_of[kind]
    if not keys then
      keys = {}
      keys_of[kind] = keys
    end
    local key = keys[index]
    if not key then
      key = BASE .. ':' .. kind .. ':' .. index
      keys[index] = key
    end
    return key
  end

  page = function(kind, number) -- 128 numbered records to a hash: small enough for the compact encoding
    local place = number % 128
    local field = places[place]
    if not field then
      field = string.char(place)
      places[place] = field
    end
    return key_of(kind, (number - place) / 128), field
  end

  bucket = function(kind, digest) -- records named by a digest
    return key_of(kind, struct.unpack('>I4', digest, 5) % buckets)
  end
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

-- Flags of nodes: BLOCKED by a command, or a HUB: connects and founds nothing (it is off). DETACHED: off, and of no part. FORBIDS: a forbidden
-- pair names it. FOUNDED: an entity's id was made of it once.
-- LINKED: a correction links it with another. ERASED: an erasure covers it, or left no link of it; it is off. REFRESH: an erasure took a link of it,
-- so what is folded from its links is made anew (walk.lua). REBORN: it was erased, and seen later: its digest is of a later generation.
-- HOLDS: a link that it is on has memberships. SHOWS: one has observations of states, as may one of a part that SHOWN. Flags of parts: HIDDEN: came while its case was open, and was never told; ISSUED: its id was, nevertheless, in a reply.
-- STALE: the folds must be made anew. TOUCHED: a node of it FORBIDS. LESSENED: what an erasure took away is still in its folds. 64: dividing.lua.
-- DIVIDING: what is left of a part that is divided in portions, or a piece of it that grows; nothing is told of it meanwhile.
local BLOCKED, HUB, DETACHED, FORBIDS, FOUNDED, LINKED, ERASED, REFRESH, REBORN, HOLDS, SHOWS = 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024
local HIDDEN, ISSUED, STALE, TOUCHED, LESSENED, SHOWN, DIVIDING, UNTOLD = 1, 2, 4, 8, 16, 32, 128, 129 -- UNTOLD: HIDDEN or DIVIDING

local function has(x, flag) return bit.band(x.flags, flag) ~= 0 end
local function raise(x, flag) if not has(x, flag) then x.flags, x.dirty = bit.bor(x.flags, flag), true end end
local function lower(x, flag) if has(x, flag) then x.flags, x.dirty = bit.band(x.flags, bit.bnot(flag)), true end end
local function off(n) return bit.band(n.flags, BLOCKED + HUB + ERASED) ~= 0 end

-- Nodes: one identifier each. `next` closes a circle over the nodes of a part; `flink` is the link of its first event,
-- `head` the newest link it is in, `told` the node that founded its entity when a round last took it.
local nodes = {}
local known = {} -- digest -> node's number, or false

local function pack_node(n)
  return struct.pack(NODE, n.parent, n.next, n.first, n.last, n.flink, n.head, n.told, n.code, n.digest, n.flags)
end

local function node(id, packed) -- `packed` if it was read already
  local n = nodes[id]
  if n then return n end
  local key, field = page('n', id)
  local raw = packed or redis.call('HGET', key, field)
  if not raw then return nil end
  local parent, after, first, last, flink, head, told, code, digest, flags = struct.unpack(NODE, raw)
  n = { id = id, parent = parent, next = after, first = first, last = last, flink = flink, head = head, told = told, code = code, digest = digest, flags = flags, dirty = false }
  nodes[id], known[digest] = n, id
  return n
end

local function node_of(digest)
  local id = known[digest]
  if id == nil then
    local raw = redis.call('HGET', bucket('i', digest), digest)
    id = raw and struct.unpack('>I5', raw) or false
    known[digest] = id
  end
  return id and node(id) or nil
end

-- Erasures, by the digest of an identifier's first generation: before which time nothing of it counts, its digest since, and that before. An output key
-- of an identifier is made of the first generation's digest, so that it stays in one shard.
local any_erased
local ERASURE = '>I7c16c16'

local function erasures() -- whether there was any
  if any_erased == nil then any_erased = redis.call('HEXISTS', META, 'erased') == 1 end
  return any_erased
end

local function erasure_of(first) -- {cutoff ms, digest since, digest before} or nil
  local raw = erasures() and redis.call('HGET', bucket('y', first), first)
  if not raw then return nil end
  return { struct.unpack(ERASURE, raw) }
end

local function since_erased(first) -- the digest under which an identifier is known now
  local e = erasure_of(first)
  return e and e[2] or first
end

local function first_of(n) -- the digest of a node's first generation
  return has(n, REBORN) and redis.call('HGET', bucket('z', n.digest), n.digest) or n.digest
end

local function older(a, b) -- nodes, by (first, digest)
  if a.first ~= b.first then return a.first < b.first end
  return bytes_less(a.digest, b.digest)
end

local value_of
do
  local values = {} -- an identifier's own row and its entity's are often told together

  value_of = function(id)
    local value = values[id]
    if value == nil then
      local key, field = page('v', id)
      value = redis.call('HGET', key, field)
      if not value then
        key, field = page('V', id) -- values too long for the compact encoding
        value = redis.call('HGET', key, field)
      end
      values[id] = value
    end
    return value
  end
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
-- in it are not older than `horizon`, which is 0 while all are. `counts` are the identifiers per type; these two are read when they are asked for.
-- `raw` and `traits_raw` are what was loaded, `issued` the founder under which the entity was known before. `gen` numbers the division that it
-- came from with its founder: of evidence, one that is told under the same ids and of the same generation has only become more.
local parts = {}

local function part(root)
  local p = parts[root.id]
  if p then return p end
  local key, field = page('p', root.id)
  local raw = redis.call('HGET', key, field)
  local founder, first, last, all, horizon, horizon_digest, case, flags, gen = struct.unpack(PART, raw)
  p = {
    root = root.id, raw = raw, founder = founder, first = first, last = last, count = all, horizon = horizon,
    horizon_digest = horizon_digest, case = case, flags = flags, gen = gen, issued = false, traits = false, traits_raw = false, dirty = false,
  }
  if flags % 4 ~= HIDDEN and flags < DIVIDING then p.issued = node(founder).digest end
  parts[root.id] = p
  return p
end

local counts_of, oldest_in, oldest_of, pack_part
do
  local head, each = 56, 6 -- bytes of PART, and of each type behind it

  counts_of = function(p)
    if not p.counts then
      p.counts = {}
      for at = head + 1, head + each * string.byte(p.raw, head), each do
        local code, count = struct.unpack('>BI5', p.raw, at)
        p.counts[code] = count
      end
    end
    return p.counts
  end

  oldest_in = function(packed) return string.sub(packed, head + each * string.byte(packed, head) + 1) end

  oldest_of = function(p)
    if not p.list then p.list = oldest_in(p.raw) end
    return p.list
  end

  local function head_of(p, types)
    return struct.pack(PART, p.founder, p.first, p.last, p.count, p.horizon, p.horizon_digest, p.case, p.flags, p.gen, types)
  end

  pack_part = function(p)
    if not p.counts and not p.list then return head_of(p, string.byte(p.raw, head)) .. string.sub(p.raw, head + 1) end
    local types, count = {}, 0
    for code, n in pairs(counts_of(p)) do
      count = count + 1
      types[count] = struct.pack('>BI5', code, n)
    end
    table.sort(types, bytes_less)
    return head_of(p, count) .. table.concat(types) .. oldest_of(p)
  end
end

-- The fold of the traits of a part's links: name -> fact. A cache of what the links say.
local function raw_traits_of(p)
  if not p.traits_raw then
    local key, field = page('t', p.root)
    p.traits_raw = redis.call('HGET', key, field) or ''
  end
  return p.traits_raw
end

local function traits_of(p)
  if not p.traits then
    local raw = raw_traits_of(p)
    p.traits = raw ~= '' and cmsgpack.unpack(raw) or {}
  end
  return p.traits
end

-- Links: the evidence. `members` are {node, next link of that node}, which never change; the first is the centre of the star. `traits`, and the `source`
-- and `event_id` of its first event, are read when they are asked for. One that an erasure took is `dead`: it says nothing any more, and only
-- holds the chains of its members together.
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
  if string.byte(raw, at) ~= 0xc2 then -- `false` in msgpack
    l = { id = id, members = members, first = first, last = last, loaded = raw, said_at = at, dirty = false }
  else
    l = { id = id, members = members, first = 0, last = 0, source = '', event_id = '', traits = {}, dead = true, dirty = false }
  end
  links[id] = l
  return l
end

local function said_by(l) -- a link of which the source, the event and the traits are read
  if not l.traits then l.source, l.event_id, l.traits = unpack(cmsgpack.unpack(string.sub(l.loaded, l.said_at))) end
  return l
end

local function pack_link(l)
  if not l.traits then return struct.pack(LINK, l.first, l.last, #l.members) .. string.sub(l.loaded, 14) end -- LINK is 13 bytes
  local members = {}
  for i, m in ipairs(l.members) do members[i] = struct.pack('>I5I5', m[1], m[2]) end
  local said = not l.dead and { l.source, l.event_id, l.traits }
  return struct.pack(LINK, l.first, l.last, #l.members) .. table.concat(members) .. cmsgpack.pack(said)
end

local function event_of(l)
  said_by(l)
  return { l.first, l.source, l.event_id, '' }
end

local function next_of(l, n) -- of the links of a node, the one after
  for _, m in ipairs(l.members) do
    if m[1] == n.id then return m[2] end
  end
  return 0
end

-- The node that a link belongs to, with its traits, states and memberships: the strongest that is not off; nil where all are.
local function centre_of(l)
  if l.dead then return nil end
  for _, m in ipairs(l.members) do
    local n = node(m[1])
    if not off(n) then return n end
  end
  return nil
end

-- Memberships: evidence per pair of links, in a list of either link; heads in 'q'. latest, active and begun, the first that does not end it, are facts whose value is the role;
-- told_p and told_g the founders under which it was last told, gen of which generation. A name is both links, packed; NOTHING ends a list.
local belongs = {}
local NOTHING = string.rep('\0', 10)
local LISTS = '>c10c10'

-- When a membership began, as it is packed: true where that is its active fact, so that one that was seen once takes no more room.
local function begun_of(packed, active) if packed == true then return active end return packed end

local function pair_key(name, kind)
  local a, g = struct.unpack('>I5I5', name)
  return BASE .. (kind and ':' .. kind .. ':' or ':m:') .. ((a * 31 + g) % buckets)
end

local function belonging(name)
  local b = belongs[name]
  if b == nil then
    local raw = redis.call('HGET', pair_key(name), name)
    b = false
    if raw then
      local r = cmsgpack.unpack(raw)
      b = { name = name, latest = r[1], ended = r[2], active = r[3] or false, begun = begun_of(r[4], r[3]), next_a = r[5], next_g = r[6], told_p = r[7], told_g = r[8], gen = r[9] }
    end
    belongs[name] = b
  end
  return b or nil
end

local lists = {}

local function list_of(id) -- of a link: `groups` to which it belongs, and `members` who belong to it
  local q = lists[id]
  if q then return q end
  local key, field = page('q', id)
  local raw = redis.call('HGET', key, field)
  q = { id = id, groups = NOTHING, members = NOTHING, dirty = false }
  if raw then q.groups, q.members = struct.unpack(LISTS, raw) end
  lists[id] = q
  return q
end

-- Folds of memberships, by the founders' digests of person and group: what the memberships topic says. `count` is how many memberships are told
-- under these, `gen` of which generation the facts are: what has lost evidence since is folded anew.
local folds = {}

local function fold_of(name)
  local f = folds[name]
  if f then return f end
  local raw = redis.call('HGET', bucket('r', name), name)
  f = { name = name, raw = raw or '', count = 0, gen = 0 }
  if raw then
    f.latest, f.ended, f.active, f.begun, f.count, f.gen = unpack(cmsgpack.unpack(raw))
    f.begun = begun_of(f.begun, f.active)
  end
  folds[name] = f
  return f
end
