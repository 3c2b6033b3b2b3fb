#!lua
-- Take a free lease, or one's own again, with a new and higher fence.
-- ARGV: prefix, name, owner, ttl in ms. Answers the fence, or nil when another holds it.
--
-- The fence is counted in a hash of its own: it must go on rising when the lease has expired. Its owner is kept
-- beside it: in a store that was lost the count began anew, and a fence of before may come again.
local key = ARGV[1] .. 'lease:' .. ARGV[2]
local held = redis.call('GET', key)
if held and string.match(held, '^%d+ (.*)$') ~= ARGV[3] then
  return nil
end
local fence = redis.call('HINCRBY', ARGV[1] .. '_fences', ARGV[2], 1)
redis.call('HSET', ARGV[1] .. '_owners', ARGV[2], ARGV[3])
redis.call('SET', key, fence .. ' ' .. ARGV[3], 'PX', ARGV[4])
return fence
