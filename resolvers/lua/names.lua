-- Names: of identifier types, by their codes. Prepended after records.lua.

local names

local function code_name(code) -- `entity type:identifier type`
  if not names then
    names = {}
    local all = redis.call('HGETALL', BASE .. ':names')
    for i = 1, #all, 2 do names[tonumber(all[i])] = all[i + 1] end
  end
  return names[code]
end
