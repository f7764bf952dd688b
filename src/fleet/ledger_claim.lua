-- The record of one unit is a line of text in one key:
--
--   P|token|lease_end_ms|round|content|claims    somebody works on it
--   D|status|at_ms|content                       done, with the HTTP status that ended it
--   K|round|at_ms|content                        parked in Kafka as that round
--
-- Times are this server's, in milliseconds since 1970 (D's, which nobody decides by, is
-- the worker's). content is a hash of the deploy fields, empty when unknown. claims counts
-- who held it so far: above 1 somebody before the present holder may have sent the
-- request. A P record outlives its lease by far, so that a crash is seen and taken over.
-- D wins over everything.
--
-- CLAIM. KEYS: units, each once. ARGV: lease_ms, keep_ms, then for each unit
-- "token|round|content". Returns a word for each, separated by blanks: granted, taken,
-- duplicate, conflict, wait:<ms>, or bad when its record is none of the above.
local lease, keep = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease_end, life = string.format('%d', now + lease), string.format('%d', lease + keep)

local function text(token, round, content, claims)
  return 'P|' .. token .. '|' .. lease_end .. '|' .. round .. '|' .. content .. '|' .. claims
end

local function hold(key, token, round, content, claims)
  redis.call('SET', key, text(token, round, content, claims), 'PX', life)
  return claims > 1 and 'taken' or 'granted'
end

-- MGET calls a key of another type absent; NX does not.
local function hold_new(key, token, round, content)
  local set = redis.call('SET', key, text(token, round, content, 1), 'PX', life, 'NX')
  return set and 'granted' or 'bad'
end

local function claim(key, record, token, round, content)
  local function differs(other)
    return content ~= '' and other ~= '' and content ~= other
  end
  local function known(other)
    return content ~= '' and content or other
  end
  if not record then return hold_new(key, token, round, content) end

  local _, _, done = string.find(record, '^D|[^|]*|[^|]*|([^|]*)$')
  if done then return differs(done) and 'conflict' or 'duplicate' end

  local ours = tonumber(round)
  local _, _, parked, parked_content = string.find(record, '^K|(%d+)|[^|]*|([^|]*)$')
  if parked then
    if differs(parked_content) then return 'conflict' end
    if tonumber(parked) > ours then return 'duplicate' end
    return hold(key, token, round, known(parked_content), 1)
  end

  local _, _, holder, held_until, at_round, held, claims =
    string.find(record, '^P|([^|]*)|(%d+)|(%d+)|([^|]*)|(%d+)$')
  if not holder then return 'bad' end
  if differs(held) then return 'conflict' end
  if holder == token then return hold(key, token, round, known(held), tonumber(claims)) end
  -- Whoever works on a later round has it from a parked record, which carries the unit.
  if tonumber(at_round) > ours then return 'duplicate' end
  local left = tonumber(held_until) - now
  if left > 0 then return string.format('wait:%d', left) end
  return hold(key, token, round, known(held), tonumber(claims) + 1)
end

local records = redis.call('MGET', unpack(KEYS))
local answers = {}
for i, key in ipairs(KEYS) do
  local _, _, token, round, content = string.find(ARGV[i + 2], '^([^|]*)|(%d+)|(.*)$')
  answers[i] = claim(key, records[i], token, round, content)
end
return table.concat(answers, ' ')
