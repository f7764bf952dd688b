-- RELEASE: give up a claim that is ours and was not sent. The record goes back to what it
-- was before: absent, parked, or open to be taken over when an earlier holder may have
-- sent. The record's form: ledger_claim.lua.
-- KEYS: the unit. ARGV: token, keep_ms. Returns 1 when it was ours.
local record = redis.call('GET', KEYS[1])
local _, _, holder, round, content, claims =
  string.find(record or '', '^P|([^|]*)|%d+|(%d+)|([^|]*)|(%d+)$')
if holder ~= ARGV[1] then return 0 end
if tonumber(claims) > 1 then
  redis.call('SET', KEYS[1], string.format('P|-|0|%s|%s|%d', round, content,
    tonumber(claims) - 1), 'PX', ARGV[2])
elseif tonumber(round) > 0 then
  local time = redis.call('TIME')
  redis.call('SET', KEYS[1], string.format('K|%s|%d|%s', round,
    time[1] * 1000 + math.floor(time[2] / 1000), content), 'PX', ARGV[2])
else
  redis.call('DEL', KEYS[1])
end
return 1
