"""The scripts of the receipts: what Redis carries out as a whole, unless it dies in the middle.

Promise   A write changes nothing when the shard has another owner, or when the write before it is
          lost. Its commands leave a good state after each of them (receipts_redis.py).
Not here  Keys and arguments: receipts_redis.py.

Two races with a Redis that comes back without its last writes:

    1. a commit with entry 57 is stored and delivered; 2. Redis falls back to entry 50 of the same
    owner; 3. the relay writes its cursor, 57; 4. the shard is claimed again and gives out 51, which
    the cursor would hide. So a cursor is never written above the fence's own sequence.

    1. an entry is settled, for its action waits for another attempt; 2. Redis falls back to before
    that, and the fence stays as it was; 3. the relay writes the next cursor, which hides the entry.
    So each write names the one before it. A session is marked before its books are read, and the first
    write names that: Redis may fall back between the two, even to the middle of a write of who had the
    shard before.
"""

from typing import Final

# ARGV: nonce, session. Marks that its books are read from now on.
BEGIN: Final = """
local fence = redis.call('GET', KEYS[1])
if not fence then return 'nothing' end
local owner = cjson.decode(fence)
if owner.nonce ~= ARGV[1] then return owner.epoch .. ':' .. owner.nonce end
redis.call('SET', KEYS[2], ARGV[2] .. ' 0')
return ''
"""

# ARGV: nonce, how many to keep, session, number and known of the mark ("" for none), then
# commands, each with its length before it; the last word of the last one is the cursor.
WRITE: Final = """
local fence = redis.call('GET', KEYS[1])
if not fence then return {-1, 'nothing'} end
local owner = cjson.decode(fence)
if owner.nonce ~= ARGV[1] then return {-1, owner.epoch .. ':' .. owner.nonce} end
if ARGV[3] ~= '' then
  local marked = redis.call('GET', KEYS[7]) or ''
  local session, number = string.match(marked, '^(.*) (%d+)$')
  if session ~= ARGV[3] or tonumber(number) < tonumber(ARGV[5]) then return {-2, marked} end
end
if tonumber(ARGV[#ARGV]) > owner.outbox then ARGV[#ARGV] = string.format('%d', owner.outbox) end
local at = 6
while at <= #ARGV do
  local length = tonumber(ARGV[at])
  redis.call(unpack(ARGV, at + 1, at + length))
  at = at + length + 1
end
for hash = 2, 4, 2 do
  local surplus = redis.call('ZCARD', KEYS[hash + 1]) - tonumber(ARGV[2])
  if surplus > 0 then
    surplus = math.min(surplus, 1000)
    redis.call('HDEL', KEYS[hash], unpack(redis.call('ZRANGE', KEYS[hash + 1], 0, surplus - 1)))
    redis.call('ZREMRANGEBYRANK', KEYS[hash + 1], 0, surplus - 1)
  end
end
if ARGV[3] ~= '' then redis.call('SET', KEYS[7], ARGV[3] .. ' ' .. ARGV[4]) end
return {redis.call('HLEN', KEYS[6]), ''}
"""

# An index entry without a record is dropped here, where nobody can write in between.
DUE: Final = """
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
local records = {}
if #ids > 0 then
  for i, record in ipairs(redis.call('HMGET', KEYS[2], unpack(ids))) do
    if record then records[#records + 1] = record else redis.call('ZREM', KEYS[1], ids[i]) end
  end
end
local after = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local is_more = #ids == tonumber(ARGV[2])
return {records, is_more and '0' or after[2] or ''}
"""

# ARGV: lanes.
FORGET: Final = """
for _, lane in ipairs(ARGV) do
  local stored = redis.call('HGET', KEYS[1], lane)
  if stored and redis.call('ZCARD', KEYS[2] .. lane) == 0 then
    local state = cjson.decode(stored)
    local fails = state.failing_since_ms and state.failing_since_ms ~= cjson.null
    if not fails and (state.disabled or '') == '' then redis.call('HDEL', KEYS[1], lane) end
  end
end
"""

# ARGV: due time, then id and new record in turn. Only what is still dead is revived.
REVIVE: Final = """
local count = 0
for i = 2, #ARGV, 3 do
  if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 1 then
    redis.call('ZADD', KEYS[5] .. ARGV[i + 1], ARGV[1], ARGV[i])
    redis.call('HSETNX', KEYS[6], ARGV[i + 1], '{"about":""}')
    redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 2])
    redis.call('HSET', KEYS[4], ARGV[i], ARGV[i + 2])
    redis.call('HDEL', KEYS[1], ARGV[i])
    redis.call('ZREM', KEYS[2], ARGV[i])
    count = count + 1
  end
end
return count
"""
