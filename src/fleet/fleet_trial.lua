-- Whatever the scripts of ledger and limiter do, done once at each connect on a key of no
-- meaning: a user without the right to it is told at once, and not at every event.
-- KEYS: the trial's key.
redis.call('TIME')
redis.call('MGET', KEYS[1])
redis.call('SET', KEYS[1], '', 'PX', 1000)
redis.call('GET', KEYS[1])
redis.call('DEL', KEYS[1])
return 1
