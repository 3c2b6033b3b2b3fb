#!lua flags=allow-oom
-- Prolong a lease that is still held with this fence: allowed also in a full store, since it takes no room.
-- ARGV: prefix, name, owner, fence, ttl in ms. Answers 1, or 0 when it is lost.
local key = ARGV[1] .. 'lease:' .. ARGV[2]
if redis.call('GET', key) ~= ARGV[4] .. ' ' .. ARGV[3] then
  return 0
end
return redis.call('PEXPIRE', key, ARGV[5])
