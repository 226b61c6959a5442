--- Arithmetic, by a parser of its own: an expression is data from a model and is never loaded as code.
---
---   sum     = product { ("+" | "-") product }
---   product = signed { ("*" | "x" | "/" | "%" | "mod") signed }   also: N "% of" signed, N "%"
---   signed  = { "-" | "+" } power
---   power   = atom [ ("^" | "**") signed ]                        right to left; -2^2 is -4
---   atom    = number | "(" sum ")" | "pi" | "e" | function "(" sum { "," sum } ")"
---
--- "%" is a percentage when no operand follows it ("15%", "17% of 3400", "200 + 5%" is 200.05 with 5% =
--- 0.05), and the remainder when one does ("17 % 5"). A comma between digits in groups of three is a
--- thousands separator unless we are inside a function's parentheses.
local M = {
    name = "calculate",
    description = "Evaluate an arithmetic expression.",
    parameters = {
        type = "object",
        properties = {
            expression = { type = "string", minLength = 1, maxLength = 1000, description = "The expression to evaluate, e.g. 2*(3+4)" },
        },
        required = { "expression" },
        additionalProperties = false,
    },
    effect = "pure",
    limits = { wall_ms = 1000, cpu_ms = 500, memory_mb = 16, output_kb = 16 },
}

local MAX_DEPTH = 60

local function round(x, digits)
    local scale = 10.0 ^ (digits or 0)
    local y = x * scale
    local rounded = y >= 0 and math.floor(y + 0.5) or math.ceil(y - 0.5)
    return scale == 1 and rounded or rounded / scale
end

local function factorial(n)
    if n < 0 or n > 170 or n ~= math.floor(n) then
        error("factorial needs a whole number from 0 to 170", 0)
    end
    local product = 1.0
    for i = 2, n do product = product * i end
    return product
end

local function sum(...)
    local total = 0
    for _, x in ipairs({ ... }) do total = total + x end
    return total
end

--- name -> { function, fewest arguments, most arguments }
local FUNCTIONS = {
    sqrt = { math.sqrt, 1, 1 },
    cbrt = { function(x) return x < 0 and -((-x) ^ (1 / 3)) or x ^ (1 / 3) end, 1, 1 },
    abs = { math.abs, 1, 1 },
    floor = { math.floor, 1, 1 },
    ceil = { math.ceil, 1, 1 },
    round = { round, 1, 2 },
    min = { math.min, 1, 100 },
    max = { math.max, 1, 100 },
    sum = { sum, 1, 100 },
    average = { function(...) return sum(...) / select("#", ...) end, 1, 100 },
    exp = { math.exp, 1, 1 },
    ln = { math.log, 1, 1 },
    log = { function(x, base) return math.log(x, base or 10) end, 1, 2 },
    log10 = { function(x) return math.log(x, 10) end, 1, 1 },
    log2 = { function(x) return math.log(x, 2) end, 1, 1 },
    sin = { math.sin, 1, 1 },
    cos = { math.cos, 1, 1 },
    tan = { math.tan, 1, 1 },
    pow = { function(x, y) return x ^ y end, 2, 2 },
    factorial = { factorial, 1, 1 },
}
FUNCTIONS.avg, FUNCTIONS.mean = FUNCTIONS.average, FUNCTIONS.average

local CONSTANTS = { pi = math.pi, e = math.exp(1) }

--- Signs beyond ASCII that mean an operator, or nothing here.
local SAME = {
    ["×"] = "*", ["·"] = "*", ["÷"] = "/", ["−"] = "-", ["–"] = "-", ["√"] = "sqrt",
    ["€"] = "", ["£"] = "",
}

local P = {}
P.__index = P

function P:fail(...)
    error(("%s at \"%s\""):format(string.format(...), self.text:sub(self.at, self.at + 20)), 0)
end

function P:skip()
    self.at = self.text:find("[^%s]", self.at) or #self.text + 1
end

--- Moves past `pattern` when it is next; returns what matched.
function P:take(pattern)
    self:skip()
    local from, to, capture = self.text:find("^" .. pattern, self.at)
    if not from then return nil end
    self.at = to + 1
    return capture or self.text:sub(from, to)
end

--- The number at the cursor. Integers stay integers while they fit.
function P:number()
    self:skip()
    if self.in_call == 0 then
        local grouped = self.text:match("^%d%d?%d?,%d%d%d[%d,]*", self.at)
        if grouped and ("," .. grouped:match(",(.*)$")):gsub(",%d%d%d", "") == "" then
            local tail = self.text:match("^%.%d+", self.at + #grouped) or ""
            self.at = self.at + #grouped + #tail
            return tonumber((grouped:gsub(",", "")) .. tail)
        end
    end
    local digits = self:take("%d+%.?%d*[eE][%+%-]?%d+") or self:take("%d+%.?%d*") or self:take("%.%d+")
    return digits and tonumber(digits)
end

function P:arguments(name)
    local f, list = FUNCTIONS[name], {}
    self.in_call = self.in_call + 1
    repeat list[#list + 1] = self:sum() until not self:take("[,;]")
    self.in_call = self.in_call - 1
    if not self:take("%)") then self:fail("expected )") end
    if #list < f[2] or #list > f[3] then
        error(("%s takes %d argument%s"):format(name, f[3], f[3] == 1 and "" or "s"), 0)
    end
    return f[1](table.unpack(list))
end

function P:atom()
    self.depth = self.depth + 1
    if self.depth > MAX_DEPTH then error("the expression is nested too deep", 0) end
    local value = self:number()
    if value then
        -- nothing more to do
    elseif self:take("%(") then
        local outer = self.in_call
        self.in_call = 0
        value = self:sum()
        self.in_call = outer
        if not self:take("%)") then self:fail("expected )") end
    else
        local start = self.at
        local name = self:take("[%a][%w]*")
        if not name then
            self:fail(self.at > #self.text and "the expression ends too early" or "expected a number")
        end
        name = name:lower()
        if FUNCTIONS[name] then
            if self:take("%(") then
                value = self:arguments(name)
            elseif FUNCTIONS[name][2] == 1 then
                value = FUNCTIONS[name][1](self:atom()) -- "sqrt 16"
            end
        else
            value = CONSTANTS[name]
        end
        if not value then
            self.at = start
            self:fail("\"%s\" is not known; there are numbers, + - * / ^ %% ( ) and sqrt, round, min, "
                .. "max, abs, ...", name)
        end
    end
    self.depth = self.depth - 1
    return value
end

function P:power()
    local base = self:atom()
    if self:take("!") then base = factorial(base) end
    if self:take("%^") then
        local exponent = self:signed()
        local value = base ^ exponent
        local integers = math.type(base) == "integer" and math.type(exponent) == "integer"
        local whole = integers and math.tointeger(value)
        return whole and math.abs(whole) < 2 ^ 53 and whole or value
    end
    return base
end

function P:signed()
    self.depth = self.depth + 1
    if self.depth > MAX_DEPTH then error("the expression is nested too deep", 0) end
    local value
    if self:take("%-") then
        value = -self:signed()
    elseif self:take("%+") then
        value = self:signed()
    else
        value = self:power()
    end
    self.depth = self.depth - 1
    return value
end

local function divide(a, b)
    if b == 0 then error("division by zero", 0) end
    local whole = math.type(a) == "integer" and math.type(b) == "integer" and a % b == 0
    return whole and a // b or a / b
end

local function remainder(a, b)
    if b == 0 then error("division by zero", 0) end
    return a % b
end

--- Integer arithmetic that would wrap around goes on in floats.
local function exact(a, b, integer, float)
    return math.abs(float) < 2 ^ 62 and integer or float
end

local function multiply(a, b) return exact(a, b, a * b, (a + 0.0) * b) end
local function add(a, b) return exact(a, b, a + b, (a + 0.0) + b) end
local function subtract(a, b) return exact(a, b, a - b, (a + 0.0) - b) end

--- After a "%": is what follows an operand (remainder) or not (percentage)?
function P:operand_follows()
    self:skip()
    if self.text:find("^[xX]%f[%A]", self.at) then return false end
    return self.text:find("^[%d%.%(%a]", self.at) ~= nil
end

function P:product()
    local value = self:signed()
    while true do
        if self:take("%*") or self:take("[xX]%f[%A]") then
            value = multiply(value, self:signed())
        elseif self:take("/") then
            value = divide(value, self:signed())
        elseif self:take("[mM][oO][dD]%f[%A]") then
            value = remainder(value, self:signed())
        elseif self:take("%%%s*[oO][fF]%f[%A]") or self:take("[pP]ercent%s+of%f[%A]") then
            value = divide(multiply(value, self:signed()), 100)
        elseif self:take("%%") or self:take("[pP]ercent%f[%A]") then
            value = self:operand_follows() and remainder(value, self:signed()) or divide(value, 100)
        else
            return value
        end
    end
end

function P:sum()
    local value = self:product()
    while true do
        if self:take("%+") then
            value = add(value, self:product())
        elseif self:take("%-") then
            value = subtract(value, self:product())
        else
            return value
        end
    end
end

--- As a person would write it: 598.8 for 598.79999999999995, 12 for 12.0.
local function format_number(x)
    if x ~= x then error("the result is not a number", 0) end
    if x == math.huge or x == -math.huge then error("the result is too large", 0) end
    if math.type(x) == "integer" then return ("%d"):format(x) end
    if x == math.floor(x) and math.abs(x) < 1e15 then return ("%d"):format(math.tointeger(x)) end
    local text = ("%.12g"):format(x)
    return text == "-0" and "0" or text
end

local function evaluate(text)
    text = text:gsub("[\xc2-\xf4][\x80-\xbf]+", SAME):gsub("%*%*", "^")
    text = text:gsub("%$", ""):gsub("%s*=%s*%??%s*$", "")
    local parser = setmetatable({ text = text, at = 1, depth = 0, in_call = 0 }, P)
    local value = parser:sum()
    parser:skip()
    if parser.at <= #text then parser:fail("expected an operator") end
    return format_number(value)
end

--- @param args {expression: string}
--- @return string the value, such as "578"; or nil and what is wrong with the expression
function M.run(args)
    local ok, value = pcall(evaluate, args.expression)
    if ok then return value end
    return nil, tostring(value)
end

return M
