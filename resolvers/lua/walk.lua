-- Go on with the oldest walk: over the links of an identifier that connects nothing any more, or connects again.
--
-- KEYS[1]  the space's base key        ARGV[1]  most links to visit        ARGV[2]  guards, as for `apply`
-- REPLY    {'OK', walks that remain} | {'LOST'}
--
-- Cost     O(links and their identifiers); for each hub met, whom it met
-- Keeps    A walk's place is written with what it changed, so it goes on after any crash, in any worker. Links that came since it began
--          found the identifier as it is.

if lost() then return { 'LOST' } end
buckets, shards = unpack(redis.call('HMGET', META, 'buckets', 'shards'))
buckets, shards = tonumber(buckets), tonumber(shards)
read_unread()

local id = redis.call('LINDEX', BASE .. ':walkq', 0)
if not id then return { 'OK', 0 } end
read_guards(ARGV[2])
local n = node(tonumber(id))
local at = tonumber(redis.call('HGET', BASE .. ':walks', id))
if at == 0 then at = n.head end

local function visit(l)
  local list, on = {}, {}
  for _, m in ipairs(l.members) do
    local other = node(m[1])
    if other.id ~= n.id and counted_by[other.code] == n.code then recheck(other) end
    if not off(other) then
      on[#on + 1] = other
      list[#list + 1] = part(find(other))
    end
  end
  adopt(l)
  if off(n) then
    if on[1] then -- the link may have been of this one's part until now
      local p = part(find(on[1]))
      for name, fact in pairs(l.traits) do fold_trait(p, name, fact) end
    end
    return
  end
  if on[1].id == n.id and on[2] then raise(part(find(on[2])), STALE) end -- the link was of that one's part until now
  if #list > 1 then put_in_case(list, true) end
end

local visited = 0
while at ~= 0 and visited < tonumber(ARGV[1]) do
  local l = link(at)
  visit(l)
  visited = visited + 1
  for _, m in ipairs(l.members) do
    if m[1] == n.id then at = m[2] end
  end
end

flush()
if at == 0 then
  redis.call('LPOP', BASE .. ':walkq')
  redis.call('HDEL', BASE .. ':walks', id)
else
  redis.call('HSET', BASE .. ':walks', id, at)
end
write_walks()
return { 'OK', redis.call('LLEN', BASE .. ':walkq') }
