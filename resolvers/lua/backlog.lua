-- Count what is applied and not yet told.
--
-- KEYS[1]  the space's base key        ARGV[1]  the present, epoch ms, or '' for Redis's clock: values of states that have lapsed by then count as dirty
-- REPLY    {'OK', dirty output keys, output keys in flight, sweeps, walks and carries, shards in recovery, cases, partitions that are read again} | {'LOST'}
--
-- Cost     O(shards)

if lost() then return { 'LOST' } end
shards = tonumber(redis.call('HGET', META, 'shards'))
local waiting, inflight, now = 0, 0, string.format('%d', by_clock(ARGV[1]))
for shard = 0, shards - 1 do
  waiting = waiting + redis.call('HLEN', BASE .. ':dirty:' .. shard) + redis.call('ZCOUNT', BASE .. ':lapses:' .. shard, '-inf', now)
  inflight = inflight + redis.call('HLEN', BASE .. ':inflight:' .. shard)
end
return { 'OK', waiting, inflight, redis.call('LLEN', BASE .. ':sweepq') + redis.call('LLEN', BASE .. ':walkq') + redis.call('LLEN', BASE .. ':freshq') + redis.call('LLEN', BASE .. ':carryq'), redis.call('HLEN', RECOVERY), redis.call('ZCARD', DUE), redis.call('HLEN', BASE .. ':rereads') }
