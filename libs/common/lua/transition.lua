#!lua
-- One atomic change: every check first, then every write. Nothing is written on a refusal.
--
-- The shebang makes the server refuse the whole script up front when it is full, read-only or cannot
-- write its log; without it a script could stop half way.
--
-- ARGV[1] is the key prefix; then come sections of counted, flat arguments, in this order:
--   store_id the store that it is meant for, '' for any
--   lease    0 | 1 name fence owner
--   once     0 | 1 set member
--   expect   n (key version)*
--   writes   n (key flag value)*          flag 1 writes, 0 deletes
--   hashes   n (key field flag value)*
--   sets     n (key member)*
--   appends  n (stream m (field|value)*)*  m counts fields and values together
--   reserve  0 | 1 hash field value n (counter amount limit)*   limit -1: none
--
-- Answers {1, versions of the writes in order}, {0} when `once` had happened already,
-- or {-1, key, words} for a conflict.
local prefix = ARGV[1]
local at = 1
local function take()
  at = at + 1
  return ARGV[at]
end
local function count()
  return tonumber(take())
end

local versions = prefix .. '_versions'

local function conflict(key, words)
  return {-1, key, words}
end

-- The highest version that a key ever had. It stays when the key is deleted: were it to begin anew, a
-- version that was read before would fit again. A value that was written by hand counts as version 1.
local function last_version(key)
  return tonumber(redis.call('HGET', versions, key) or redis.call('EXISTS', prefix .. key))
end

local function version_of(key)
  if redis.call('EXISTS', prefix .. key) == 0 then
    return 0
  end
  return last_version(key)
end

local function kind_conflict(key, kind)
  local found = redis.call('TYPE', prefix .. key).ok
  if found ~= 'none' and found ~= kind then
    return conflict(key, 'holds a ' .. found .. ', no ' .. kind)
  end
end

-- Checks.
local meant = take()
if meant ~= '' then
  local found = redis.call('GET', prefix .. 'store_id') or 'without an id'
  if found ~= meant then
    return conflict('store_id', 'meant for ' .. meant .. ', this store is ' .. found)
  end
end

if take() == '1' then
  local name, fence, owner = take(), take(), take()
  local newest = redis.call('HGET', prefix .. '_fences', name)
  if newest ~= fence then
    return conflict('lease:' .. name, 'fence ' .. fence .. ' is not the newest, ' .. (newest or 'none') .. ' is')
  end
  if redis.call('HGET', prefix .. '_owners', name) ~= owner then
    return conflict('lease:' .. name, 'fence ' .. fence .. ' is another owner\'s: the store is not the one that gave it')
  end
end

local once_set, once_member
if take() == '1' then
  once_set, once_member = take(), take()
  local refusal = kind_conflict(once_set, 'set')
  if refusal then
    return refusal
  end
  if redis.call('SISMEMBER', prefix .. once_set, once_member) == 1 then
    return {0}
  end
end

for _ = 1, count() do
  local key, wanted = take(), tonumber(take())
  local refusal = kind_conflict(key, 'string')
  if refusal then
    return refusal
  end
  local found = version_of(key)
  if found ~= wanted then
    return conflict(key, 'expected version ' .. wanted .. ', found ' .. found)
  end
end

local writes, hashes, sets, appends = {}, {}, {}, {}
for n = 1, count() do
  writes[n] = {take(), take(), take()}
  local refusal = kind_conflict(writes[n][1], 'string')
  if refusal then
    return refusal
  end
end
for n = 1, count() do
  hashes[n] = {take(), take(), take(), take()}
  local refusal = kind_conflict(hashes[n][1], 'hash')
  if refusal then
    return refusal
  end
end
for n = 1, count() do
  sets[n] = {take(), take()}
  local refusal = kind_conflict(sets[n][1], 'set')
  if refusal then
    return refusal
  end
end
for n = 1, count() do
  local stream, fields = take(), {}
  for m = 1, count() do
    fields[m] = take()
  end
  appends[n] = {stream, fields}
  local refusal = kind_conflict(stream, 'stream')
  if refusal then
    return refusal
  end
end

local reserved
if take() == '1' then
  reserved = {take(), take(), take()}
  local refusal = kind_conflict(reserved[1], 'hash')
  if refusal then
    return refusal
  end
  local held, sums = redis.call('HGETALL', prefix .. reserved[1]), {}
  for n = 1, #held, 2 do
    if held[n] ~= reserved[2] then
      for name, amount in string.gmatch(held[n + 1], '([^ =]+)=(%d+)') do
        sums[name] = (sums[name] or 0) + tonumber(amount)
      end
    end
  end
  for _ = 1, count() do
    local name, amount, limit = take(), count(), count()
    local total = (sums[name] or 0) + amount
    if limit >= 0 and total > limit then
      return conflict(reserved[1], string.format('no room: %s would be %.0f of %.0f', name, total, limit))
    end
  end
end

-- Writes.
local answer = {1}
for n, write in ipairs(writes) do
  local key = write[1]
  if write[2] == '1' then
    local version = last_version(key) + 1
    redis.call('SET', prefix .. key, write[3])
    redis.call('HSET', versions, key, version)
    answer[n + 1] = version
  else
    if redis.call('DEL', prefix .. key) == 1 then
      redis.call('HSETNX', versions, key, 1)
    end
    answer[n + 1] = 0
  end
end
if reserved then
  redis.call('HSET', prefix .. reserved[1], reserved[2], reserved[3])
end
for _, write in ipairs(hashes) do
  if write[3] == '1' then
    redis.call('HSET', prefix .. write[1], write[2], write[4])
  else
    redis.call('HDEL', prefix .. write[1], write[2])
  end
end
if once_set then
  redis.call('SADD', prefix .. once_set, once_member)
end
for _, add in ipairs(sets) do
  redis.call('SADD', prefix .. add[1], add[2])
end
for _, append in ipairs(appends) do
  redis.call('XADD', prefix .. append[1], '*', unpack(append[2]))
end
return answer
