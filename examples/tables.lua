-- Builds and drops large tables and strings.
--
--     tables.lua [SCALE] [ROUNDS]
--
-- Each round builds a small world: records with two indices, a text and the frequencies of its words, a sparse and a
-- dense matrix, closures, coroutines; queries it, changes it, and lets go of it, while what the last round left is being
-- collected. What is live grows with SCALE: 1 runs in a guest of 16 MiB. Sums do not depend on the order of pairs().
--
-- The host may define peak(), called when most is live.

local scale = tonumber(arg and arg[1]) or 1
local rounds = tonumber(arg and arg[2]) or 6
assert(scale > 0 and scale <= 1000 and rounds >= 1, "usage: tables.lua [SCALE] [ROUNDS]")

local floor, byte, format, concat = math.floor, string.byte, string.format, table.concat

-- The same numbers everywhere, unlike math.random.
local state = 1
local function below(n)
    state = (state * 6364136223846793005 + 1442695040888963407)
    return (state >> 33) % n
end

local function sum_of(text)
    local sum = #text
    for i = 1, #text, 61 do
        sum = (sum * 31 + byte(text, i)) & 0xffffffff
    end
    return sum
end

-- Records, by number and by name.
local function make_records(n)
    local records, by_name = {}, {}
    for id = 1, n do
        local name = format("%s-%05d", ("abcdefghij"):sub(below(10) + 1), id)
        local record = {id = id, name = name, weight = below(1000), tags = {}}
        for i = 1, below(4) do
            record.tags[i] = "tag" .. below(100)
        end
        records[id] = record
        by_name[name] = record
    end
    return records, by_name
end

local function group_by_tag(records)
    local groups = {}
    for _, record in ipairs(records) do
        for _, tag in ipairs(record.tags) do
            local group = groups[tag]
            if not group then
                group = {}
                groups[tag] = group
            end
            group[#group + 1] = record.id
        end
    end
    return groups
end

-- A text of n lines, and how often each of its words occurs.
local function make_text(n)
    local lines = {}
    for i = 1, n do
        local words = {}
        for j = 1, 6 do
            words[j] = "w" .. below(2000)
        end
        lines[i] = concat(words, " ")
    end
    return concat(lines, "\n")
end

local function frequencies(text)
    local count = {}
    for word in text:gmatch("%w+") do
        count[word] = (count[word] or 0) + 1
    end
    return count
end

-- A string that grows by doubling, and one that shrinks by substitution.
local function string_work(bytes)
    local s = "weir "
    while #s < bytes do
        s = s .. s
    end
    local t = s:gsub("ei", "a"):upper():reverse()
    return sum_of(s) + sum_of(t) + #t
end

local function make_matrix(n)
    local dense, sparse = {}, {}
    for i = 1, n do
        local row = {}
        for j = 1, n do
            row[j] = i * j % 17 + 0.5
        end
        dense[i] = row
        sparse[below(1000000)] = i
    end
    return dense, sparse
end

local function make_closures(n)
    local closures = {}
    for i = 1, n do
        local step = below(10)
        closures[i] = function(x)
            step = step + 1
            return x + step
        end
    end
    return closures
end

local function generators(n)
    local threads, sum = {}, 0
    for i = 1, n do
        threads[i] = coroutine.wrap(function()
            for j = 1, 4 do
                coroutine.yield(i * j)
            end
        end)
    end
    for _ = 1, 4 do
        for i = 1, n do
            sum = sum + threads[i]()
        end
    end
    return sum
end

local total = 0
local function add(n)
    total = (total * 1000003 + floor(n)) & 0xffffffffffff
end

-- Collect when the heap has grown by half, not (as Lua's default has it) when it has doubled: memory is what we count.
collectgarbage("setpause", 150)

for round = 1, rounds do
    local records, by_name = make_records(floor(5000 * scale))
    local text = make_text(floor(4000 * scale))
    local count = frequencies(text)
    local groups = group_by_tag(records)
    local dense, sparse = make_matrix(floor(150 * scale ^ 0.5))
    local closures = make_closures(floor(4000 * scale))
    if round == rounds and peak then
        peak()
    end

    local weights = 0
    for _, record in pairs(by_name) do
        weights = weights + record.weight * record.id
    end
    add(weights)

    local ids = 0
    for tag, group in pairs(groups) do
        ids = ids + #group * sum_of(tag)
    end
    add(ids)

    local words = 0
    for word, n in pairs(count) do
        words = words + n * sum_of(word)
    end
    add(words + sum_of(text))

    local trace = 0
    for i = 1, #dense do
        trace = trace + dense[i][i] * (sparse[i] or 1)
    end
    add(trace)

    local chain = 0
    for i = 1, #closures do
        chain = closures[i](chain)
    end
    add(chain)

    -- Every second record goes, the others get longer names.
    for id = 2, #records, 2 do
        by_name[records[id].name] = nil
        records[id] = false
    end
    for id = 1, #records, 2 do
        local record = records[id]
        by_name[record.name] = nil
        record.name = record.name:rep(3, "/")
        by_name[record.name] = record
    end
    local left = 0
    for name in pairs(by_name) do
        left = left + sum_of(name)
    end
    add(left)

    text, count, groups, closures = nil, nil, nil, nil
    add(string_work(floor(200000 * scale)))
    add(generators(floor(500 * scale)))

    local kept = {}
    for _, record in pairs(by_name) do
        kept[#kept + 1] = record
    end
    table.sort(kept, function(a, b)
        return a.weight < b.weight or a.weight == b.weight and a.id < b.id
    end)
    for i = 1, #kept, 10 do
        add(kept[i].id)
    end
end

print(format("tables: %d rounds at scale %g, sum %012x", rounds, scale, total))
