-- Have publishing wait until the logs are applied up to given ends; after a loss, have every shard's topics read before anything is told.
--
-- KEYS[1]  the space's base key
-- ARGV[1]  'waiting' after a loss, or 'hold'        ARGV[2]  msgpack {{log and partition, offset}, ...}
-- ARGV[3]  shard that noticed the loss, or ''       ARGV[4]  number of the last round of that shard that Kafka has
-- REPLY    {'OK', 1 if this call began it} | {'LOST'}
--
-- Cost     O(shards + partitions + keys of the shard's round in flight)
-- Keeps    A shard that is behind Kafka begins anew, and its numbers go on above Kafka's. Repeating it changes nothing.

if lost() then return { 'LOST' } end
local word, shard = ARGV[1], ARGV[3]
local noticed = shard ~= '' and behind(shard, tonumber(ARGV[4]))
if shard ~= '' and not noticed then return { 'OK', 0 } end -- it has been recovered since it was noticed

local under_way = redis.call('HVALS', RECOVERY)
local began = #under_way == 0
for _, state in ipairs(under_way) do
  if state == 'hold' and word ~= 'hold' then began = true end
end

local function wait_for(ends)
  for _, one in ipairs(ends) do
    local had = tonumber(redis.call('HGET', ENDS, one[1]) or '0')
    redis.call('HSET', ENDS, one[1], string.format('%d', math.max(had, one[2])))
  end
end

if began or noticed then
  redis.call('HDEL', META, 'caught')
  redis.call('DEL', BASE .. ':tide') -- what comes is read once more
end
if began then
  if word == 'waiting' then redis.call('HINCRBY', META, 'recoveries', 1) end
  for each = 0, tonumber(redis.call('HGET', META, 'shards')) - 1 do redis.call('HSET', RECOVERY, each, word) end
end
if noticed then
  local round = BASE .. ':round:' .. shard
  undo(shard)
  redis.call('HDEL', round, 'payload', 'recovering')
  redis.call('HSET', round, 'number', ARGV[4])
  redis.call('HSET', RECOVERY, shard, word)
end
if began or noticed then wait_for(cmsgpack.unpack(ARGV[2])) end
return { 'OK', began and 1 or 0 }
