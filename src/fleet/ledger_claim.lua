-- The record of one unit is a line of text in one key:
--
--   P|token|lease_end_ms|round|content|claims    somebody works on it
--   D|status|at_ms|content                       done, with the HTTP status that ended it
--   K|round|at_ms|content                        parked in Kafka as that round
--
-- Times are this server's, in milliseconds since 1970. content is a hash of the deploy
-- fields, empty when unknown. claims counts who held it so far: above 1 somebody before
-- the present holder may have sent the request. A P record outlives its lease by far, so
-- that a crash is seen and taken over. D wins over everything.
--
-- CLAIM. KEYS: the unit. ARGV: token, lease_ms, round, content, keep_ms.
-- Returns {what, wait_ms}; what: granted, taken, duplicate, conflict, wait.
local token, lease, round = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local content, keep = ARGV[4], tonumber(ARGV[5])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function differs(other)
  return content ~= '' and other ~= '' and content ~= other
end

local function hold(claims, known)
  if content ~= '' then known = content end
  redis.call('SET', KEYS[1],
    string.format('P|%s|%d|%d|%s|%d', token, now + lease, round, known, claims),
    'PX', lease + keep)
  return {claims > 1 and 'taken' or 'granted', 0}
end

local record = redis.call('GET', KEYS[1])
if not record then return hold(1, '') end

local _, _, done = string.find(record, '^D|[^|]*|[^|]*|([^|]*)$')
if done then return {differs(done) and 'conflict' or 'duplicate', 0} end

local _, _, parked, parked_content = string.find(record, '^K|(%d+)|[^|]*|([^|]*)$')
if parked then
  if differs(parked_content) then return {'conflict', 0} end
  if tonumber(parked) > round then return {'duplicate', 0} end
  return hold(1, parked_content)
end

local _, _, holder, lease_end, at_round, held, claims =
  string.find(record, '^P|([^|]*)|(%d+)|(%d+)|([^|]*)|(%d+)$')
if not holder then return redis.error_reply('ERR not a ledger record') end
if differs(held) then return {'conflict', 0} end
if holder == token then return hold(tonumber(claims), held) end
-- Whoever works on a later round has it from a parked record, which carries the unit.
if tonumber(at_round) > round then return {'duplicate', 0} end
if tonumber(lease_end) > now then return {'wait', tonumber(lease_end) - now} end
return hold(tonumber(claims) + 1, held)
