"""Practice in exact copying, the skill that every call needs: tools and values under names that no memory helps with, and drills.

`scramble(r, V, doc)` gives the tools of a conversation, their arguments and what is said other, random names everywhere at once, so that
only the copy of what stands above is right. `rare_words(r, V, doc)` does so with words that come out of a file or another result and are told again.
`other_files(r, V, doc)` gives files other names, words that nothing else in the conversation speaks of.
`document(r, V)` is a short conversation about a list or a table of random things.
`tokens(r)` is a document of random tokens in which what came before comes again in another order: nothing but copying predicts it.
"""
import copy
import datetime
import json
import re

import numpy as np

from render import DECIDED, NONE, calls_of
from unseen import style_name

# Words of the tools' own results and of dates, which mean something.
FIXED = set("""there such file column columns match matches rows where wrote saved read more than have this that with known unknown must mean nothing memory about found lines line bytes byte error
    monday tuesday wednesday thursday friday saturday sunday january february march april june july august september october november december true false null""".split())
FIRST_TOKEN, TOKENS_END = 256, 8176  # ordinary text: behind the single bytes, before the special tokens


# ---- other names ----

def words_of(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", re.sub(r"[^A-Za-z0-9]", " ", name)).split()


def other_word(r, V):
    return V.nonce() if r.random() < .25 else V.word()


def other_name(r, V, name, keep):
    """The name with some of its words replaced and sometimes one more; each word stays with probability `keep`."""
    words = words_of(name)
    out = [w if r.random() < keep else other_word(r, V) for w in words]
    if out == words or r.random() < .25:
        out.insert(r.randint(0, len(out)), other_word(r, V))
    return style_name(out[:4], r)


def replace(text, table):
    """Every whole occurrence of a key of `table`, at once."""
    if not table:
        return text
    pattern = "|".join(re.escape(k) for k in sorted(table, key=len, reverse=True))
    return re.sub(rf"(?<![\w]){pattern if len(table) == 1 else '(?:' + pattern + ')'}(?![\w])", lambda m: table[m.group(0)], text)


def phrase(r, V):
    """One to four random words as a person may write a name, a title or a code."""
    x = r.random()
    if x < .12:
        return V.nonce().upper()[:4] + r.choice(("-", "", "/")) + V.digits(r.randint(2, 5))
    words = [other_word(r, V) for _ in range(r.choice((1, 1, 2, 2, 3, 4)))]
    return " ".join(w.capitalize() for w in words) if x < .55 else " ".join(words)


def scramble(r, V, doc, names=.5, values=.25):
    """A copy of the conversation in which tools and arguments (with probability `names`) and the texts that a call copies from a request
    (with probability `values`) have other names. What a name must still tell, because no description does, keeps part of its words."""
    names, values = r.random() < names, r.random() < values
    if not doc.get("tools") or not (names or values):
        return doc
    doc = copy.deepcopy(doc)
    said = "\n".join(m.get("content") or "" for m in doc["messages"] if m["role"] != "user")
    calls = [c for m in doc["messages"] for c in calls_of(m)]
    if any("pieces" in m for m in doc["messages"]) or any(not isinstance(c["arguments"], dict) for c in calls):
        return doc
    if names:
        in_text = {}
        for tool in doc["tools"]:
            old, told = tool["name"], bool(tool.get("description"))
            plain = re.fullmatch(r"[a-z]+", old)
            if r.random() < .8 and not (plain and re.search(rf"\b{old}\b", said)):
                new = other_name(r, V, old, .35 if told else .75)
                if new not in [t["name"] for t in doc["tools"]]:
                    tool["name"] = new
                    if not plain:
                        in_text[old] = new
            properties = tool["parameters"].get("properties", {})
            table = {}
            for key, schema in properties.items():
                spoken = " ".join(words_of(key)).lower() in said.lower()
                if spoken or r.random() > .5:
                    continue
                new = other_name(r, V, key, .3 if schema.get("description") else .8)
                if new not in properties and new not in table.values():
                    table[key] = new
            tool["parameters"]["properties"] = {table.get(k, k): v for k, v in properties.items()}
            if "required" in tool["parameters"]:
                tool["parameters"]["required"] = [table.get(k, k) for k in tool["parameters"]["required"]]
            for call in calls:
                if call["name"] == old and not call.get("done"):
                    call["name"], call["done"] = tool["name"], True
                    call["arguments"] = {table.get(k, k): v for k, v in call["arguments"].items()}
        for call in calls:
            call.pop("done", None)
        for message in doc["messages"]:
            if message["role"] != "user" and message.get("content"):
                message["content"] = replace(message["content"], in_text)
    if values:
        users = "\n".join(m["content"] for m in doc["messages"] if m["role"] == "user")
        fixed = {v for t in doc["tools"] for p in t["parameters"].get("properties", {}).values() for v in p.get("enum", []) if isinstance(v, str)}
        table = {}
        for call in calls:
            for value in call["arguments"].values():
                if (isinstance(value, str) and 3 <= len(value) <= 60 and value not in fixed and re.fullmatch(r"\w.*\w", value) and re.search(r"[A-Za-z]{3}", value)
                        and not re.search(r"\d\d[:-]\d\d|[\\\"/\n]", value) and re.search(rf"(?<!\w){re.escape(value)}(?!\w)", users) and r.random() < .8):
                    table.setdefault(value, phrase(r, V))
        for message in doc["messages"]:
            if message.get("content"):
                message["content"] = replace(message["content"], table)
            for call in calls_of(message):
                call["arguments"] = {k: table.get(v, v) if isinstance(v, str) else v for k, v in call["arguments"].items()}
    return doc


def rare_words(r, V, doc, share=.3):
    """In `share` of the conversations one to three words that a result brings and the assistant repeats become other words, everywhere: what
    is copied then is what stands there, not what would be likely."""
    if r.random() > share or not doc.get("tools") or any("pieces" in m for m in doc["messages"]):
        return doc
    asked, brought, told = [], [], []
    for m in doc["messages"]:
        (asked if m["role"] == "user" else brought if m["role"] == "tool" else told).append(m.get("content") or "")
        for call in calls_of(m):
            if not isinstance(call["arguments"], dict):
                return doc
            told.append(json.dumps(call["arguments"], ensure_ascii=False))
    words = lambda texts: set(re.findall(r"(?<![\w./-])[A-Za-z][a-z]{3,}(?![\w./-])", "\n".join(texts)))
    known = {w.lower() for w in words(asked) | words([json.dumps(doc["tools"]), doc.get("sys") or ""])}
    common = [w for w in words(brought) & words(told) if w.lower() not in known and w.lower() not in FIXED and not w.endswith("ed")]
    if not common:
        return doc
    table = {}
    for w in r.sample(sorted(common), min(len(common), r.choice((1, 1, 2, 3)))):
        new = r.choice((V.word, V.word, V.word, V.nonce, V.last))()
        table[w] = new[:1].upper() + new[1:] if w[0].isupper() else new.lower() if r.random() < .9 else new
    doc = copy.deepcopy(doc)
    for m in doc["messages"]:
        if m.get("content"):
            m["content"] = replace(m["content"], table)
        for call in calls_of(m):
            call["arguments"] = {k: replace(v, table) if isinstance(v, str) else [replace(x, table) if isinstance(x, str) else x for x in v] if isinstance(v, list) else v
                                 for k, v in call["arguments"].items()}
    return doc


FILE = re.compile(r"(?<![\w.-])([A-Za-z][\w-]*)(\.(?:txt|md|csv|json|jsonl|log|conf|cfg|ini|toml|ya?ml|lua|tsv|html))(?!\w)")


def other_files(r, V, doc, share=.35):
    """In `share` of the conversations the files, each with probability .8, are called by a word that has nothing to do with what they hold:
    what is opened and written then is the name that was said. A file that is spoken of in other ways too keeps its name."""
    if r.random() > share or not doc.get("tools") or any("pieces" in m for m in doc["messages"]):
        return doc
    calls = [c for m in doc["messages"] for c in calls_of(m)]
    if any(not isinstance(c["arguments"], dict) for c in calls):
        return doc
    texts = [m.get("content") or "" for m in doc["messages"]] + [json.dumps(c["arguments"], ensure_ascii=False) for c in calls] + [json.dumps(doc["tools"])]
    whole = "\n".join(texts)
    if re.search(r"did you mean|no such|not found|there is no|no file|not exist|unknown", whole, re.I):  # another name was near enough
        return doc
    rest = FILE.sub(" ", whole).lower()
    names = sorted({m.group(0) for m in FILE.finditer(whole)})
    table = {}
    for name in names:
        stem, ending = FILE.fullmatch(name).groups()
        if any(len(w) > 2 and w.lower() in rest for w in [stem, *re.split(r"[_-]", stem)]) or sum(stem == FILE.fullmatch(n).group(1) for n in names) > 1 or r.random() > .8:
            continue
        new = other_word(r, V) if r.random() < .75 else r.choice("_-").join(other_word(r, V) for _ in range(2))
        if re.fullmatch(r"[A-Za-z][\w-]*", new) and new + ending not in names and new + ending not in table.values():
            table[name] = new + ending
    if not table:
        return doc
    other = lambda text: FILE.sub(lambda m: table.get(m.group(0), m.group(0)), text)
    within = lambda v: other(v) if isinstance(v, str) else [within(x) for x in v] if isinstance(v, list) else {k: within(x) for k, x in v.items()} if isinstance(v, dict) else v
    doc = copy.deepcopy(doc)
    for m in doc["messages"]:
        if m.get("content"):
            m["content"] = other(m["content"])
        for call in calls_of(m):
            call["arguments"] = within(call["arguments"])
    return doc


# ---- drills ----

def thing(r, V, kind):
    if kind == "file":
        return V.path() if r.random() < .3 else V.fname()
    if kind == "code":
        return V.t_code()[0]
    if kind == "number":
        return str(r.choice((r.randint(0, 99), r.randint(0, 99999), round(r.uniform(0, 999), 2), round(r.uniform(0, 99), 1))))
    if kind == "person":
        return V.person()
    if kind == "key":
        return style_name([other_word(r, V) for _ in range(r.choice((1, 2, 2, 3)))], r)
    return phrase(r, V)


def things(r, V, kind, n):
    out = []
    while len(out) < n:
        x = thing(r, V, kind)
        if x not in out and "," not in x:
            out.append(x)
    return out


def and_list(items):
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def as_json(r, items):
    """The same word is spelt with other tokens behind a quote than behind a space: both ways must be known of every word."""
    some = r.sample(items, r.randint(1, min(3, len(items))))
    names = r.sample(("name", "value", "item", "text", "path", "query", "title", "what"), len(some))
    return ((f"As a JSON list: {and_list(some)}", json.dumps(some)), ("All of them as a JSON list", json.dumps(items)), (f'"{some[0]}" without quotes', some[0]),
            (f"As JSON with {and_list(names)}: {and_list(some)}", json.dumps(dict(zip(names, some)))), (f"Put {some[0]} in quotes", json.dumps(some[0])),
            (f"Call it with {names[0]} {some[0]}", json.dumps({"arguments": {names[0]: some[0]}})), (f"Spell {some[0]} as one word on a line", some[0]))


def dates(r):
    """(question, answer) about a date as the tool `now` writes it."""
    day = datetime.date(2020, 1, 1) + datetime.timedelta(days=r.randrange(5000))
    time = f"{r.randint(0, 23):02}:{r.randint(0, 59):02}:{r.randint(0, 59):02}"
    shown = r.choice((f"{day:%A}, {day} {time} +0000", f"{day:%A}, {day} {time} +0000", str(day), f"{day} {time[:5]}"))
    asked = [("Which month?", f"It is {day:%B}."), ("What month is it?", f"It is {day:%B}."), ("In words?", f"{day.day} {day:%B} {day.year}."), ("Month and year?", f"{day:%B} {day.year}."), ("The year?", f"It is {day.year}."),
             ("Only the date.", f"{day}"), ("Day of the month?", f"It is the {day.day}."), ("The month before?", f"{day.replace(day=1) - datetime.timedelta(days=1):%B}."), ("The next month?", f"{day.replace(day=28) + datetime.timedelta(days=5):%B}.")]
    if shown[0].isalpha():
        asked += [("Which weekday?", f"It is {day:%A}."), ("Tomorrow?", f"Tomorrow is {day + datetime.timedelta(days=1):%A}."), ("Yesterday?", f"Yesterday was {day - datetime.timedelta(days=1):%A}.")]
    if ":" in shown:
        asked += [("The time?", f"It is {time[:5]}."), ("The hour?", f"It is {int(time[:2])}.")]
    return shown, r.sample(asked, r.randint(1, 3))


NTH = "first second third fourth fifth sixth seventh eighth ninth tenth".split()


def document(r, V):
    messages = []

    def turn(user, assistant):
        messages.extend(({"role": "user", "content": user}, {"role": "assistant", "content": assistant}))

    x = r.random()
    if x < .08:
        shown, asked = dates(r)
        for i, (question, answer) in enumerate(asked):
            turn(f"{shown}\n{question}" if i == 0 else question, answer)
    elif x < .52:  # a list
        items = things(r, V, r.choice(("file", "file", "code", "number", "person", "key", "phrase")), r.randint(2, 10))
        shown = r.choice((", ", "\n", "\n- ", "; ", " ")) if not any(" " in x for x in items) else r.choice((", ", "\n", "\n- "))
        text = ("- " if shown == "\n- " else "") + shown.join(items)
        head = r.choice(("Here is a list:\n", "", "", "The names:\n", "I have these:\n"))
        for n in range(r.randint(1, 4)):
            k = r.randrange(len(items))
            task, answer = r.choice(as_json(r, items) if r.random() < .4 else (
                ("Repeat them, with commas.", ", ".join(items)), ("Write them one per line.", "\n".join(items)), ("Which are there?", f"There are {and_list(items)}."),
                (f"Which is the {NTH[k]}?", f"The {NTH[k]} is {items[k]}."), ("Which is the last?", f"The last is {items[-1]}."), ("What is the first?", f"The first is {items[0]}."),
                (f"What comes after {items[k - 1]}?" if k else "What comes first?", items[k] + "."), ("Repeat them backwards, with commas.", ", ".join(items[::-1])),
                ("How many are there?", f"There are {len(items)}: {and_list(items)}."), ("Say them.", and_list(items) + "."),
                ("All but the first.", and_list(items[1:]) + "."), (f"All but {items[k]}.", and_list([x for x in items if x != items[k]] or items) + "."), ("The last two.", and_list(items[-2:]) + "."), ("The first two.", and_list(items[:2]) + "."),
                ("As a sum.", " + ".join(items)), ("Joined by plus signs.", " + ".join(items)), ("Every one of them, numbered.", "\n".join(f"{i}. {x}" for i, x in enumerate(items, 1))), ("Which of them is the longest?", max(items, key=len) + "."),
                (f"Which begin with {items[k][0]}?", and_list([x for x in items if x[0] == items[k][0]]) + "."),
            ))
            turn((head + text + "\n" + task if r.random() < .6 else f"{task}\n{text}") if n == 0 else task, answer)
    else:  # a table
        n = r.randint(2, 9)
        keys, values = things(r, V, "key" if r.random() < .6 else "phrase", n), things(r, V, r.choice(("phrase", "number", "code", "person", "file", "phrase")), n)
        form = r.choice(("{k}: {v}", "{k} = {v}", "{k}={v}", "{k},{v}", "- {k}: {v}", '"{k}": "{v}"', "{k} | {v}"))
        lines = [form.format(k=k, v=v) for k, v in zip(keys, values)]
        text = "{" + ", ".join(lines) + "}" if form[0] == '"' and r.random() < .7 else "\n".join(lines)
        for n in range(r.randint(1, 4)):
            i, j = r.sample(range(len(keys)), 2)
            task, answer = r.choice((
                (f"What is {keys[i]}?", f"{keys[i]} is {values[i]}."), (f"{keys[i]}?", values[i]), (f"Which has {values[i]}?", f"{keys[i]}."),
                (f"What are {keys[i]} and {keys[j]}?", f"{keys[i]} is {values[i]} and {keys[j]} is {values[j]}."), (f"Give me {keys[i]} and {keys[j]}.", f"{keys[i]}: {values[i]}\n{keys[j]}: {values[j]}"),
                (f"Quote the line with {keys[i]}.", lines[i]), ("List the names.", and_list(keys) + "."), ("Only the values, with commas.", ", ".join(values)),
                (f"{keys[i]} and {values[j]}: what belongs to each?", f"{keys[i]} is {values[i]} and {keys[j]} is {values[j]}."),
                (f"Quote the {NTH[i]} line.", lines[i]), (f"What is {keys[i].lower()}?", f"{keys[i]} is {values[i]}."),
            ))
            turn(r.choice((f"{text}\n{task}", f"{task}\n{text}", f"{text}\n\n{task}")) if n == 0 else task, answer)
    return {"sys": None, "tools": [], "messages": messages}


def tokens(r):
    """uint16, packed as pack.py does. Strings of random tokens, each told again one to three times, in any order; what is learned of a
    repetition is what its first token or two decide."""
    random = np.random.default_rng(r.getrandbits(32))
    few = random.integers(FIRST_TOKEN, TOKENS_END, random.integers(20, 400)) if random.random() < .5 else None  # then tokens come in several strings
    draw = lambda n: random.choice(few, n) if few is not None else random.integers(FIRST_TOKEN, TOKENS_END, n)
    strings = [draw(random.integers(3, 18)) for _ in range(random.integers(3, 60))]
    mark = random.integers(FIRST_TOKEN, TOKENS_END, 2)
    parts = []
    first = np.arange(len(strings))
    later = random.permutation(np.repeat(first, random.integers(1, 4)))
    for at, i in enumerate(np.concatenate([first, later])):
        s = strings[i]
        again = at >= len(strings)
        learned = np.zeros(len(s) + 1, np.uint16)
        if again:
            learned[2 if few is None else 3:len(s)] = 1
        parts.append(np.append(s, mark[0]).astype(np.uint16) | np.where(learned > 0, DECIDED, NONE).astype(np.uint16) << np.uint16(13))
    out = np.concatenate(parts)[:2000]
    return out
