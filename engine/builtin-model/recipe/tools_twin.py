"""Python twins of Hearth's built-in tools: the same result and error texts, so that training text is what the model will
see. `check_twins.py` holds them against the real tools on random inputs.

A workspace is a dict from relative path to text. `run(name, args, desk)` returns the text that is shown to the model.
"""
import math
import posixpath

from dataclasses import dataclass, field


@dataclass
class Desk:
    """What tools can see: files, memories (best first for any query), the clock."""
    files: dict = field(default_factory=dict)
    memories: list = field(default_factory=list)
    now: object = None  # datetime


class ToolError(Exception):
    """What went wrong, in the words that the model reads."""


# ---- files (tools/fs_broker.c) ----

def clean_path(path, optional=False):
    path = "." if path is None and optional else path.strip()
    if not path and optional:
        path = "."
    if not path:
        raise ToolError("the path is empty")
    if path[0] == "/":
        raise ToolError(f'{path}: paths are relative to the workspace, as in "{path.lstrip("/")}"')
    return path


def normal(path):
    """The path as the kernel walks it; None outside the workspace."""
    path = posixpath.normpath(path)
    return None if path == ".." or path.startswith("../") else path


def entries(files, folder):
    """Sorted (name, is_folder) of a folder; None when there is no such folder."""
    prefix = "" if folder == "." else folder + "/"
    found = {}
    for path in files:
        if path.startswith(prefix):
            name, _, rest = path[len(prefix):].partition("/")
            found[name] = bool(rest) or found.get(name, False)
    if not found and folder != ".":
        return None
    return sorted(found.items(), key=lambda item: item[0].encode())


def distance(a, b):
    """Edits between two names, case ignored; names over 60 bytes are far."""
    a, b = a.lower().encode(), b.lower().encode()
    if len(a) > 60 or len(b) > 60:
        return 99
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]


def hint(files, path):
    folder, slash, base = path.rpartition("/")
    if folder and normal(folder) is None:
        return ""
    names = entries(files, normal(folder) if folder else ".")
    if names is None:
        return ""
    near, best = None, 3 + len(base.encode()) // 8
    for name, _ in names:
        d = distance(base, name)
        if d >= best or d * 2 > len(base.encode()):
            continue
        near, best = name, d
    join = "/" if slash else ""
    if near:
        return f"; did you mean {folder}{join}{near}?"
    if not names:
        return ""
    text = f"; files {'in ' if slash else 'here'}{folder}: "
    for i, (name, _) in enumerate(names[:10]):
        if len(text.encode()) >= 500:
            break
        text += (", " if i else "") + name
    return text + (", ..." if len(names) > 10 else "")


def missing(files, path, kind):
    if normal(path) is None:
        raise ToolError(f"{path}: is outside the workspace")
    parts = normal(path).split("/")
    for i in range(1, len(parts)):
        if "/".join(parts[:i]) in files:
            raise ToolError(f"{path}: a part of the path is a file, not a folder")
    raise ToolError(f"{path}: no such {kind}" + hint(files, path))


def fs_read(files, path):
    path = clean_path(path)
    key = normal(path)
    if key is not None and key in files and not path.endswith("/"):
        return files[key]
    if key is not None and entries(files, key) is not None:
        raise ToolError(f"{path}: is a folder, not a file")
    missing(files, path, "file")


def read_file(args, desk):
    text = fs_read(desk.files, args["path"])
    return text if text else "(the file is empty)"


def write_file(args, desk):
    path = clean_path(args["path"])
    key = normal(path)
    if key is None:
        raise ToolError(f"{path}: is outside the workspace")
    desk.files[key] = args["content"]
    n = len(args["content"].encode())
    return f"wrote {n} byte{'' if n == 1 else 's'} to {path}"


def list_files(args, desk):
    path = clean_path(args.get("path"), True)
    key = normal(path)
    if key is not None and key in desk.files:
        raise ToolError(f"{path}: is a file, not a folder")
    found = entries(desk.files, key) if key is not None else None
    if found is None:
        missing(desk.files, path, "folder")
    return "\n".join(name + ("/" if folder else "") for name, folder in found) or "(no files)"


def search_files(args, desk):
    query = args["query"].strip()
    if not query:
        raise ToolError("query is empty")
    path = clean_path(args.get("path"), True)
    key = normal(path)
    if key is not None and key in desk.files:
        where = [(path, desk.files[key])]
    else:
        if key is None or entries(desk.files, key) is None:
            missing(desk.files, path, "file or folder")
        inside = [p for p in desk.files if key == "." or p.startswith(key + "/")]
        inside.sort(key=lambda p: [part.encode() for part in p.split("/")])
        where = [(p if key == "." else path.rstrip("/") + p[len(key):], desk.files[p]) for p in inside]
    lines = []
    for name, text in where:
        for number, line in enumerate(text.split("\n"), 1):
            if query.lower() in line.lower():
                shown = line.encode()[:200].decode(errors="ignore")
                lines.append(f"{name}:{number}: {shown}")
    return "\n".join(lines) if lines else f'no line contains "{query}"'


# ---- memory and clock ----

def remember(args, desk):
    text = args["text"].strip()
    if not text:
        raise ToolError("text is empty")
    if text not in desk.memories:
        desk.memories.insert(0, text)
    return "saved"


def recall(args, desk):
    """The caller puts the memories in the order that the search would give."""
    return "\n".join(desk.memories[:5]) or "nothing is remembered about that"


def now(args, desk):
    return desk.now.strftime("%A, %Y-%m-%d %H:%M:%S +0000")


# ---- calculate (scripts-lua/tools/calculate.lua): what the generator writes, not all that the tool takes ----

class Arithmetic:
    FUNCTIONS = {
        "sqrt": math.sqrt, "abs": abs, "floor": lambda x: math.floor(x), "ceil": lambda x: math.ceil(x),
        "min": min, "max": max, "sum": lambda *x: sum(x), "average": lambda *x: sum(x) / len(x),
    }

    def __init__(self, text):
        self.text, self.at = text.replace("**", "^"), 0

    def peek(self):
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1
        return self.text[self.at] if self.at < len(self.text) else ""

    def take(self, signs):
        c = self.peek()
        if c and c in signs:
            self.at += 1
            return c
        return None

    def fail(self, why):
        raise ToolError(f'{why} at "{self.text[self.at:self.at + 21]}"')

    def sum(self):
        value = self.product()
        while sign := self.take("+-"):
            other = self.product()
            value = value + other if sign == "+" else value - other
        return value

    def product(self):
        value = self.signed()
        while sign := self.take("*/%"):
            if sign == "*":
                value *= self.signed()
            elif sign == "/":
                other = self.signed()
                if other == 0:
                    raise ToolError("division by zero")
                whole = isinstance(value, int) and isinstance(other, int) and value % other == 0
                value = value // other if whole else value / other
            else:
                c = self.peek()
                if c and (c.isdigit() or c in ".("):
                    value = value % self.signed()
                elif self.text[self.at:self.at + 2] == "of":
                    self.at += 2
                    value = value * self.signed()
                    value = value // 100 if isinstance(value, int) and value % 100 == 0 else value / 100
                else:
                    value = value // 100 if isinstance(value, int) and value % 100 == 0 else value / 100
        return value

    def signed(self):
        if self.take("-"):
            return -self.signed()
        value = self.atom()
        if self.take("^"):
            other = self.signed()
            value = value ** other
        return value

    def atom(self):
        c = self.peek()
        if self.take("("):
            value = self.sum()
            if not self.take(")"):
                self.fail("expected )")
            return value
        if c.isdigit() or c == ".":
            start = self.at
            while self.at < len(self.text) and (self.text[self.at].isdigit() or self.text[self.at] == "."):
                self.at += 1
            digits = self.text[start:self.at]
            return float(digits) if "." in digits else int(digits)
        start = self.at
        while self.at < len(self.text) and self.text[self.at].isalnum():
            self.at += 1
        name = self.text[start:self.at].lower()
        if name in self.FUNCTIONS and self.take("("):
            values = [self.sum()]
            while self.take(",;"):
                values.append(self.sum())
            if not self.take(")"):
                self.fail("expected )")
            if name == "round":
                return values[0]
            return self.FUNCTIONS[name](*values)
        self.at = start
        if name:
            self.fail(f'"{name}" is not known; there are numbers, + - * / ^ % ( ) and sqrt, round, min, max, abs, ...')
        self.fail("the expression ends too early" if not c else "expected a number")


def number_text(x):
    """As a person would write it: 598.8 for 598.79999999999995, 12 for 12.0."""
    if isinstance(x, int):
        return str(x)
    if x == math.floor(x) and abs(x) < 1e15:
        return str(int(x))
    text = "%.12g" % x
    return "0" if text == "-0" else text


def calculate(args, desk=None):
    parser = Arithmetic(args["expression"].replace("$", ""))
    value = parser.sum()
    if parser.peek():
        parser.fail("expected an operator")
    return number_text(value)


# ---- csv_query (scripts-lua/tools/csv_query.lua) ----

def csv_rows(text):
    """Rows of a CSV text without quoted line ends; the separator is the header's most frequent of , ; tab."""
    header = text.split("\n")[0]
    separator = max(",;\t", key=lambda sign: (header.count(sign), -",;\t".index(sign)))
    rows = []
    for line in text.split("\n"):
        if not line.strip():
            continue
        row, at = [], 0
        while True:
            if line[at:at + 1] == '"':
                field_text, at = "", at + 1
                while True:
                    end = line.index('"', at)
                    field_text += line[at:end]
                    if line[end + 1:end + 2] != '"':
                        at = end + 1
                        break
                    field_text, at = field_text + '"', end + 2
            else:
                end = line.find(separator, at)
                end = len(line) if end < 0 else end
                field_text, at = line[at:end], end
            row.append(field_text)
            if at >= len(line):
                break
            at += 1
            if at >= len(line):
                row.append("")
                break
        rows.append(row)
    return rows


def csv_number(s):
    s = s.strip().replace("$", "").replace("€", "").replace("£", "")
    if s.endswith("%"):
        s = s[:-1].rstrip()
    try:
        if "," in s:
            head, _, tail = s.partition(",")
            if not (head.lstrip("-").isdigit() and len(head.lstrip("-")) <= 3 and tail[:3].isdigit() and len(tail[:3]) == 3):
                return None
            s = s.replace(",", "")
        if not s or not all(c in "0123456789.+-eE" for c in s):
            return None
        return float(s) if any(c in s for c in ".eE") else int(s)
    except ValueError:
        return None


def csv_column(header, name):
    titles = [t.strip() for t in header]
    for i, title in enumerate(titles):
        if title.lower() == name.strip().lower():
            return i
    name = name.strip().lower()
    near = [t for t in titles if min(len(t.encode()), len(name.encode())) > 2 and (t.lower().startswith(name) or name.startswith(t.lower()))]
    raise ToolError(f'there is no column "{name}"; the columns are: {", ".join(titles)}' + (f"; did you mean {near[0]}?" if len(near) == 1 else ""))


OPERATORS = ("<=", ">=", "!=", "==", "~=", "<", ">", "=")


def csv_condition(where, header):
    at, sign = None, None
    for op in OPERATORS:
        found = where.find(op)
        if found >= 0 and (at is None or found < at):
            at, sign = found, op
    if at is None:
        raise ToolError(f'where: expected something like category = food, found "{where}"')
    try:
        column = csv_column(header, where[:at])
    except ToolError as e:
        raise ToolError(f"where: {e}")
    wanted = where[at + len(sign):].strip()
    if len(wanted) > 1 and wanted[0] in "\"'" and wanted[-1] == wanted[0]:
        wanted = wanted[1:-1]
    wanted_number = csv_number(wanted)
    tests = {"=": lambda a, b: a == b, "==": lambda a, b: a == b, "!=": lambda a, b: a != b, "~=": lambda a, b: a != b,
             "<": lambda a, b: a < b, ">": lambda a, b: a > b, "<=": lambda a, b: a <= b, ">=": lambda a, b: a >= b}

    def meets(row):
        cell = row[column].strip() if column < len(row) else ""
        number = csv_number(cell) if wanted_number is not None else None
        if number is not None:
            return tests[sign](number, wanted_number)
        return tests[sign](cell.lower(), wanted.lower())
    return meets


def csv_query(args, desk):
    text = fs_read(desk.files, args["path"])
    rows = csv_rows(text)
    if not rows:
        raise ToolError(f"{args['path'].strip()}: the file is empty")
    column = csv_column(rows[0], args["column"])
    where = (args.get("where") or "").strip()
    meets = csv_condition(where, rows[0]) if where else lambda row: True
    cells = [row[column].strip() if column < len(row) else "" for row in rows[1:] if meets(row)]
    operation = args["operation"]
    if operation == "count":
        return str(len(cells))
    if operation == "list":
        return "\n".join(cells) if cells else "no row matches"
    numbers = []
    for cell in cells:
        x = csv_number(cell)
        if x is None and cell:
            raise ToolError(f'column "{args["column"].strip()}" has "{cell}", which is not a number; use count or list')
        if x is not None:
            numbers.append(x)
    if not numbers:
        raise ToolError("no row matches")
    value = {"sum": sum, "average": lambda v: sum(v) / len(v), "min": min, "max": max}[operation](numbers)
    return number_text(value)


TWINS = {f.__name__: f for f in (read_file, write_file, list_files, search_files, remember, recall, now, calculate, csv_query)}


def run(name, args, desk):
    """The text that the model reads: result or reason."""
    try:
        return TWINS[name](args, desk)
    except ToolError as e:
        return str(e)
