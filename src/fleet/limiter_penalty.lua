-- The downstream asked for silence: from now on each bucket owes as much as it would earn
-- meanwhile. The bucket's form: limiter_reserve.lua. What was earned since the last write
-- is not credited: the debt is the deeper of the two, never less.
-- KEYS: the buckets. ARGV[1], doubles: silence_us, then rate, burst, version for each.
local silence, at = struct.unpack('<d', ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
for _, key in ipairs(KEYS) do
  local level, rate, burst, version, _ = 0
  rate, burst, version, at = struct.unpack('<ddd', ARGV[1], at)
  local state = redis.call('GET', key)
  if state then level, _, rate, burst, version = struct.unpack('<dddddd', state) end
  level, version = math.min(level, -rate * silence), math.min(version, math.floor(now / 1000))
  local expires = now + (burst * 1000000 - level) / rate + 2 * 86400 * 1000000
  redis.call('SET', key, struct.pack('<dddddd', level, now, rate, burst, version, expires),
    'PXAT', string.format('%.0f', expires / 1000))
end
return 1
