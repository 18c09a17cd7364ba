-- Dividing: what settling a case does to a part that is divided: a small one in one go, a large one in portions. Prepended to settle.lua.
--
-- Invariant: a part is only ever divided into pieces that the evidence keeps apart. Dividing in portions first flattens the part's tree, so that nobody hangs on
-- who leaves. Then identifiers are cut off in the order of its circle, from behind its root on, so that what is left is a circle; each goes to the piece that it is to be of,
-- and those that are off to one more piece, until nothing is left. Then each piece takes the traits of its links, and is told from then on; at last those that
-- are off are let go. From the first cut on nothing is told of any of it (DIVIDING), and all of it is divided anew by whoever takes the case up after a crash.

local number_of, joined, left, cancelled = tonumber(ARGV[2]), {}, {}, {} -- case, roots, root -> case under whose number it was listed, names of sweeps
local cuts = {} -- root -> digest under which a part in division was told, '' for none, false for one that is divided

local function is_here(p) return p.case ~= 0 and case_of(p.case).id == number_of end

local divide, write_cuts
local portions = {} -- of a division that is large, by the name of the step
do
  local FLAT = 64 -- flag of a part whose root is the parent of all its nodes; what is united loses it

  -- The sweeps of a part that is divided end: all of it is told anew. Each is named after a node that is a root, or was.
  local function cancel_sweeps(all)
    for first = 1, #all, MOST_AT_ONCE do
      local names = {}
      for i = first, math.min(#all, first + MOST_AT_ONCE - 1) do names[#names + 1] = struct.pack('>I5B', all[i].id, 0) end
      for i, found in ipairs(redis.call('HMGET', BASE .. ':sweeps', unpack(names))) do
        if found then cancelled[#cancelled + 1] = names[i] end
      end
    end
  end

  local function weight(l) return 1 + math.floor(#l.members / 8) end -- links of many identifiers are few at once

  local function few_links(list) -- whether the links that these nodes are on are not too many for one call
    local most = PORTION
    for _, n in ipairs(list) do
      local at = off(n) and 0 or n.head -- those of who is off are walked over
      while at ~= 0 do
        local l = link(at)
        most = most - weight(l)
        if most < 0 then return false end
        at = next_of(l, n)
      end
    end
    return true
  end

  -- Mark the id of a part that is divided for some time. It is dirty, unless the piece that has it was told since.
  local function mark_again(issued)
    local n = node_of(issued)
    local p = not has(n, DETACHED) and part(find(n))
    mark_entity(issued, p and p.founder == n.id and not has(p, UNTOLD) and p)
  end

  local function mark_issued(issued, old)
    if has(old, DIVIDING) then mark_again(issued) else mark_entity(issued, not has(old, HIDDEN) and old) end
  end

  -- Give the traits of the links that these nodes are on to the parts to which the links belong now.
  local function fold_links(list)
    local done = {}
    for _, n in ipairs(list) do
      local at = n.head
      while at ~= 0 do
        local l = link(at)
        if not done[at] then
          done[at] = true
          local centre = centre_of(l)
          if centre then
            local p = part(find(centre))
            for name, fact in pairs(said_by(l).traits) do fold_trait(p, name, fact) end
          end
        end
        at = next_of(l, n)
      end
    end
  end

  local function block_of(list, flags, gen) -- of nodes that are alone; what `unite` would come to, in one go
    local root = list[1]
    local p, listed, oldest = parts[root.id], {}, root
    for i, n in ipairs(list) do
      local q = parts[n.id]
      n.parent, n.next = root.id, list[i % #list + 1].id
      if older(n, oldest) then oldest = n end
      flags = bit.bor(flags, q.flags)
      p.first, p.last = math.min(p.first, n.first), math.max(p.last, n.last)
      if i > 1 then
        local counts = counts_of(p)
        counts[n.code] = (counts[n.code] or 0) + 1
        q.gone = true
      end
      listed[i] = struct.pack('>I5', n.id)
    end
    p.founder, p.count, p.list, p.flags, p.case, p.gen, p.fresh = oldest.id, #list, table.concat(listed), flags, number_of, gen, nil
    trim(p)
    return p
  end

  local MOST_TOLD = 100 -- of what came of one id

  divide = function(member, blocks, offs) -- gives whether it was divided, and else whether it is too large for that
    local root = node(member)
    if not root or has(root, DETACHED) then return false end
    root = find(root)
    local root_id = root.id
    local old, all = part(root), {}
    if not is_here(old) then return false end
    for i, ids in ipairs(blocks) do
      for j, id in ipairs(ids) do
        ids[j] = node(id)
        all[#all + 1] = ids[j]
      end
    end
    for i, id in ipairs(offs) do
      offs[i] = node(id)
      all[#all + 1] = offs[i]
    end
    if #all ~= old.count then return false end
    for _, n in ipairs(all) do
      if find(n).id ~= root_id then return false end
    end
    if not few_links(all) then return false, true end
    cancel_sweeps(all)
    traits_of(old)
    local hidden, issued = has(old, HIDDEN), issued_of(old)
    if has(old, DIVIDING) then cuts[root_id] = false end
    if issued then mark_issued(issued, old) end
    for _, n in ipairs(all) do
      n.parent, n.next, n.dirty, parts[n.id] = n.id, n.id, true, alone(n)
    end
    parts[root_id].raw, parts[root_id].traits_raw = old.raw, old.traits_raw
    parts[root_id].traits_dirty = old.traits_raw ~= ''
    left[root_id] = old.case
    local lessened = has(old, LESSENED)
    for _, n in ipairs(offs) do lessened = lessened or has(n, ERASED) end
    if lessened and issued and not hidden then note(issued, 'x', all[1].digest, 0) end
    for _, n in ipairs(offs) do
      raise(n, DETACHED)
      if n.id == root_id then parts[n.id].gone = true else parts[n.id] = nil end
    end
    local gen = number('divisions')
    for i, list in ipairs(blocks) do
      local p = block_of(list, hidden and HIDDEN or 0, gen)
      local founder = node(p.founder)
      joined[p.root] = true
      if founder.digest == issued then
        p.issued = issued
        if hidden then raise(p, ISSUED) end
      elseif not hidden then
        p.issued = founder.digest
        mark_entity(p.issued, false)
        if i <= MOST_TOLD then note(issued, '/', p.issued, founder.flink) end
      end
    end
    local inside = {}
    for _, n in ipairs(all) do
      if has(n, DETACHED) then walks[n.id] = true else inside[#inside + 1] = n end
    end
    fold_links(inside)
    for _, n in ipairs(all) do
      retell_identifier(n)
      if has(n, FOUNDED) then mark_entity(n.digest, false) end -- an id that ended may lead over one that is elsewhere now
    end
    local most = MEMBERSHIP_COST * INLINE
    for _, list in ipairs(hidden and {} or blocks) do
      if #list > INLINE then
        sweep_all(list[1].next, list[1].id)
      else
        for _, n in ipairs(list) do most = retell_held(n, most) end
      end
    end
    return true
  end

  -- Make the root the parent of nodes of its circle, from one on; gives the node to go on with, 0 at the end.
  portions.flatten = function(root_id, at)
    local root = node(root_id)
    if not root or root.parent ~= root_id or has(root, DETACHED) or not is_here(part(root)) then return false end
    if has(part(root), FLAT) then return 0 end
    local n = at == 0 and root or node(at)
    for _ = 1, PORTION do
      if find(n).id ~= root_id then return false end
      if n.parent ~= root_id then n.parent, n.dirty = root_id, true end
      n = node(n.next)
      if n.id == root_id then
        raise(part(root), FLAT)
        return 0
      end
    end
    return n.id
  end

  local function growing(id) -- the part of a root that is in division here
    local root = node(id)
    local p = root and root.parent == id and not has(root, DETACHED) and part(root)
    return p and has(p, DIVIDING) and is_here(p) and p
  end

  -- Take a node, which is of no part now, into a piece; true when its list had to be cut, which is work enough for one call.
  local function grow(p, n)
    local root = node(p.root)
    n.parent, n.next, root.next = p.root, root.next, n.id
    n.dirty, root.dirty, p.dirty = true, true, true
    if older(n, node(p.founder)) then p.founder = n.id end
    p.first, p.last, p.count = math.min(p.first, n.first), math.max(p.last, n.last), p.count + 1
    local counts = counts_of(p)
    counts[n.code] = (counts[n.code] or 0) + 1
    p.flags = bit.bor(p.flags, has(n, FORBIDS) and TOUCHED or 0, has(n, SHOWS) and SHOWN or 0)
    local count = #oldest_of(p)
    if p.horizon == 0 then
      p.list = oldest_of(p) .. struct.pack('>I5', n.id)
      trim(p)
    else
      consider(p, n)
    end
    return #p.list < count
  end

  local function begin_piece(n, old, issued)
    local p = alone(n)
    p.case, p.fresh = number_of, nil
    p.flags = bit.bor(p.flags, FLAT, DIVIDING, bit.band(old.flags, HIDDEN))
    if n.id == old.root then
      p.raw, p.traits_raw, p.traits_dirty = old.raw, old.traits_raw, old.traits_raw ~= ''
    end
    n.parent, n.next, n.dirty = n.id, n.id, true
    parts[n.id], joined[n.id], cuts[n.id] = p, true, issued or ''
  end

  local function without(list, gone) -- of packed nodes
    local kept = {}
    for at = 1, #list, 5 do
      local packed = string.sub(list, at, at + 4)
      if not gone[packed] then kept[#kept + 1] = packed end
    end
    return table.concat(kept)
  end

  local function begin_division(old, issued)
    local hidden = has(old, HIDDEN)
    if issued then mark_issued(issued, old) end
    if issued and not hidden and has(old, LESSENED) then note(issued, 'x', node(old.root).digest, 0) end
    lower(old, LESSENED)
    raise(old, DIVIDING)
    cuts[old.root] = issued or ''
  end

  -- Cut nodes off, as they follow the root, the root last: each to the piece that a node of it names, which is the first that comes to it. Gives how many it took.
  portions.cut = function(root_id, run)
    local root = node(root_id)
    if not root or root.parent ~= root_id or has(root, DETACHED) or not has(part(root), FLAT) or not is_here(part(root)) then return false end
    local old = part(root)
    traits_of(old)
    local issued, listed, done, gone, all = issued_of(old), old.case, 0, {}, {}
    begin_division(old, issued)
    local erased = false
    for _, one in ipairs(run) do
      local n = node(one[1])
      if n.id ~= root.next or n.parent ~= root_id or (n.id ~= one[2] and not growing(one[2])) then return false end
      done, all[#all + 1], gone[struct.pack('>I5', n.id)] = done + 1, n, true
      erased = erased or has(n, ERASED)
      if has(n, FOUNDED) then mark_entity(n.digest, false) end -- an id that ended may lead over one that is elsewhere now
      local counts = counts_of(old)
      old.count, counts[n.code] = old.count - 1, counts[n.code] - 1
      root.next, root.dirty = n.next, true
      if n.id == root_id then
        old.gone, left[root_id], cuts[root_id] = true, listed, false
      end
      if n.id == one[2] then
        begin_piece(n, old, issued)
      elseif grow(part(node(one[2])), n) then
        break
      end
    end
    if issued and erased and not has(old, HIDDEN) then note(issued, 'x', all[1].digest, 0) end
    cancel_sweeps(all)
    old.list = without(oldest_of(old), gone)
    return done
  end

  -- Take the traits of links into the pieces of these roots, from a link of a node of the first on; gives how many pieces have them all, and the place in the next.
  portions.fold = function(roots, at, link_id)
    local most = PORTION
    for done, id in ipairs(roots) do
      local p = growing(id)
      if not p then return false end
      local n = node(at ~= 0 and at or id)
      if at == 0 then link_id = n.head end
      repeat
        while link_id ~= 0 do
          if most <= 0 then return done - 1, n.id, link_id end
          local l = link(link_id)
          most = most - weight(l)
          if centre_of(l) == n then
            for name, fact in pairs(said_by(l).traits) do fold_trait(p, name, fact) end
          end
          link_id = next_of(l, n)
        end
        n = node(n.next)
        link_id = n.head
      until n.id == id
      at = 0
    end
    return #roots, 0, 0
  end

  -- Tell a piece from now on, as split off if that is to be noted; gives what is left of `most` for memberships.
  local function finish(p, noted, gen, most)
    local issued, founder, hidden = issued_of(p), node(p.founder), has(p, HIDDEN)
    lower(p, DIVIDING)
    p.gen, p.dirty, cuts[p.root] = gen, true, false
    if founder.digest == issued then
      if hidden then raise(p, ISSUED) end
      p.issued = issued
      mark_entity(issued, false)
    elseif not hidden then
      p.issued = founder.digest
      mark_entity(p.issued, false)
      if issued then
        mark_again(issued)
        if noted == 1 then note(issued, '/', p.issued, founder.flink) end
      end
    end
    if hidden then return most end
    if p.count > INLINE then
      sweep_all(node(p.root).next, p.root)
      return most
    end
    local n = node(p.root)
    for _ = 1, p.count do
      retell_identifier(n)
      most = retell_held(n, most)
      n = node(n.next)
    end
    return most
  end

  portions.finish = function(pieces)
    local gen, most = number('divisions'), MEMBERSHIP_COST * INLINE
    for _, one in ipairs(pieces) do
      local p = growing(one[1])
      if not p then return false end
      most = finish(p, one[2], gen, most)
    end
    return 0
  end

  -- Let nodes go that are off, from behind the root of their piece on, the root last; gives 1 if there are more.
  portions.let_go = function(root_id)
    local p, root = growing(root_id), node(root_id)
    if not p then return false end
    local gone, listed = {}, p.case
    for _ = 1, math.min(p.count, PORTION) do
      local n = node(root.next)
      if not off(n) then return false end
      root.next, root.dirty = n.next, true
      n.parent, n.next, n.dirty = n.id, n.id, true
      raise(n, DETACHED)
      p.count, p.dirty, walks[n.id], gone[struct.pack('>I5', n.id)] = p.count - 1, true, true, true
      retell_identifier(n)
      if has(n, FOUNDED) then mark_entity(n.digest, false) end
    end
    p.list = without(oldest_of(p), gone)
    if p.count > 0 then return 1 end
    p.gone, left[root_id], cuts[root_id] = true, listed, false
    return 0
  end

  write_cuts = function()
    for root, issued in pairs(cuts) do
      if issued then redis.call('HSET', BASE .. ':cuts', root, issued) else redis.call('HDEL', BASE .. ':cuts', root) end
    end
  end
end
