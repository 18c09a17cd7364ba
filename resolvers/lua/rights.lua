-- Rights: which commands the user who asks may not run.
--
-- KEYS[1]  the space's base key        ARGV[1]  msgpack {{word, ...}, ...}: commands with their arguments, as they would be called
-- REPLY    {'OK', index, ...} of those that are not allowed, or that the server does not know, from 1
--
-- Cost     O(commands)
-- Keeps    Nothing is run: only the rights are looked at.

local refused = {}
for index, words in ipairs(cmsgpack.unpack(ARGV[1])) do
  local known, allowed = pcall(redis.acl_check_cmd, unpack(words))
  if not (known and allowed) then refused[#refused + 1] = index end
end
return { 'OK', unpack(refused) }
