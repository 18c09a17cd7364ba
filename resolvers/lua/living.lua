-- Living: marking entities of which something around them changed. Prepended after graph.lua.

-- Have an entity told again whose states may have changed, as those of somebody around it have, if it lives.
local function mark_living(digest)
  local n = node_of(digest)
  local p = n and not has(n, DETACHED) and part(find(n))
  if p and p.founder == n.id and not has(p, UNTOLD) then mark_entity(digest, p) end
end
