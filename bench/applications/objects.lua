-- Tables, strings and closures that live for different times; prints a checksum. usage: lua5.4 objects.lua [rounds]
local rounds = tonumber(arg[1]) or 12
local state = 42

local function chance(n)
    state = (state * 1103515245 + 12345) & 0x7fffffff
    return (state >> 8) % n + 1
end

local function tree(depth)
    if depth == 0 then
        return { weight = chance(100) }
    end
    return { left = tree(depth - 1), right = tree(depth - 1), weight = depth }
end

local function weigh(node)
    return node and node.weight + weigh(node.left) + weigh(node.right) or 0
end

local function words(count)
    local seen, text = {}, {}
    for i = 1, count do
        local word = string.rep(string.char(96 + chance(26)), chance(24)) .. chance(5000)
        seen[word] = (seen[word] or 0) + 1
        text[#text + 1] = word
    end
    local joined = table.concat(text, " ")
    local swapped = joined:gsub("%a+(%d+)", function(number) return number .. "x" end)
    table.sort(text)
    return #joined + #swapped + #text[1]
end

local sum, kept = 0, {}
for round = 1, rounds do
    kept[round % 4] = tree(14)
    for i = 0, 3 do
        sum = sum + weigh(kept[i])
    end
    sum = sum + words(20000)
    local counters = {}
    for i = 1, 20000 do
        local n = i
        counters[i] = function() n = n + 1; return n end
    end
    for i = 1, 20000, 7 do
        sum = sum + counters[i]()
    end
end
print(sum)
