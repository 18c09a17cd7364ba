-- Create a space, or tell what it was created with; and give every identifier type its code.
--
-- KEYS[1]  the space's base key
-- ARGV[1]  msgpack {field, value, ...} of what is fixed at birth        ARGV[2]  msgpack {'entity type:type', ...}
-- REPLY    {'OK', {field, value, ...} as stored, {code, ...} in the order of ARGV[2]}
--          | {'REMAINS'} a space was here and was deleted in part
--
-- Cost     O(identifier types)
-- Keeps    A code, once given, means the same type for ever.

local fixed = cmsgpack.unpack(ARGV[1])
if redis.call('EXISTS', META) == 0 then
  if redis.call('EXISTS', BASE .. ':codes') == 1 then return { 'REMAINS' } end
  redis.call('HSET', META, unpack(fixed))
end
local codes = {}
for i, name in ipairs(cmsgpack.unpack(ARGV[2])) do
  local code = redis.call('HGET', BASE .. ':codes', name)
  if not code then
    code = redis.call('HLEN', BASE .. ':codes') + 1
    redis.call('HSET', BASE .. ':codes', name, code)
    redis.call('HSET', BASE .. ':names', code, name)
  end
  codes[i] = tonumber(code)
end
return { 'OK', redis.call('HGETALL', META), codes }
