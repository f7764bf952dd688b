-- Chapters of events' stories. KEYS: the index, a sorted set of ids by time. ARGV: ttl_ms, how many events to keep,
-- how many chapters of one, then for each "id" and "chapter". An event's chapters are a list at <index>:<id>.
-- What is too much goes at most OVER_MAX events a call, so that a smaller cap never blocks the server for long.
local OVER_MAX = 100
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 4, #ARGV, 2 do
    local key = KEYS[1] .. ':' .. ARGV[i]
    redis.call('RPUSH', key, ARGV[i + 1])
    redis.call('LTRIM', key, -tonumber(ARGV[3]), -1)
    redis.call('PEXPIRE', key, ARGV[1])
    redis.call('ZADD', KEYS[1], now, ARGV[i])
end
local over = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[2])
if over > 0 then
    local last = math.min(over, OVER_MAX) - 1
    for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, last)) do
        redis.call('DEL', KEYS[1] .. ':' .. id)
    end
    redis.call('ZREMRANGEBYRANK', KEYS[1], 0, last)
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return over
