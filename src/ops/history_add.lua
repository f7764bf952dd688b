-- Chapters of events' stories. KEYS: the index of events, a sorted set of ids by time, and that of applications.
-- ARGV: ttl_ms, how many events to keep, how many chapters of one, how many applications, how many events of one,
-- then for each "id", "chapter" and "<ms when first seen>:<application>" ("" when it has none). An event's chapters
-- are a list at <events>:<id>; an application's events a sorted set at <applications>:<application>.
-- What is too much goes at most OVER_MAX at a call, so that a smaller cap never blocks the server for long.
local OVER_MAX = 100
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function trim(index, most)
    local over = redis.call('ZCARD', index) - tonumber(most)
    if over > 0 then
        local last = math.min(over, OVER_MAX) - 1
        for _, name in ipairs(redis.call('ZRANGE', index, 0, last)) do
            redis.call('DEL', index .. ':' .. name)
        end
        redis.call('ZREMRANGEBYRANK', index, 0, last)
    end
    redis.call('PEXPIRE', index, ARGV[1])
end
-- A chapter that begins with {"again":"..." says that a unit still waits for the same: it takes the place of the one
-- before that said so, or a week of waiting would push the beginning of the story out.
local function drop_told(key, chapter)
    local again = string.match(chapter, '^{"again":"[^"]*"')
    for _, told in ipairs(again and redis.call('LRANGE', key, 0, -1) or {}) do
        if string.sub(told, 1, #again) == again then
            return redis.call('LREM', key, 1, told)
        end
    end
end
for i = 6, #ARGV, 3 do
    local key = KEYS[1] .. ':' .. ARGV[i]
    drop_told(key, ARGV[i + 1])
    redis.call('RPUSH', key, ARGV[i + 1])
    redis.call('LTRIM', key, -tonumber(ARGV[3]), -1)
    redis.call('PEXPIRE', key, ARGV[1])
    redis.call('ZADD', KEYS[1], now, ARGV[i])
    local colon = string.find(ARGV[i + 2], ':', 1, true)
    if colon then
        local app = string.sub(ARGV[i + 2], colon + 1)
        key = KEYS[2] .. ':' .. app
        -- a later chapter does not make an event a newer one
        redis.call('ZADD', key, 'NX', string.sub(ARGV[i + 2], 1, colon - 1), ARGV[i])
        redis.call('ZREMRANGEBYRANK', key, 0, -tonumber(ARGV[5]) - 1)
        redis.call('PEXPIRE', key, ARGV[1])
        redis.call('ZADD', KEYS[2], now, app)
    end
end
trim(KEYS[1], ARGV[2])
trim(KEYS[2], ARGV[4])
return 0
