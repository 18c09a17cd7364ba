-- Place: whether a batch goes on where its partition's last one ended. Prepended to scripts that take a batch in.
--
-- ARGV[1]  log and partition, `events/3`         ARGV[2]  offset at which the batch starts        ARGV[3]  the position after it
-- ARGV[6]  mark of the call that this one comes after, '' for the first        ARGV[7]  mark of this call

-- The stored offset, if the batch does not go on there.
local function gap()
  local stored = redis.call('HGET', BASE .. ':pos', ARGV[1])
  local offset = stored and string.match(stored, '^(%d+):') or '0'
  local last = redis.call('HGET', BASE .. ':marks', ARGV[1]) or ''
  if ARGV[7] ~= '' and ARGV[7] == last then return nil end -- it is this call again, whose answer was lost
  if offset ~= ARGV[2] or (ARGV[6] ~= '' and ARGV[6] ~= last) then return offset end
  return nil
end

local function go_on()
  redis.call('HSET', BASE .. ':pos', ARGV[1], ARGV[3])
  redis.call('HSET', BASE .. ':marks', ARGV[1], ARGV[7])
end

local DAY = 86400000
local REREADS = BASE .. ':rereads' -- partition of the events log -> from where, and up to where, it must be applied once more

local function begin_reread(partition, stretch) -- `from:end`
  redis.call('HSET', REREADS, partition, stretch)
  redis.call('HSET', BASE .. ':pos', 'reread/' .. partition, string.match(stretch, '^%d+') .. ':0')
  redis.call('HDEL', BASE .. ':marks', 'reread/' .. partition)
end

local function read_unread()
  local recovering = redis.call('HGETALL', RECOVERY)
  for i = 1, #recovering, 2 do unread[tonumber(recovering[i])] = recovering[i + 1] == 'waiting' end
end
