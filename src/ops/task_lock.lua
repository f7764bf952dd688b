-- The lock of a group's tasks. KEYS: lock. ARGV: what ("take", "keep" or "drop"), who
-- holds it, lease_ms. Returns the holder after that, "" for nobody. A lock that Redis lost
-- is taken again by "keep".
local holder = redis.call('GET', KEYS[1])
if ARGV[1] == 'drop' then
  if holder == ARGV[2] then
    redis.call('DEL', KEYS[1])
    return ''
  end
  return holder or ''
end
if not holder or holder == ARGV[2] then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  return ARGV[2]
end
return holder
