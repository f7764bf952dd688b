-- Reserve slots from all buckets of one target, in debt where need be.
--
-- A bucket is six little-endian doubles: level, seen, rate, burst, version, expires.
--   level    micro-tokens at the time `seen`; negative: slots promised to the future.
--            Whole numbers as long as the rate is one, so nothing drifts
--   seen     this server's clock at the last write, in us
--   rate     tokens per s; burst: tokens
--   version  of the limits, the highest wins: when they were loaded, in ms, but not later
--            than now: somebody's clock may be ahead
--   expires  when the key goes, in us; a day or two after it would be full: what is not
--            there counts as lost and starts empty
--
-- KEYS: the buckets. ARGV[1], doubles: want, ahead_us, fence, elapsed_us, lost_us, then
-- rate, burst, version for each bucket.
--   ahead_us    how far into the future the last slot may be
--   fence       1: a new master; do not believe that a bucket is full
--   elapsed_us  at most so much time went by since the last write, by the caller's own
--               steady clock: a clock set forward here credits no more than that
--   lost_us     a bucket that is not there may have had so much debt
--
-- Returns doubles: granted; first_us, last_us: when the first and the last slot begin,
-- from now; again_us: when there is room for one more; notes (1: a bucket was not there,
-- 2: the caller's limits are old, 4: the clock went back, 8: it went ahead); and each
-- bucket's level.
local unpack, pack = struct.unpack, struct.pack
local args = ARGV[1]
local want, ahead, fence, elapsed, lost, at = unpack('<ddddd', args)
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local day = 86400 * 1000000
local missing, old, back, leap = 0, 0, 0, 0
local buckets, granted = {}, want

for i, key in ipairs(KEYS) do
  local b = {changed = false}
  b.rate, b.burst, b.version, at = unpack('<ddd', args, at)
  local state = redis.call('GET', key)
  if state then
    local level, seen, rate, burst, version, expires = unpack('<dddddd', state)
    local passed = now - seen
    if passed < 0 then -- nothing is credited, and time goes on from here
      passed, expires, b.changed, back = 0, 0, true, 4
    elseif passed > elapsed then
      passed, leap = elapsed, 8
    end
    -- earned until now under the old limits
    b.level = math.min(level + passed * rate, burst * 1000000)
    if version > b.version then
      if rate ~= b.rate or burst ~= b.burst then old = 2 end
      b.rate, b.burst, b.version = rate, burst, version
    elseif version < b.version then
      expires, b.changed = 0, true
    end
    b.level = math.min(b.level, b.burst * 1000000)
    b.expires = expires
  else
    b.level, b.expires, b.changed, missing = -b.rate * lost, 0, true, 1
  end
  if fence == 1 and b.level > 0 then
    b.level, b.changed = 0, true
  end
  granted = math.min(granted, math.floor((b.level + b.rate * ahead) / 1000000))
  buckets[i] = b
end
granted = math.max(granted, 0)

local first, last, again, levels = 0, 0, 0, ''
for i, key in ipairs(KEYS) do
  local b = buckets[i]
  if granted > 0 then
    first = math.max(first, (1000000 - b.level) / b.rate)
    last = math.max(last, (granted * 1000000 - b.level) / b.rate)
    b.level = b.level - granted * 1000000
  end
  again = math.max(again, (1000000 - b.level) / b.rate - ahead)
  levels = levels .. pack('<d', b.level)
  if granted > 0 or b.changed then
    -- not set anew each time, for that costs more
    local full = now + (b.burst * 1000000 - b.level) / b.rate
    local keep = full + day <= b.expires
    if not keep then b.expires = full + 2 * day end
    local version = math.min(b.version, math.floor(now / 1000))
    local state = pack('<dddddd', b.level, now, b.rate, b.burst, version, b.expires)
    if keep then
      redis.call('SET', key, state, 'KEEPTTL')
    else
      redis.call('SET', key, state, 'PXAT', string.format('%.0f', b.expires / 1000))
    end
  end
end
return pack('<ddddd', granted, first, last, again, missing + old + back + leap) .. levels
