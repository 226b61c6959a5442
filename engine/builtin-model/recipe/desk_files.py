"""Files of a made-up workspace, each with what can be asked about it.

`make_file(r, kind)` gives a File: path, text, and by kind
  facts    [(phrase "the deadline", value, key)]          what read_file can answer
  items    [(name, number as written, number)]            lists of prices and amounts
  table    (columns, rows) of a CSV file
"""
import json
from dataclasses import dataclass, field

from values import Val, CITY, FOODS, MONTHS, TASKS, FIRST


@dataclass
class File:
    path: str
    text: str
    kind: str
    topic: str = ""
    facts: list = field(default_factory=list)
    items: list = field(default_factory=list)
    columns: list = field(default_factory=list)
    rows: list = field(default_factory=list)
    unit: str = ""


KEYS = [tuple(x.split(":")) for x in (
    "deadline:date budget:amount owner:person contact:email phone:phone city:city version:version status:status port:int(80,9999) host:host "
    "price:money size:int(1,900) color:color code:code author:person room:venue start:date end:date language:lang license:license priority:level "
    "progress:percent manager:person customer:company address:address url:url name:title title:title reference:id order_number:id quantity:int(1,500) "
    "weight:weight country:country date:date time:time email:email branch:branch model:code serial:code supplier:company department:word category:word "
    "location:place guests:int(2,300) menu:product speaker:person topic:topic timeout:int(1,600) retries:int(0,9) user:username token:hash path:path "
    "temperature:temp capacity:int(1,2000) length:int(1,500) height:int(1,300) width:int(1,300) material:word brand:company stock:int(0,999) "
    "total:money deposit:money discount:pctint rent:money salary:bigmoney bank:company account:id flight:code gate:code seat:code hotel:company "
    "driver:person doctor:person teacher:person team:team captain:person score:score winner:person sponsor:company album:title artist:person "
    "genre:word year:year pages:int(10,900) publisher:company editor:person summary:sentence note:sentence next_step:task reason:phrase "
    "password:code pin:int(1000,9999) theme:word mode:word level:int(1,99) workers:int(1,64) database:word backup:path domain:domain region:city "
    "crew:int(1,12) altitude:int(100,9000) latitude:coord speed:int(5,300) fuel:word battery:pctint voltage:int(3,400) chairman:person venue:venue").split()]
STATUS = "open|closed|late|done|blocked|on hold|in review|approved|cancelled|draft|finished|delayed".split("|")
LICENSE = "MIT|Apache-2.0|GPL-3.0|BSD-3-Clause|CC BY 4.0|proprietary".split("|")
LEVEL = "low|medium|high|urgent|normal".split("|")
TOPIC_WORDS = "project|trip|party|workshop|release|server|order|contract|study|garden|house|team|course|concert|shop|meeting|club|device".split("|")
BASES = ("notes|readme|todo|info|details|plan|memo|summary|report|data|list|draft|config|settings|contact|journal|minutes|agenda|profile|log|"
         "project|offer|order|invoice|budget|schedule|overview|facts|spec|status|team|trip|recipe|inventory|letter|about|main|index").split("|")
FOLDERS = ("docs|data|notes|src|config|archive|reports|2024|2025|2026|old|backup|private|work|home|projects|finance|logs|inbox|drafts|shared|"
           "photos|music|letters|club|school|tax|travel|recipes|clients|team|assets|misc|january|q1|q3|final|tmp|input|output|out").split("|")
TEXT_ENDINGS = "txt|txt|txt|txt|md|md|text|log|org|rst|note|dat".split("|")
PRICE_NAMES = "prices|expenses|costs|bills|shopping|receipt|items|cart|payments|orders|invoice|budget|groceries|purchases|fees|sales|income|donations|amounts|values|numbers|totals|hours|points|scores|weights".split("|")
CSV_NAMES = "sales|expenses|orders|inventory|people|staff|products|scores|trips|measurements|members|books|payments|stock|students|games|runs|sensors|visits|weather|votes|bookings|shifts|hours|tasks".split("|")


def base_name(r, V, words):
    x = r.random()
    if x < .45:
        return r.choice(words)
    if x < .6:
        return V.word()
    if x < .7:
        return V.nonce()
    if x < .8:
        return r.choice(words) + r.choice("_-") + r.choice((V.word(), str(r.randint(1, 2030)), V.nonce()))
    if x < .9:
        return V.word() + r.choice("_-") + r.choice(words)
    return r.choice(words) + str(r.randint(1, 99))


def folder_name(r, V):
    return r.choice(FOLDERS) if r.random() < .7 else r.choice((V.word(), V.nonce(), V.word() + "-" + V.word()))


def make_path(r, V, words, endings, depth=None):
    if depth is None:
        depth = r.choices((0, 1, 2), (66, 27, 7))[0]
    name = base_name(r, V, words)
    if r.random() < .06:
        name = name.capitalize()
    elif r.random() < .03:
        name = name.upper()
    elif r.random() < .02:
        name = name + " " + r.choice(words)
    return "/".join([folder_name(r, V) for _ in range(depth)] + [name + "." + r.choice(endings)])


def value_of(r, V, kind):
    """A value as it stands in a file."""
    if kind == "date":
        return V.date()[r.random() < .4]
    if kind == "amount":
        return f"{V.t_bigmoney()[0]} {r.choice(('EUR', 'USD', 'euros', 'dollars', 'CHF', 'GBP'))}" if r.random() < .6 else str(V.t_bigmoney()[0])
    if kind == "money":
        v = V.t_money()[0]
        return r.choice((f"{v:.2f}", f"{v:.2f} EUR", f"${v:.2f}")) if isinstance(v, float) else r.choice((str(v), f"{v} EUR", f"${v}"))
    if kind == "status":
        return r.choice(STATUS)
    if kind == "license":
        return r.choice(LICENSE)
    if kind == "level":
        return r.choice(LEVEL)
    if kind == "percent":
        return f"{r.randint(0, 100)}%"
    if kind == "weight":
        return f"{r.randint(1, 90)} kg"
    if kind == "sentence":
        return V.sentence().rstrip(".")
    if kind == "path":
        return make_path(r, V, BASES, TEXT_ENDINGS, r.randint(0, 2))
    return str(V.v(kind)[0])


def facts_file(r, V):
    keys = r.sample(KEYS, r.choice((1, 2, 3, 3, 4, 4, 5, 6, 8)))
    facts = [[key.replace("_", " "), value_of(r, V, kind)] for key, kind in keys]
    topic = r.choice((f"{V.word()} {r.choice(TOPIC_WORDS)}", f"{V.nonce().capitalize()}", f"{V.word().capitalize()} {r.choice(TOPIC_WORDS)}"))
    style = r.choice(("colon", "colon", "colon", "equals", "dash", "title", "sentences", "sentences", "json", "yaml", "ini", "stars", "mixed", "owned"))
    endings, extra = TEXT_ENDINGS, []
    if style == "json":
        endings = ["json"]
        data = {}
        for key, value in facts:
            number = value.replace(".", "", 1)
            data[key.replace(" ", "_")] = (float(value) if "." in value else int(value)) if number.isdigit() and (value == "0" or value[0] != "0") else value
        if r.random() < .3:
            data = {topic.replace(" ", "_").lower(): data}
        text = json.dumps(data, ensure_ascii=False, indent=r.choice((None, None, 2, 4)))
        facts = [[k, str(json.loads(json.dumps(v))) if not isinstance(v, str) else v] for k, v in zip([f[0] for f in facts], (data if len(data) > 1 or topic.replace(" ", "_").lower() not in data else data[topic.replace(" ", "_").lower()]).values())]
    else:
        lines = []
        for key, value in facts:
            if style == "equals":
                line = f"{key.replace(' ', '_')} = {value}"
            elif style == "dash":
                line = f"- {key}: {value}"
            elif style == "title":
                line = f"{key.capitalize()}: {value}"
            elif style == "yaml":
                line, endings = f"{key.replace(' ', '_')}: {value}", ["yaml", "yml"]
            elif style == "ini":
                line, endings = f"{key.replace(' ', '_')}={value}", ["ini", "conf", "cfg", "env"]
            elif style == "stars":
                line, endings = f"**{key.capitalize()}**: {value}", ["md"]
            elif style == "sentences" or (style == "mixed" and r.random() < .5):
                line = r.choice((f"The {key} is {value}.", f"The {key} of the {topic} is {value}.", f"{topic}: the {key} is {value}."))
            elif style == "owned":
                line = f"The {key} of the {topic} is {value}."
            else:
                line = f"{key}: {value}"
            lines.append(line)
        if style == "ini" and r.random() < .6:
            lines.insert(0, f"[{V.word()}]")
        if style in ("colon", "dash", "title", "sentences", "mixed", "stars") and r.random() < .4:
            lines.insert(0, r.choice((f"# {topic.capitalize()}", f"{topic.capitalize()}", f"{topic.capitalize()} notes", V.sentence(), f"Notes on the {topic}", "")))
        if style in ("colon", "sentences", "mixed", "title") and r.random() < .35:
            lines.insert(r.randint(0, len(lines)), V.sentence())
        text = (" " if style == "sentences" and r.random() < .3 else "\n").join(lines)
    path = make_path(r, V, BASES if r.random() < .8 else [topic.split()[0].lower()], endings)
    return File(path, text, "facts", topic, [("the " + k, v, k) for k, v in facts])


UNITS = ("", "", "", " EUR", " euros", " USD", " kg", " hours", " min", " points", " km")


def items_file(r, V):
    n = r.choice((2, 3, 3, 3, 4, 4, 5, 5, 6, 7, 8))
    names = set()
    while len(names) < n:
        names.add(r.choice((r.choice(FOODS), V.word(), V.pick_noun(), V.word() + " " + V.pick_noun(), V.first(), r.choice(MONTHS), V.word())))
    names, style = list(names), r.choice(("cents", "cents", "int", "mixed", "tenths", "big"))
    r.shuffle(names)
    unit, separator = r.choice(UNITS), r.choice((": ", ": ", ": ", " - ", " = ", " ", ", ", "\t", " .... "))
    items = []
    for name in names:
        s = style if style != "mixed" else r.choice(("cents", "int", "tenths"))
        number = {"cents": f"{r.uniform(.2, 99):.2f}", "int": str(r.randint(1, 200)), "tenths": f"{r.uniform(.1, 60):.1f}", "big": str(r.randint(200, 9000))}[s]
        items.append((name, number, float(number) if "." in number else int(number)))
    mark = "$" if not unit and separator != ", " and r.random() < .15 else ""
    bullet = r.choice(("", "", "", "", "- ", "* "))
    lines = [f"{bullet}{name}{separator}{mark}{number}{unit}" for name, number, _ in items]
    if r.random() < .12:
        lines.insert(0, r.choice(("Shopping list", "Prices", "# Costs", "To pay", V.sentence())))
    if r.random() < .08 and not lines[0].startswith("#"):
        lines = [number + unit for _, number, _ in items]
        items = [("", number, x) for _, number, x in items]
    path = make_path(r, V, PRICE_NAMES, ["txt", "txt", "txt", "md", "list", "dat"])
    return File(path, "\n".join(lines) + r.choice(("", "", "\n")), "items", "", [], items, unit=unit.strip())


WORD_COLUMNS = {"category": "food|travel|rent|books|fun|tools|health|gifts|clothes|office|energy|repair", "status": "open|paid|late|done|new|sent|cancelled",
                "city": "|".join(CITY[:60]), "color": "red|blue|green|black|white|yellow|grey", "team": "red|blue|sales|support|east|west|alpha|beta",
                "type": "small|large|basic|premium|single|double|day|night", "region": "north|south|east|west|center", "room": "kitchen|attic|garage|office|cellar|bath",
                "department": "sales|engineering|finance|support|legal|design", "day": "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday",
                "month": "|".join(MONTHS), "grade": "A|B|C|D", "country": "France|Italy|Japan|Kenya|Peru|Norway|Spain|Chile|India|Canada", "gender": "f|m", "level": "low|medium|high"}
NUMBER_COLUMNS = ("amount:cents price:cents quantity:int total:cents age:age hours:tenths score:int weight:tenths distance:int cost:cents points:int stock:int "
                  "temperature:int minutes:int salary:big pages:big votes:big units:int rating:tenths revenue:big profit:big visitors:big kilometers:int fee:cents "
                  "tickets:int calories:big goals:int wins:int budget:big speed:int humidity:int power:big tax:cents height:int year:year rainfall:tenths").split()
NAME_COLUMNS = ("name:person item:product product:product customer:person title:title date:date employee:person student:person id:id code:code sensor:host "
                "book:title supplier:company player:person member:person description:phrase task:task event:phrase").split()


def csv_cell(r, V, kind):
    if kind == "cents":
        return f"{r.uniform(1, 300):.2f}"
    if kind == "tenths":
        return f"{r.uniform(0, 60):.1f}"
    if kind == "int":
        return str(r.randint(0, 150))
    if kind == "age":
        return str(r.randint(4, 90))
    if kind == "big":
        return str(r.randint(100, 9000))
    if kind == "year":
        return str(r.randint(1950, 2027))
    if "|" in kind:
        return r.choice(kind.split("|"))
    if kind == "date":
        return V.date()[0]
    return str(V.v(kind)[0]).replace(",", "").replace(";", "").replace('"', "")


def csv_file(r, V):
    columns = [tuple(x.split(":")) for x in r.sample(NAME_COLUMNS, r.choice((1, 1, 1, 2)))]
    words = r.sample(list(WORD_COLUMNS), r.choice((0, 1, 1, 1, 2)))
    columns += [(w, "|".join(r.sample(WORD_COLUMNS[w].split("|"), min(len(WORD_COLUMNS[w].split("|")), r.randint(2, 4))))) for w in words]
    columns += [tuple(x.split(":")) for x in r.sample(NUMBER_COLUMNS, r.choice((1, 1, 2, 2, 3)))]
    if r.random() < .15:
        word = V.word()
        if word not in [name for name, _ in columns]:  # else it would be taken for the other column, and there may be no number left
            columns[-1] = (word, columns[-1][1])
    if r.random() < .3:
        r.shuffle(columns)
    seen, unique = set(), []
    for name, kind in columns:
        if name not in seen:
            seen.add(name)
            unique.append((name, kind))
    columns = unique
    style = r.random()
    if style < .1:
        columns = [(n.capitalize(), k) for n, k in columns]
    elif style < .2:
        columns = [(r.choice((n + "_" + V.word(), V.word() + "_" + n)) if r.random() < .4 else n, k) for n, k in columns]
    rows = [[csv_cell(r, V, kind) for _, kind in columns] for _ in range(r.choice((2, 3, 4, 5, 6, 7, 8, 10, 12)))]
    separator = r.choice((",", ",", ",", ",", ",", ";", "\t"))
    text = "\n".join(separator.join(row) for row in [[n for n, _ in columns]] + rows) + r.choice(("", "\n"))
    return File(make_path(r, V, CSV_NAMES, ["csv"]), text, "table", columns=columns, rows=rows)


def todo_file(r, V):
    tasks = list({V.t_task()[0] if r.random() < .5 else r.choice((f"{r.choice(('send', 'read', 'buy', 'fix', 'clean', 'order', 'check', 'paint', 'sort', 'write'))} the {V.word()} {r.choice(('', V.pick_noun()))}".strip(), f"ask {r.choice(FIRST)} about the {V.pick_noun()}")) for _ in range(r.randint(2, 6))})
    mark = r.choice(("- ", "- ", "* ", "- [ ] ", "", "", "{}. "))
    lines = [(mark.format(i + 1) if "{" in mark else mark) + t for i, t in enumerate(tasks)]
    return File(make_path(r, V, ["todo", "tasks", "list", "plan", "checklist", "chores", "errands", "next"], ["txt", "md", "txt"]), "\n".join(lines), "todo", items=[(t, "", 0) for t in tasks])


def prose_file(r, V):
    sentences = [V.sentence().rstrip(".") + "." for _ in range(r.randint(1, 5))]
    return File(make_path(r, V, BASES + ["story", "letter", "quote", "poem", "message", "article"], TEXT_ENDINGS), r.choice((" ", "\n", "\n\n")).join(sentences), "prose")


def log_file(r, V):
    lines = []
    for _ in range(r.randint(3, 8)):
        level = r.choice(("INFO", "INFO", "WARN", "ERROR", "DEBUG"))
        lines.append(f"{V.date()[0]} {r.randint(0, 23):02d}:{r.randint(0, 59):02d} {level} " + r.choice((V.sentence(), f"{V.word()} {V.pick_noun()} {r.choice(('started', 'failed', 'stopped', 'is slow', 'not found', 'timed out'))}", f"{V.t_service()[0]}: {V.phrase()}")))
    return File(make_path(r, V, ["app", "server", "error", "system", "events", "access", "run", "build"], ["log", "log", "txt"]), "\n".join(lines), "log")


MAKERS = {"facts": facts_file, "items": items_file, "table": csv_file, "todo": todo_file, "prose": prose_file, "log": log_file}


def make_file(r, V, kind=None):
    return MAKERS[kind or r.choices(list(MAKERS), (34, 22, 20, 9, 9, 6))[0]](r, V)


if __name__ == "__main__":
    import random
    r = random.Random(2)
    for _ in range(12):
        f = make_file(r, Val(r))
        print("=====", f.path, f.facts)
        print(f.text)
