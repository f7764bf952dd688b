-- RENEW: ours lives longer; a lost record is set again; anything else means: do not send.
-- The record's form: ledger_claim.lua.
-- KEYS: the unit. ARGV: token, lease_ms, round, content, keep_ms. Returns granted or lost.
local token, lease, round = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local content, keep = ARGV[4], tonumber(ARGV[5])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local claims = 1

local record = redis.call('GET', KEYS[1])
if record then
  local _, _, holder, held, count =
    string.find(record, '^P|([^|]*)|%d+|%d+|([^|]*)|(%d+)$')
  local _, _, parked = string.find(record, '^K|(%d+)|')
  if holder == token then
    claims = tonumber(count)
    if content == '' then content = held end
  elseif not (parked and tonumber(parked) <= round) then
    return 'lost'
  end
end
redis.call('SET', KEYS[1],
  string.format('P|%s|%d|%d|%s|%d', token, now + lease, round, content, claims),
  'PX', lease + keep)
return 'granted'
