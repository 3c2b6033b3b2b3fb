#!lua flags=allow-oom
-- Give a lease back, unless somebody else has it by now.
-- ARGV: prefix, name, owner, fence. Answers 1, or 0 when it was lost before.
local key = ARGV[1] .. 'lease:' .. ARGV[2]
if redis.call('GET', key) ~= ARGV[4] .. ' ' .. ARGV[3] then
  return 0
end
return redis.call('DEL', key)
