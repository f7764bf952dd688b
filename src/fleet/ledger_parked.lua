-- PARKED: the unit waits in Kafka as this round, acknowledged. Loses against D, against a
-- later round, and against whoever already works on this round. The record's form:
-- ledger_claim.lua.
-- KEYS: the unit. ARGV: round, content, keep_ms. Returns 1 when it was written.
local round = tonumber(ARGV[1])
local record = redis.call('GET', KEYS[1]) or ''
local _, _, parked = string.find(record, '^K|(%d+)|')
local _, _, working = string.find(record, '^P|[^|]*|%d+|(%d+)|')
if string.sub(record, 1, 2) == 'D|' then return 0 end
if parked and tonumber(parked) >= round then return 0 end
if working and tonumber(working) >= round then return 0 end
local time = redis.call('TIME')
redis.call('SET', KEYS[1], string.format('K|%d|%d|%s', round,
  time[1] * 1000 + math.floor(time[2] / 1000), ARGV[2]), 'PX', ARGV[3])
return 1
