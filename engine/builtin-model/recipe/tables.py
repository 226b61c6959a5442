"""Tables as people keep them, with natural questions: tables.txt and tables_more.txt, filled with random values."""
import os
import re

from desk_files import CSV_NAMES, make_path
from phrase import say, split
from values import CITY, MONTHS

HERE = os.path.dirname(os.path.abspath(__file__))


def load(*names):
    tables = []
    lines = []
    for name in names:
        with open(os.path.join(HERE, name)) as file:
            lines += file
    for line in lines:
        sign, rest = line[:1], line[2:].strip()
        if sign == "@":
            tables.append({"names": rest.split("|"), "questions": []})
        elif sign == "|":
            tables[-1]["columns"] = [c.strip().split(":", 1) for c in rest.split("|")]
        elif sign == "?":
            question, query, answer = rest.split(" => ")
            query, _, guess = query.partition(" ~ ")
            m = re.fullmatch(r"(\w+) (\w+)(?: where (.+))?", query.strip())
            tables[-1]["questions"].append({"say": question, "operation": m.group(1), "column": m.group(2), "where": m.group(3), "guess": guess.strip(), "answer": answer})
    return tables


TABLES = load("tables.txt", "tables_more.txt")


def cell(r, V, kind):
    if "/" in kind:
        return r.choice(kind.split("/"))
    if kind == "money":
        return f"{r.uniform(1, 900):.2f}" if r.random() < .6 else str(r.randint(1, 2000))
    if kind == "day":
        return f"2026-{r.randint(1, 12):02}-{r.randint(1, 28):02}"
    simple = {"small": lambda: str(r.randint(1, 6)), "int": lambda: str(r.randint(1, 480)), "age": lambda: str(r.randint(4, 88)), "tenths": lambda: f"{r.uniform(.1, 45):.1f}", "big": lambda: str(r.randint(9, 99) * 100), "year": lambda: str(r.randint(1998, 2026)),
              "clock": lambda: f"{r.randint(5, 22)}:{r.randint(0, 59):02}", "person": V.person, "first": V.first, "word": V.word, "noun": lambda: V.word() if r.random() < .5 else V.pick_noun(), "city": lambda: r.choice(CITY),
              "id": lambda: r.choice((V.t_id()[0], V.digits(4), V.nonce(1).upper() + V.digits(3))), "title": lambda: V.t_title()[0], "weekday": lambda: V.t_weekday()[0], "plant": lambda: V.t_plant()[0], "task": lambda: V.t_task()[0]}
    return str(simple[kind]())


def draw(r, V):
    """(path, text, question, operation, column, where or None, the question's own word for the column or "", answer with {r})."""
    table = r.choice(TABLES)
    columns = table["columns"]
    extra = r.random() < .2
    rows, seen = [], set()
    for _ in range(r.choice((3, 4, 5, 5, 6, 8, 10, 12))):
        row = [cell(r, V, kind) for _, kind in columns]
        if any("," in x or '"' in x for x in row) or ("/" not in columns[0][1] and row[0] in seen):
            continue
        seen.add(row[0])
        rows.append(row)
    if len(rows) < 2:
        return None
    q = r.choice(table["questions"])
    shown = dict(zip([c for c, _ in columns], r.choice(rows)))
    where = q["where"].format(**shown) if q["where"] else None
    head = [c for c, _ in columns]
    if extra:
        head, rows = head + ["note"], [row + [V.word()] for row in rows]
    if r.random() < .3:  # columns in another order
        order = list(range(len(head)))
        r.shuffle(order)
        head, rows = [head[i] for i in order], [[row[i] for i in order] for row in rows]
    separator = ";" if r.random() < .12 else ","
    text = "\n".join(separator.join(x) for x in [head] + rows) + r.choice(("", "\n"))
    path = make_path(r, V, table["names"] if r.random() < .7 else CSV_NAMES, ["csv"])
    return path, text, say(r, q["say"], **shown), q["operation"], q["column"], where, q["guess"], q["answer"].replace("{r}", "\0").format(**shown).replace("\0", "{r}")


BEST = ("[who|which {w}] has the [highest|most|largest] {c}|[which|what] {w} has the [highest|greatest|largest] {c}|whose {c} is the [highest|largest]|find the {w} with the [most|highest] {c}",
        "[who|which {w}] has the [lowest|least|smallest] {c}|[which|what] {w} has the [lowest|smallest] {c}|whose {c} is the [lowest|smallest]|find the {w} with the [lowest|least] {c}")


def draw_best(r, V):
    """(path, text, question, max or min, column, the column that says whose it is, answer with {w} and {r})."""
    table = r.choice(TABLES)
    numbers = [c for c, kind in table["columns"] if kind in ("money", "small", "int", "age", "tenths", "big")]
    head = [c for c, _ in table["columns"]]
    if not numbers or "/" in table["columns"][0][1] or table["columns"][0][1] in ("day", "weekday"):
        return None
    rows = []
    for _ in range(r.randint(3, 9)):
        row = [cell(r, V, kind) for _, kind in table["columns"]]
        if not any("," in x or '"' in x for x in row):
            rows.append(row)
    if len(rows) < 2:
        return None
    column, most = r.choice(numbers), r.random() < .65
    text = "\n".join(",".join(x) for x in [head] + rows) + r.choice(("", "\n"))
    path = make_path(r, V, table["names"] if r.random() < .7 else CSV_NAMES, ["csv"])
    question = say(r, r.choice(split(BEST[0 if most else 1])), w=head[0], c=column)
    return path, text, question, "max" if most else "min", column, head[0], "{w} has the " + ("highest " if most else "lowest ") + column + ", {r}."
