--- Answers a question about one column of a CSV file, such as the sum of amounts of one category.
local M = {
    name = "csv_query",
    description = "Compute over one column of a CSV file.",
    parameters = {
        type = "object",
        properties = {
            path = { type = "string", minLength = 1, description = "CSV file name" },
            column = { type = "string", minLength = 1, description = "Column name" },
            operation = { type = "string", enum = { "sum", "average", "min", "max", "count", "list" } },
            where = { type = "string", description = "Optional condition, such as category = food" },
        },
        required = { "path", "column", "operation" },
        additionalProperties = false,
    },
    effect = "pure",
    capabilities = { fs = "r" },
}

local function trim(s) return s:match("^%s*(.-)%s*$") end

--- The separator that the header line uses most: comma, semicolon or tab.
local function separator_of(text)
    local header, best, most = text:match("^[^\r\n]*"), ",", 0
    for _, sign in ipairs({ ",", ";", "\t" }) do
        local _, n = header:gsub(sign, "")
        if n > most then best, most = sign, n end
    end
    return best
end

--- One quoted field that starts at `at` (on the quote). Returns its text and the place after it.
local function quoted_field(text, at)
    local parts, from = {}, at + 1
    while true do
        local quote = text:find('"', from, true)
        if not quote then return nil end
        parts[#parts + 1] = text:sub(from, quote - 1)
        if text:sub(quote + 1, quote + 1) ~= '"' then return table.concat(parts), quote + 1 end
        parts[#parts + 1] = '"'
        from = quote + 2
    end
end

--- CSV as RFC 4180 has it, with any line ending. Returns a list of rows (lists of strings), or nil and
--- the reason.
local function parse_csv(text)
    text = text:gsub("^\xef\xbb\xbf", "")
    local separator = separator_of(text)
    local plain = "^[^" .. separator .. "\r\n]*"
    local rows, row, at = {}, {}, 1
    while at <= #text do
        local field
        if text:sub(at, at) == '"' then
            field, at = quoted_field(text, at)
            if not field then return nil, ("row %d: a quote is not closed"):format(#rows + 1) end
            local rest = text:match(plain, at)
            field, at = field .. rest, at + #rest
        else
            field = text:match(plain, at)
            at = at + #field
        end
        row[#row + 1] = field
        local next_sign = text:sub(at, at)
        if next_sign == separator then
            at = at + 1
            if at > #text then row[#row + 1] = "" end
        else
            at = at + #(text:match("^\r?\n?", at))
            if #row > 1 or trim(row[1]) ~= "" then rows[#rows + 1] = row end
            row = {}
        end
    end
    if #row > 0 then rows[#rows + 1] = row end
    return rows
end

--- "1,234.50", "$12", "12 %" as numbers; nil for anything else.
local function number_of(s)
    s = trim(s):gsub("%$", ""):gsub("€", ""):gsub("£", ""):gsub("%s*%%$", "")
    if s:find("^%-?%d%d?%d?,%d%d%d") then s = s:gsub(",", "") end
    return s:find("^[%-%+]?[%d%.]+[eE]?[%-%+]?%d*$") and tonumber(s) or nil
end

--- One begins with the other, as a plural does with its singular.
local function alike(a, b)
    return math.min(#a, #b) > 2 and (a:sub(1, #b) == b or b:sub(1, #a) == a)
end

local function column_of(header, name)
    name = trim(name):lower()
    for i, title in ipairs(header) do
        if trim(title):lower() == name then return i end
    end
    local titles, near, n_near = {}, nil, 0
    for i, title in ipairs(header) do
        titles[i] = trim(title)
        if alike(titles[i]:lower(), name) then near, n_near = titles[i], n_near + 1 end
    end
    local why = ("there is no column \"%s\"; the columns are: %s"):format(name, table.concat(titles, ", "))
    return nil, n_near == 1 and ("%s; did you mean %s?"):format(why, near) or why
end

local OPERATORS = { "<=", ">=", "!=", "==", "~=", "<", ">", "=" }
local TESTS = {
    ["="] = function(a, b) return a == b end,
    ["!="] = function(a, b) return a ~= b end,
    ["<"] = function(a, b) return a < b end,
    [">"] = function(a, b) return a > b end,
    ["<="] = function(a, b) return a <= b end,
    [">="] = function(a, b) return a >= b end,
}
TESTS["=="], TESTS["~="] = TESTS["="], TESTS["!="]

--- Where the first of the operators stands, the longer one at a tie.
local function find_operator(where)
    local at, sign
    for _, op in ipairs(OPERATORS) do
        local found = where:find(op, 1, true)
        if found and (not at or found < at) then at, sign = found, op end
    end
    return at, sign
end

--- "category = food" as a function of a row; or nil and the reason.
local function condition_of(where, header)
    local at, sign = find_operator(where)
    if not at then
        return nil, ("where: expected something like category = food, found \"%s\""):format(where)
    end
    local column, why = column_of(header, where:sub(1, at - 1))
    if not column then return nil, "where: " .. why end
    local wanted = trim(where:sub(at + #sign)):gsub("^([\"'])(.*)%1$", "%2")
    local wanted_number, test = number_of(wanted), TESTS[sign]
    return function(row)
        local cell = trim(row[column] or "")
        local number = wanted_number and number_of(cell)
        if number then return test(number, wanted_number) end
        return test(cell:lower(), wanted:lower())
    end
end

local function show(x)
    if math.type(x) == "integer" then return ("%d"):format(x) end
    if x == math.floor(x) and math.abs(x) < 1e15 then return ("%d"):format(math.tointeger(x)) end
    return ("%.12g"):format(x)
end

--- What to do with the numbers of the column.
local REDUCE = {
    sum = function(list)
        local total = 0
        for _, x in ipairs(list) do total = total + x end
        return total
    end,
}
REDUCE.average = function(list) return REDUCE.sum(list) / #list end
REDUCE.min = function(list)
    local best = list[1]
    for _, x in ipairs(list) do if x < best then best = x end end
    return best
end
REDUCE.max = function(list)
    local best = list[1]
    for _, x in ipairs(list) do if x > best then best = x end end
    return best
end

--- The cells of the column in the rows that meet the condition.
local function select_cells(rows, column, condition)
    local cells = {}
    for i = 2, #rows do
        if not condition or condition(rows[i]) then cells[#cells + 1] = trim(rows[i][column] or "") end
    end
    return cells
end

local function reduce(cells, operation, column)
    local numbers, odd = {}, nil
    for _, cell in ipairs(cells) do
        local x = number_of(cell)
        if x then numbers[#numbers + 1] = x elseif cell ~= "" then odd = odd or cell end
    end
    if odd then
        local problem = "column \"%s\" has \"%s\", which is not a number; use count or list"
        return nil, problem:format(column, odd)
    end
    if #numbers == 0 then return nil, "no row matches" end
    return show(REDUCE[operation](numbers))
end

--- @param args {path: string, column: string, operation: string, where?: string}
--- @return string the number, or the values one per line for "list"; or nil and the reason
function M.run(args, ctx)
    local text, why = ctx.fs.read(args.path)
    if not text then return nil, why end
    local rows
    rows, why = parse_csv(text)
    if not rows then return nil, trim(args.path) .. ": " .. why end
    if #rows == 0 then return nil, trim(args.path) .. ": the file is empty" end
    local column, condition
    column, why = column_of(rows[1], args.column)
    if not column then return nil, why end
    if args.where and trim(args.where) ~= "" then
        condition, why = condition_of(trim(args.where), rows[1])
        if not condition then return nil, why end
    end
    local cells = select_cells(rows, column, condition)
    if args.operation == "count" then return show(#cells) end
    if args.operation == "list" then
        return #cells > 0 and table.concat(cells, "\n") or "no row matches"
    end
    return reduce(cells, args.operation, trim(args.column))
end

return M
