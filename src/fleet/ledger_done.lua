-- DONE: unconditional, for it is a fact. The record's form: ledger_claim.lua.
-- KEYS: the unit. ARGV: status, content, keep_ms.
local time = redis.call('TIME')
redis.call('SET', KEYS[1], string.format('D|%s|%d|%s', ARGV[1],
  time[1] * 1000 + math.floor(time[2] / 1000), ARGV[2]), 'PX', ARGV[3])
return 1
