-- Go on with the oldest walk: over the links of an identifier that connects nothing any more, or connects again, or was erased; or with the
-- oldest refresh: over those of an identifier of which an erasure took links.
--
-- KEYS[1]  the space's base key        ARGV[1]  most links and memberships to visit        ARGV[2]  guards, as for `apply`
-- REPLY    {'OK', walks and refreshes that remain} | {'LOST'}
--
-- Cost     O(links and their identifiers); for each hub met, whom it met
-- Keeps    A walk's place is written with what it changed, so it goes on after any crash, in any worker. Links that came since it began
--          found the identifier as it is.

if lost() then return { 'LOST' } end
buckets, shards = unpack(redis.call('HMGET', META, 'buckets', 'shards'))
buckets, shards = tonumber(buckets), tonumber(shards)
read_unread()

local id = redis.call('LINDEX', BASE .. ':walkq', 0)
local refreshed = not id and redis.call('LINDEX', BASE .. ':freshq', 0)
if not id and not refreshed then return { 'OK', 0 } end
read_guards(ARGV[2])
local n = node(tonumber(id or refreshed))
local deletions = {} -- commands, for the end
local most = tonumber(ARGV[1])

local function weight(l) return 1 + math.floor(#l.members / 8) end -- links of many identifiers are few at once

local function later(...) deletions[#deletions + 1] = { ... } end

-- Take a link of an erased identifier away: what it said is folded out of everything that it said something of. Its memberships are visited next.
local function take_away(l)
  local digests = {}
  for i, m in ipairs(l.members) do
    local other = node(m[1])
    digests[i] = other.digest
    if not has(other, DETACHED) then
      local p = part(find(other))
      raise(p, STALE)
      raise(p, LESSENED)
      put_in_case({ p }, true)
    end
    if other.id ~= n.id then begin_refresh(other) end
  end
  local name = link_name(digests)
  if redis.call('HGET', bucket('l', name), name) == struct.pack('>I5', l.id) then later('HDEL', bucket('l', name), name) end
  later('UNLINK', BASE .. ':o:' .. l.id)
  for _, m in ipairs(l.members) do later('SREM', BASE .. ':w:' .. m[1], l.id) end
  l.first, l.last, l.source, l.event_id, l.traits, l.dead, l.dirty = 0, 0, '', '', {}, true, true
end

-- Leave nothing of an erased identifier but its digest. Its tombstone takes the value along.
local function scrub()
  local first = first_of(n)
  local key, shard = 'i' .. first, shard_of(first)
  local value = value_of(n.id)
  if value and (n.told ~= 0 or redis.call('HEXISTS', BASE .. ':dirty:' .. shard, key) == 1 or redis.call('HEXISTS', BASE .. ':inflight:' .. shard, key) == 1) then
    dirty[key] = 'X' .. code_name(n.code) .. ':' .. value
  end
  for _, kind in ipairs({ 'v', 'V', 'h', 's' }) do
    local where, field = page(kind, n.id)
    later('HDEL', where, field)
  end
  later('UNLINK', BASE .. ':H:' .. n.id, BASE .. ':Hn:' .. n.id)
  n.first, n.last, n.flink, n.head, n.told, n.dirty = 0, 0, 0, 0, 0, true
  lower(n, HUB)
end

local function meet_anew(l)
  if not counted_by[n.code] then return end
  met_anew[n.id] = met_anew[n.id] or {}
  for _, m in ipairs(l.members) do
    if m[1] ~= n.id and node(m[1]).code == counted_by[n.code] then met_anew[n.id][m[1]] = true end
  end
end

-- Put whom a node was seen with, by the links that remain, in the place of what was known.
local function replace_met()
  local where, field = page('h', n.id)
  local new, old = BASE .. ':Hn:' .. n.id, BASE .. ':H:' .. n.id
  for other in pairs(met_anew[n.id] or {}) do redis.call('SADD', new, other) end
  met_anew[n.id] = nil
  redis.call('UNLINK', old)
  local count = redis.call('SCARD', new)
  if count > 12 then
    redis.call('RENAME', new, old)
    redis.call('HSET', where, field, '*')
    return
  end
  local packed = {}
  for i, other in ipairs(redis.call('SMEMBERS', new)) do packed[i] = struct.pack('>I5', tonumber(other)) end
  table.sort(packed, bytes_less)
  if count > 0 then redis.call('HSET', where, field, table.concat(packed)) else redis.call('HDEL', where, field) end
  redis.call('DEL', new)
end

local function end_refresh(f)
  lower(n, REFRESH)
  f.over = true
  if counted_by[n.code] then replace_met() end
  if f.flink == 0 then
    cover(n)
    return
  end
  if n.first ~= f.first or n.last ~= f.last then
    n.first, n.last, n.dirty = f.first, f.last, true
    local p = not has(n, DETACHED) and part(find(n))
    if p then
      raise(p, STALE)
      put_in_case({ p }, true)
      if not has(p, HIDDEN) then mark_identifier(n) end
    end
  end
  if n.flink ~= f.flink then n.flink, n.dirty = f.flink, true end
  if counted_by[n.code] then recheck(n) end
end

local function go_on_refreshing()
  if has(n, ERASED) or not has(n, REFRESH) then -- it was erased itself meanwhile
    freshes[n.id] = { over = true }
    return
  end
  local f = fresh_of(n)
  local visited = 0
  while f.at ~= 0 and visited < most do
    local l = link(f.at)
    visited = visited + weight(l)
    if not l.dead then
      count_in(f, l)
      meet_anew(l)
    end
    f.at = next_of(l, n)
  end
  if f.at == 0 then end_refresh(f) end
end

local function visit(l)
  if l.dead then return end
  if has(n, ERASED) then
    take_away(l)
    return
  end
  local list, on = {}, {}
  for _, m in ipairs(l.members) do
    local other = node(m[1])
    if other.id ~= n.id and counted_by[other.code] == n.code then recheck(other) end
    if not off(other) then
      on[#on + 1] = other
      list[#list + 1] = part(find(other))
    end
  end
  if off(n) then
    if on[1] then -- the link may have been of this one's part until now
      local p = part(find(on[1]))
      for name, fact in pairs(said_by(l).traits) do fold_trait(p, name, fact) end
      if has(on[1], SHOWS) and redis.call('EXISTS', BASE .. ':o:' .. l.id) == 1 then show(l) end
    end
    return
  end
  if on[1].id == n.id and on[2] then raise(part(find(on[2])), STALE) end -- the link was of that one's part until now
  if #list > 1 then put_in_case(list, true) end
end

local function finish(queue) -- write all, and tell how much remains
  flush()
  queue()
  write_walks()
  write_freshes()
  for _, one in ipairs(deletions) do redis.call(unpack(one)) end
  return { 'OK', redis.call('LLEN', BASE .. ':walkq') + redis.call('LLEN', BASE .. ':freshq') }
end

if refreshed then
  go_on_refreshing()
  return finish(function()
    if freshes[n.id].over then redis.call('LREM', BASE .. ':freshq', 1, refreshed) end
  end)
end

local function visit_membership(b)
  retell_membership(b)
  local a, k = struct.unpack('>I5I5', b.name)
  if b.latest and (link(a).dead or link(k).dead) then b.latest, b.active, b.begun, b.ended, b.dirty = false, false, false, 1, true end
end

local place, visited = {}, 0
place.at, place.way, place.cursor = struct.unpack(WALK, redis.call('HGET', BASE .. ':walks', id))
if place.at == 0 then place.at = n.head end
while place.at ~= 0 and visited < most do
  local l = link(place.at)
  if place.way == 0 then
    visit(l)
    visited = visited + weight(l)
  end
  local count, over = go_over(place, math.max(1, most - visited), visit_membership)
  visited = visited + count
  if over then place.at = next_of(l, n) end
end

if place.at == 0 and has(n, ERASED) and has(n, DETACHED) then scrub() end
return finish(function()
  if place.at ~= 0 then
    redis.call('HSET', BASE .. ':walks', id, struct.pack(WALK, place.at, place.way, place.cursor))
  else
    redis.call('LPOP', BASE .. ':walkq')
    redis.call('HDEL', BASE .. ':walks', id)
  end
end)
