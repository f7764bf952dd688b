-- Give unused slots back. The bucket's form: limiter_reserve.lua. A bucket that is gone
-- stays gone; what was earned since the last write is settled at the next reserve.
-- KEYS: the buckets. ARGV[1]: how many.
for _, key in ipairs(KEYS) do
  local state = redis.call('GET', key)
  if state then
    local level, seen, rate, burst, version, expires = struct.unpack('<dddddd', state)
    level = math.min(level + ARGV[1] * 1000000, burst * 1000000)
    redis.call('SET', key,
      struct.pack('<dddddd', level, seen, rate, burst, version, expires), 'KEEPTTL')
  end
end
return 1
