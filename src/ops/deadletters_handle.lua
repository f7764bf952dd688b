-- Note that dead letters are dealt with, and count those out that were not noted before.
-- KEYS: handled, dead. ARGV: the note, then for each letter "<partition>:<offset>" and
-- "<target>|<reason>". Returns how many were new.
local new = 0
for i = 2, #ARGV, 2 do
  if redis.call('HSETNX', KEYS[1], ARGV[i], ARGV[1]) == 1 then
    new = new + 1
    local left = tonumber(redis.call('HGET', KEYS[2], ARGV[i + 1]) or '0')
    if left and left > 1 then
      redis.call('HINCRBY', KEYS[2], ARGV[i + 1], -1)
    else
      redis.call('HDEL', KEYS[2], ARGV[i + 1])
    end
  end
end
return new
