-- Erased: what of evidence counts no more, and what is folded anew without it. Prepended after guards.lua.
--
-- Invariant: an identifier that an erasure covers connects nothing from that moment on, and what is seen of it later is another node's, under another
-- digest. Its links are taken away piece by piece (walk.lua); what they leave of other identifiers is refreshed: folded from the links that remain.

-- The name of the link of a set of identifiers, as `link_digest` in identifier.py makes it.
local function link_name(digests)
  table.sort(digests, bytes_less)
  local name = string.gsub(string.sub(redis.sha1hex(table.concat(digests)), 1, 32), '..', function(pair) return string.char(tonumber(pair, 16)) end)
  return name
end

-- What counts of a sighting at a time, under the digests that its identifiers have now; nil for nothing.
local function as_known_now(sighting, at)
  local entries, digests, changed = {}, {}, false
  for i, entry in ipairs(sighting[3]) do
    local e = erasure_of(entry[1])
    if e and at < e[1] then return nil end
    entries[i] = e and { e[2], entry[2], entry[3] } or entry
    digests[i] = entries[i][1]
    changed = changed or e ~= nil
  end
  if not changed then return sighting end
  local function stronger(a, b)
    local p, q = priority_of[a[2]], priority_of[b[2]]
    if p ~= q then return p < q end
    return bytes_less(a[1], b[1])
  end
  table.sort(entries, stronger)
  return { link_name(digests), sighting[2], entries, sighting[4], sighting[5] }
end

local function covers(l) -- whether a link is one that is to be taken away
  for _, m in ipairs(l.members) do
    if has(node(m[1]), ERASED) then return true end
  end
  return false
end

-- Refreshes: node -> the link to go on with, and what the links before say; evidence that comes meanwhile is counted in as well.
local FRESH = '>I5I7I4I5'
local freshes, met_anew = {}, {}

local function fresh_of(n)
  local f = freshes[n.id]
  if not f then
    f = {}
    f.at, f.first, f.last, f.flink = struct.unpack(FRESH, redis.call('HGET', BASE .. ':fresh', n.id))
    freshes[n.id] = f
  end
  return f
end

local function begin_refresh(n)
  if has(n, ERASED) then return end
  raise(n, REFRESH)
  freshes[n.id] = { at = n.head, first = 0, last = 0, flink = 0, began = true }
  met_anew[n.id] = nil
end

local function count_in(f, l)
  local earlier = f.flink == 0 or l.first < f.first or (l.first == f.first and f.flink ~= l.id and fact_less(event_of(l), event_of(link(f.flink))))
  if earlier then f.first, f.flink = l.first, l.id end
  f.last = math.max(f.last, l.last)
end

local function write_freshes()
  for id, f in pairs(freshes) do
    if f.over then
      redis.call('HDEL', BASE .. ':fresh', id)
    else
      if f.began then
        redis.call('UNLINK', BASE .. ':Hn:' .. id)
        if redis.call('HEXISTS', BASE .. ':fresh', id) == 0 then redis.call('RPUSH', BASE .. ':freshq', id) end
      end
      redis.call('HSET', BASE .. ':fresh', id, struct.pack(FRESH, f.at, f.first, f.last, f.flink))
    end
  end
  for id, met in pairs(met_anew) do
    for other in pairs(met) do redis.call('SADD', BASE .. ':Hn:' .. id, other) end
  end
end
