-- Make dirty what there is of a run of nodes, or of a bucket of memberships, as if nothing of it had been told.
--
-- KEYS[1]  the space's base key
-- ARGV[1]  'nodes' with ARGV[2] the first node and ARGV[3] how many | 'memberships' with ARGV[2] the bucket
-- REPLY    {'OK'} | {'LOST'}
--
-- Cost     O(nodes), or O(memberships of the bucket)
-- Keeps    Repeating it changes nothing.

if lost() then return { 'LOST' } end
buckets, shards = unpack(redis.call('HMGET', META, 'buckets', 'shards'))
buckets, shards = tonumber(buckets), tonumber(shards)

local forgotten = {}

local function tell_node(n)
  local p = not has(n, DETACHED) and part(find(n))
  if p and has(p, HIDDEN) then return end
  if p then mark_identifier(n) end
  if has(n, FOUNDED) or (p and p.founder == n.id and not has(p, DIVIDING)) then mark_entity(n.digest, false) end
  if n.told ~= 0 then n.told, n.dirty = 0, true end
  forgotten[#forgotten + 1] = n.id
end

if ARGV[1] == 'nodes' then
  for id = tonumber(ARGV[2]), tonumber(ARGV[2]) + tonumber(ARGV[3]) - 1 do
    local n = node(id)
    if n then tell_node(n) end
  end
else
  for _, name in ipairs(redis.call('HKEYS', BASE .. ':r:' .. ARGV[2])) do dirty['m' .. name] = '' end
end

flush()
for _, id in ipairs(forgotten) do -- how ids that ended were told
  local where, field = page('g', id)
  redis.call('HDEL', where, field)
end
return { 'OK' }
