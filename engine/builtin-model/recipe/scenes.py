"""Whole tasks as a person would put them, each written by hand: scenes/*.txt (the long ones packed, .txt.xz), filled with random values.

A scene, line by line:
  @ label                      begins a scene; behind it, on lines of their own or here after ` ; `:
  without TOOL TOOL            tools that are not offered (declining);  only TOOL TOOL: these and no other;  with TOOL: offered, not needed
  alone                        no other files beside the scene's own
  own NAME | description | arg:type! = what it is ; arg2:enum(a,b)     a tool of the user's own; `!` is for required;
                               types: string integer number boolean strings integers enum(...)
  pick a ~ b = x ~ y || x2 ~ y2      draws one row of several slots at once; {{r}} and the like are filled in when the slot is used
  file NAME                    a file; its lines follow behind `| `, or `|? ` for a line that may be missing
  mem TEXT                     a remembered fact, best first
  > TEXT                       what the user says;    >| TEXT   another wording of the same
  ! TOOL key=value ;; key=value           a call that succeeds;   !? one that fails;   + one in the same message as the call before
  ! OWN key=value => result    of a tool of one's own the result is given
  < TEXT                       what the assistant says;  <| TEXT   another wording
Slots: {a:int 2 9} {a:money 1 50} {a:person} ... define and fill in; {a=x|y|z} chooses; {a} is told again; {f=notes.txt|todo.txt} on a `file` line
is replaced by a random name at times; {r} the last result, {r1} {r2} ... the results in order; {#a + b} a sum; {now.date} ... the clock.
{trim r1} the text without its last line end; {list r1} its lines as "a, b and c"; {count r1} how many lines; {if a > 5 ? yes ; no $b} one of two texts
($b in them is the slot b, $now.date the clock; numbers are compared by < > <= >=, texts by =). In the arguments and the result of a call \\n is a line end.
[a|b] chooses among wordings (in > and < lines and picks only).
"""
import datetime
import glob
import json
import lzma
import os
import re

import tools_twin
from desk_files import BASES, make_path
from phrase import say
from values import CITY, FIRST, FOODS, MONTHS

HERE = os.path.dirname(os.path.abspath(__file__))
SIGNS = ("@", ">", ">|", "!", "!?", "+", "<", "<|", "|", "|?", "without", "only", "with", "alone", "own", "pick", "file", "mem")
SLOT = re.compile(r"\{\{|\}\}|\{([^{}\"]*)\}")  # what has a quote in it is JSON


class Wrong(Exception):
    """The scene does not do what it says."""


class Scene:
    def __init__(self, where, label):
        self.where, self.label = where, label
        self.without, self.only, self.extra, self.alone = [], None, [], False
        self.own, self.steps, self.setup, self.used = {}, [], [], set()


def own_tool(text):
    """{name, description, parameters} of an `own` line."""
    name, description, arguments = (x.strip() for x in (text + " | ").split("|")[:3])
    properties, required = {}, []
    for argument in filter(None, (x.strip() for x in arguments.split(";"))):
        head, _, what = argument.partition("=")
        key, _, kind = head.strip().partition(":")
        if kind.endswith("!"):
            kind = kind[:-1]
            required.append(key)
        if kind.startswith("enum("):
            schema = {"type": "string", "enum": kind[5:-1].split(",")}
        elif kind in ("strings", "integers", "numbers"):
            schema = {"type": "array", "items": {"type": kind[:-1]}}
        elif kind in ("string", "integer", "number", "boolean"):
            schema = {"type": kind}
        else:
            raise ValueError(f"{kind}: is no type of an argument")
        if what.strip():
            schema["description"] = what.strip()
        properties[key] = schema
    parameters = {"type": "object", "properties": properties}
    if required:
        parameters["required"] = required
    return {"name": name, "description": description, "parameters": parameters}


def parse_call(text):
    """(tool, {argument: text}, result or None)"""
    text, arrow, result = text.partition(" => ")
    name, _, rest = text.strip().partition(" ")
    arguments = {}
    for part in filter(None, (x.strip() for x in rest.split(";;"))):
        key, equals, value = part.partition("=")
        if not equals:
            raise ValueError(f"expected argument=value, found {part!r}")
        arguments[key.strip()] = value.strip().replace("\\n", "\n")
    return name, arguments, result.strip().replace("\\n", "\n") if arrow else None


def read(path):
    scenes = []
    with (lzma.open(path, "rt", encoding="utf-8") if path.endswith(".xz") else open(path)) as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip("\n")
            if not line.strip() or line[0] == "#":
                continue
            sign, _, rest = line.partition(" ")
            where = f"{os.path.basename(path)}:{number}"
            try:
                if sign not in SIGNS:
                    raise ValueError(f"{sign!r} begins no line of a scene")
                if sign == "@":
                    label, *more = rest.split(" ; ")
                    scenes.append(Scene(where, label))
                    for x in more:
                        add(scenes[-1], *x.strip().partition(" ")[::2])
                else:
                    add(scenes[-1], sign, rest)
            except (ValueError, IndexError) as e:
                raise SystemExit(f"{where}: {e}")
    return scenes


def add(scene, sign, rest):
    steps = scene.steps
    if sign == "without":
        scene.without += rest.split()
    elif sign == "only":
        scene.only = rest.split()
    elif sign == "with":
        scene.extra += rest.split()
    elif sign == "alone":
        scene.alone = True
    elif sign == "own":
        tool = own_tool(rest)
        scene.own[tool["name"]] = tool
    elif sign == "pick":
        names, _, rows = rest.partition(" = ")
        names = [x.strip() for x in names.split("~")]
        rows = [[x.strip() for x in row.split("~")] for row in rows.split("||")]
        if any(len(row) != len(names) for row in rows):
            raise ValueError(f"pick: expected {len(names)} values in each row")
        scene.setup.append(("pick", names, rows))
    elif sign == "file":
        scene.setup.append(("file", rest.strip(), []))
    elif sign in ("|", "|?"):
        scene.setup[-1][2].append((rest, sign == "|?"))
    elif sign == "mem":
        scene.setup.append(("mem", rest))
    elif sign in (">", "<"):
        steps.append((sign, [rest]))
    elif sign in (">|", "<|"):
        if steps[-1][0] != sign[0]:
            raise ValueError(f"{sign} stands behind no {sign[0]}")
        steps[-1][1].append(rest)
    elif sign in ("!", "!?", "+"):
        call = parse_call(rest)
        if call[0] in scene.own:
            if call[2] is None:
                raise ValueError(f"{call[0]}: the result is missing (=> ...)")
        elif call[0] not in tools_twin.TWINS:
            raise ValueError(f"{call[0]}: no such tool")
        else:
            scene.used.add(call[0])
        if sign == "+":
            steps[-1][1].append((call, False))
        else:
            steps.append(("!", [(call, sign == "!?")]))


def load():
    return [scene for path in sorted(glob.glob(os.path.join(HERE, "scenes", "*.txt*"))) for scene in read(path)]


SCENES = load()


def new_path(r, V, ending):
    """A file's name without blanks, which a sentence could not be told from."""
    return make_path(r, V, BASES, [ending]).replace(" ", "_")


class Values:
    """The slots of one draw."""

    def __init__(self, r, V, now):
        self.r, self.V, self.now, self.values, self.late = r, V, now, {}, set()

    def kind(self, text):
        r, V = self.r, self.V
        name, *rest = text.split()
        if name == "int":
            return str(r.randint(int(rest[0]), int(rest[1])))
        if name == "step":  # step A B S: a multiple of S
            low, high, step = (int(x) for x in rest)
            return str(r.randrange(low, high + 1, step))
        if name in ("money", "dec"):
            low, high = (float(x) for x in rest) if rest else (1, 90)
            return f"{r.uniform(low, high):.{2 if name == 'money' else 1}f}"
        if name == "first":
            return r.choice(FIRST)
        if name == "person":
            return V.person()
        if name == "last":
            return V.last()
        if name == "city":
            return r.choice(CITY)
        if name == "food":
            return r.choice(FOODS)
        if name == "month":
            return r.choice(MONTHS)
        if name == "day":
            return f"{r.randint(1, 28)} {r.choice(MONTHS)}"
        if name == "time":
            return f"{r.randint(6, 22)}:{r.choice(('00', '15', '20', '30', '40', '45', '10', '50'))}"
        if name == "name":
            return r.choice((V.word().capitalize(), V.nonce().capitalize()))
        if name == "word":
            return V.word()
        if name == "open":  # a bracket that begins no wordings: of a section's name, of a list in JSON
            return "["
        if name == "noun":
            return V.pick_noun()
        if name == "pass":
            return r.choice((f"{V.word()}-{V.word()}-{r.randint(10, 99)}", V.nonce() + V.digits(2), V.word() + V.digits(3)))
        if name == "digits":
            return V.digits(int(rest[0]) if rest else 4)
        if name == "path":
            return new_path(r, V, rest[0] if rest else "txt")
        if name == "sentence":
            return V.sentence()
        if name == "street":
            return V.address()
        return str(getattr(V, "t_" + name)()[1])

    def slot(self, text):
        if text.startswith("#"):
            expression = re.sub(r"[a-z_]\w*", lambda m: self.values.get(m.group(), m.group()), text[1:])
            return tools_twin.calculate({"expression": expression})
        if text.startswith("now."):
            if text[4:] in ("tomorrow", "yesterday"):
                return (self.now + datetime.timedelta(1 if text[4:] == "tomorrow" else -1)).strftime("%A")
            if text[4:] == "weekend":
                return "Yes" if self.now.weekday() > 4 else "No"
            return self.now.strftime({"date": "%Y-%m-%d", "year": "%Y", "weekday": "%A", "month": "%B", "time": "%H:%M", "day": "%-d", "hour": "%-H",
                                      "minute": "%-M"}[text[4:]])
        word, _, rest = text.partition(" ")
        if word in ("trim", "list", "count") and rest in self.values:
            lines = self.values[rest].rstrip("\n").split("\n")
            if word == "list":
                return ", ".join(lines[:-1]) + " and " + lines[-1] if len(lines) > 1 else lines[0]
            return "\n".join(lines) if word == "trim" else str(len(lines))
        m = re.fullmatch(r"if (\S+) (<=|>=|<|>|=) (.+?) \? (.*?) ; (.*)", text, re.S)
        if m:
            # Both are filled in, so that a mistake in the one that is seldom true is found when the scenes are checked.
            yes, no = (re.sub(r"\$(now\.\w+|[a-z]\w*)", lambda x: self.slot(x.group(1)), part) for part in m.groups()[3:])
            return yes if self.holds(*m.groups()[:3]) else no
        m = re.match(r"(\w+)([:=])(.*)$", text, re.S)
        if not m:
            return self.fill(self.values[text]) if text in self.late else self.values[text]
        name, sign, rest = m.groups()
        if name not in self.values:
            for _ in range(20):
                value = self.r.choice(rest.split("|")) if sign == "=" else self.kind(rest)
                if value not in self.values.values():  # two slots are never the same thing
                    break
            self.values[name] = value
        return self.values[name]

    def holds(self, a, sign, b):
        a, b = (self.slot(x) if x in self.values or x.startswith("now.") else x for x in (a, b))
        if sign != "=":
            a, b = float(a), float(b)
        return a == b if sign == "=" else a < b if sign == "<" else a > b if sign == ">" else a <= b if sign == "<=" else a >= b

    def fill(self, text):
        return SLOT.sub(lambda m: m.group()[0] if m.group(1) is None else self.slot(m.group(1)), text)

    def say(self, text):
        """Chooses among wordings, then fills in."""
        return self.fill(say(self.r, text.replace("{{", "\1").replace("}}", "\2").replace("{", "\3").replace("}", "\4")).translate({1: "{{", 2: "}}", 3: "{", 4: "}"}))


def typed(schema, text):
    kind = schema["type"]
    if kind == "array":
        return [typed(schema["items"], x.strip()) for x in text.split(",")] if text else []
    if kind == "integer":
        return int(text)
    if kind == "number":
        return float(text) if "." in text else int(text)
    if kind == "boolean":
        return {"true": True, "false": False}[text]
    return text


def play(scene, r, V, desk, memories=(), rename=.35):
    """The messages of one draw of the scene; files and memories are in the desk then, `memories` behind the scene's own. Raises Wrong
    when a call does not do as is said."""
    values = Values(r, V, desk.now)
    for step in scene.setup:
        if step[0] == "pick":
            for name, value in zip(step[1], r.choice(step[2])):
                if "{{" in value:
                    values.late.add(name)
                values.values[name] = values.say(value)
        elif step[0] == "mem":
            desk.memories.append(values.fill(step[1]))
        else:
            name = values.fill(step[1])
            slot = re.fullmatch(r"\{(\w+)=[^{}]*\}", step[1])
            if slot and r.random() < rename:
                name = new_path(r, V, name.rsplit(".", 1)[-1])
                values.values[slot.group(1)] = name
            lines = [values.fill(line) for line, optional in step[2] if not optional or r.random() < .6]
            parts = name.split("/")
            if name in desk.files or any("/".join(parts[:i]) in desk.files for i in range(1, len(parts))) or any(p.startswith(name + "/") for p in desk.files):
                raise Wrong(f"{scene.where}: there is {name} already")
            desk.files[name] = "\n".join(lines) + r.choice(("", "\n"))
    desk.memories += memories
    messages, results = [], 0
    for sign, what in scene.steps:
        if sign == ">":
            text = values.say(r.choice(what))
            x = r.random()
            told = any(len(v) > 1 and text.startswith(v) for v in values.values.values())  # a value stays as it is: calls copy it
            if x < .2 and text[:2] != "I " and text[0].isalpha() and text[1:2].islower() and not told:
                text = text[0].lower() + text[1:]
            if x < .15 or x > .85:
                text = text.rstrip(".?") if text.count(".") + text.count("?") < 2 else text
            messages.append({"role": "user", "content": text})
        elif sign == "<":
            messages.append({"role": "assistant", "content": values.say(r.choice(what))})
        else:
            calls, replies = [], []
            for (name, arguments, result), fails in what:
                arguments = {key: values.fill(value) for key, value in arguments.items()}
                arguments = {key: value for key, value in arguments.items() if value or key != "where"}  # `where={w}` where a pick has no condition
                if name in scene.own:
                    schema = scene.own[name]["parameters"]["properties"]
                    arguments = {key: typed(schema[key], value) for key, value in arguments.items()}
                    text = values.fill(result)
                else:
                    try:
                        text, failed = tools_twin.TWINS[name](arguments, desk), False
                    except tools_twin.ToolError as e:
                        text, failed = str(e), True
                    if failed != fails:
                        raise Wrong(f"{scene.where}: {name} {json.dumps(arguments)}: {'failed' if failed else 'did not fail'}: {text}")
                calls.append({"name": name, "arguments": arguments})
                replies.append({"role": "tool", "content": text})
                results += 1
                values.values["r"] = values.values[f"r{results}"] = text
            messages.append({"role": "assistant", "calls": calls})
            messages += replies
    return messages


REWORDED = [(scene, what) for scene in SCENES for sign, what in scene.steps if sign == ">" and len(what) > 1]


def two_wordings(r, V):
    """(a request of some scene, the same in other words, what it is about)."""
    while True:
        scene, wordings = r.choice(REWORDED)
        values = Values(r, V, datetime.datetime(2026, 5, 4, 10, 20, 30))
        try:
            for step in scene.setup:
                if step[0] == "pick":
                    for name, value in zip(step[1], r.choice(step[2])):
                        values.values[name] = values.say(value)
                elif step[0] == "mem":
                    values.fill(step[1])
                else:
                    values.fill(step[1] + " ".join(line for line, _ in step[2]))
            one, two = (values.say(text) for text in r.sample(wordings, 2))
            return one, two, f"{scene.where} {one}"
        except KeyError:  # it speaks of a result
            pass


def check(rounds):
    """Each scene many times: does it run, does it say what its results say?"""
    import random
    from values import Val
    bad = 0
    for scene in SCENES:
        try:
            if not scene.steps or scene.steps[0][0] != ">" or scene.steps[-1][0] != "<":
                raise Wrong(f"{scene.where}: a scene begins with > and ends with <")
            seen = [x[0] for x in scene.steps]
            if any(a == b != "!" or (a, b) == ("<", "!") or (a, b) == (">", ">") for a, b in zip(seen, seen[1:])):
                raise Wrong(f"{scene.where}: {' '.join(seen)}: is no order of turns")
            if scene.used & set(scene.without):
                raise Wrong(f"{scene.where}: calls what is not offered")
            for seed in range(rounds):
                r = random.Random(seed)
                try:
                    play(scene, r, Val(r), tools_twin.Desk(now=datetime.datetime(2026, 5, 4, 10, 20, 30)))
                except Wrong as e:
                    if "already" not in str(e):
                        raise
        except Exception as e:
            bad += 1
            print(e if isinstance(e, Wrong) else f"{scene.where}: {type(e).__name__}: {e}")
    labels = {}
    for scene in SCENES:
        labels[scene.label] = labels.get(scene.label, 0) + 1
    print(f"{len(SCENES)} scenes, {bad} wrong;", ", ".join(f"{k} {v}" for k, v in sorted(labels.items())))
    return bad


def show(count, seed):
    import random
    from values import Val
    r = random.Random(seed)
    for _ in range(count):
        scene = r.choice(SCENES)
        desk = tools_twin.Desk(now=datetime.datetime(2026, 5, 4, 10, 20, 30))
        try:
            messages = play(scene, r, Val(r), desk)
        except Wrong:
            continue
        print(f"---- {scene.where} {scene.label}")
        for m in messages:
            if "calls" in m:
                print("  ! " + "  ".join(f"{c['name']} {json.dumps(c['arguments'], ensure_ascii=False)}" for c in m["calls"]))
            else:
                print({"user": "> ", "assistant": "< ", "tool": "    "}[m["role"]] + m["content"])


if __name__ == "__main__":
    import sys
    if sys.argv[1:2] == ["show"]:
        show(int(sys.argv[2]) if len(sys.argv) > 2 else 20, int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    else:
        raise SystemExit(1 if check(int(sys.argv[1]) if len(sys.argv) > 1 else 40) else 0)
