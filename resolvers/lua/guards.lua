-- Guards: who connects and who does not, and what follows when that changes. Prepended after graph.lua.
--
-- Invariant: a node is off because it is BLOCKED or a HUB, both functions of the evidence and the corrections. Whoever turns it on or off
-- puts its part in a case, and what its links join besides is found by a walk over them, piece by piece.

local counted_by, most_met, limit_of, size_of, priority_of = {}, {}, {}, {}, {} -- by type code

local function read_guards(packed)
  for _, rule in ipairs(cmsgpack.unpack(packed)) do
    local code = rule[1]
    if rule[2] > 0 then counted_by[code], most_met[code] = rule[2], rule[3] end
    if rule[4] > 0 then limit_of[code] = rule[4] end
    size_of[code], priority_of[code] = rule[5], rule[6]
  end
end

-- What corrections say of an identifier: flags, which are kept apart from the node since they may come before it.
local function said_of(digest)
  local raw = redis.call('HGET', bucket('x', digest), digest)
  return raw and string.byte(raw) or 0
end

-- With whom a node was seen that counts for its hub rule: exact sets.
local met_by
do
  local mets = {}

  met_by = function(n)
    local m = mets[n.id]
    if m then return m end
    m = { seen = {}, count = 0 }
    local key, field = page('h', n.id)
    local packed = redis.call('HGET', key, field) or ''
    if packed == '*' then
      for _, id in ipairs(redis.call('SMEMBERS', BASE .. ':H:' .. n.id)) do m.seen[tonumber(id)], m.count = true, m.count + 1 end
    else
      for at = 1, #packed, 5 do m.seen[struct.unpack('>I5', packed, at)], m.count = true, m.count + 1 end
    end
    mets[n.id] = m
    return m
  end
end

local function over(n, m) -- blocked identifiers do not count
  if m.count <= most_met[n.code] then return false end
  local count = 0
  for id in pairs(m.seen) do
    if not has(node(id), BLOCKED) then count = count + 1 end
  end
  return count > most_met[n.code]
end

-- Put a node's part in a case with those of the nodes to which a correction links it.
local function put_with_partners(n)
  local list, linked = { part(find(n)) }, redis.call('HKEYS', BASE .. ':j:' .. n.digest)
  for _, digest in ipairs(linked) do
    local other = node_of(digest)
    if other and not has(other, DETACHED) then list[#list + 1] = part(find(other)) end
  end
  if #list > 1 then put_in_case(list, true) end
end

local function turn_off(n, why)
  if not has(n, DETACHED) then put_in_case({ part(find(n)) }, true) end
  raise(n, why)
end

local walks = {} -- nodes whose links are to be walked over, from the newest on

local function turn_on(n)
  if off(n) then return end
  if has(n, DETACHED) then
    lower(n, DETACHED)
    local p = alone(n)
    p.fresh, p.gen = nil, number('divisions')
    parts[n.id] = p
    raise(p, HIDDEN)
    raise(p, STALE)
    if has(n, FOUNDED) then -- its id was told, and leads to whoever it is one with from now on
      raise(p, ISSUED)
      p.issued = n.digest
    end
  end
  put_in_case({ part(find(n)) }, true)
  if has(n, LINKED) then put_with_partners(n) end
  walks[n.id] = true
end

-- Whether a node is a hub, as who counts has changed. Sets may be large: they are only read where blocked identifiers can decide.
local function is_hub(n)
  local key, field = page('h', n.id)
  local packed = redis.call('HGET', key, field) or ''
  local count = packed == '*' and redis.call('SCARD', BASE .. ':H:' .. n.id) or #packed / 5
  if count <= most_met[n.code] then return false end
  if count > most_met[n.code] + tonumber(redis.call('HGET', META, 'blocked') or '0') then return true end
  return over(n, met_by(n))
end

local function recheck(n)
  local is_over = is_hub(n)
  if is_over and not has(n, HUB) then
    turn_off(n, HUB)
  elseif has(n, HUB) and not is_over then
    lower(n, HUB)
    turn_on(n)
  end
end

-- Have a node connect nothing any more, as an erasure covers it or has left no link of it.
local function cover(n)
  if has(n, DETACHED) then
    raise(n, ERASED)
    if has(n, FOUNDED) then mark_entity(n.digest, false) end
  else
    turn_off(n, ERASED)
  end
  lower(n, REFRESH)
  walks[n.id] = true
end

local WALK = '>I5Bc10' -- link to go on with, 0 for the newest, and the place among its memberships

local function write_walks()
  for id in pairs(walks) do
    if redis.call('HEXISTS', BASE .. ':walks', id) == 0 then redis.call('RPUSH', BASE .. ':walkq', id) end
    redis.call('HSET', BASE .. ':walks', id, struct.pack(WALK, 0, 0, NOTHING))
  end
end
