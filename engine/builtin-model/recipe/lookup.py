"""Conversations in which everything hangs on finding one thing among several like it: the record that was asked for in a file, in what
recall brings, in a tool's result; the value of an enumeration, the tool and the column that were named; what an error says is right.
Keys and values are drawn at random, so neither what is likely nor where it stands helps, only what the request says.

relations/*.txt (packed: xzcat shows them) hold what records may say, block by block:
  @ name ; k KIND ; v KIND    what the records are about, what each holds: a kind of KINDS, or values separated by |
  : line                      how a record is written down, with {k} and {v}
  ? question / = answer       for {v};  ?? question / == answer  for {k}, when that can be asked
  title, file, tool           what a file of them holds; words for its name; NAME ; DESCRIPTION ; ARGUMENT ; ITS DESCRIPTION
`lookup.py` checks them, `lookup.py show 5 SEED` prints conversations.
"""
import glob
import json
import lzma
import os
import re
import string

import desk_tasks
import drill
from desk_tasks import BUILTIN, NotNow, Tasks, content_words, sentence
from phrase import say
from unseen import plural, style_name
from values import CITY, COLORS, FOODS, MONTHS, ROOMS, Val

HERE = os.path.dirname(os.path.abspath(__file__))
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
KINDS = {
    "person": Val.person, "first": Val.first, "day": lambda V: V.pick(DAYS), "month": lambda V: V.pick(MONTHS), "room": lambda V: V.pick(ROOMS),
    "city": lambda V: V.pick(CITY), "animal": lambda V: V.t_animal()[0], "thing": Val.pick_noun, "plant": lambda V: V.t_plant()[0],
    "code": lambda V: V.t_code()[0], "number": lambda V: str(V.r.choice((V.r.randint(2, 40), V.r.randint(10, 999), V.r.randint(1000, 99999)))),
    "time": lambda V: f"{V.r.randint(0, 23):02}:{V.r.choice((0, 15, 30, 45, V.r.randint(0, 59))):02}", "date": lambda V: f"{V.r.randint(1, 28)} {V.pick(MONTHS)}",
    "word": Val.word, "company": lambda V: V.t_company()[0], "street": Val.address, "money": lambda V: f"{V.r.uniform(1, 400):.2f}",
    "amount": lambda V: f"{V.r.randint(2, 900)} {V.pick('kg g litres metres cm km minutes hours pieces boxes bags percent degrees'.split())}",
    "phone": lambda V: V.t_phone()[0], "colour": lambda V: V.pick(COLORS), "food": lambda V: V.pick(FOODS),
}
FEW = ("day", "month", "colour", "room")  # kinds with so few values that other words would not do


class Relation:
    def __init__(self, where, name):
        self.where, self.name, self.lines, self.asks, self.backs = where, name, [], [], []
        self.k = self.v = self.answer = self.back_answer = self.title = self.files = self.tool = None

    def problems(self):
        missing = [n for n in ("k", "v", "answer", "title", "files", "tool") if not getattr(self, n)] + ([] if self.lines and self.asks else ["lines"])
        if missing or bool(self.backs) != bool(self.back_answer):
            return f"missing: {missing or 'one of ?? and =='}"
        for texts, there in ((self.lines + [self.answer] + [self.back_answer or self.answer], "kv"), (self.asks, "k"), (self.backs, "v")):
            for text in texts:
                if {f for _, f, _, _ in string.Formatter().parse(text) if f is not None} != set(there):
                    return f"{text}: expected {there} in braces"
        if len(self.tool) != 4 or not re.fullmatch(r"[a-z]\w*", self.tool[0] + self.tool[2]):
            return f"tool: expected NAME ; DESCRIPTION ; ARGUMENT ; ITS DESCRIPTION, found {self.tool}"
        return None


def values_of(text):
    return text if text in KINDS else [x.strip() for x in text.split("|") if x.strip()]


def load(path):
    relations = []
    with (lzma.open(path, "rt", encoding="utf-8") if path.endswith(".xz") else open(path, encoding="utf-8")) as file:
        for number, line in enumerate(file, 1):
            sign, _, rest = line.strip().partition(" ")
            rest = rest.strip()
            if not sign or sign[0] == "#":
                continue
            if sign == "@":
                relations.append(Relation(f"{os.path.basename(path)}:{number}", rest))
                continue
            relation = relations[-1]
            if sign in ("k", "v"):
                setattr(relation, sign, values_of(rest))
            elif sign in (":", "?", "??"):
                {":": relation.lines, "?": relation.asks, "??": relation.backs}[sign].append(rest.rstrip("?") if sign != ":" else rest)
            elif sign in ("=", "=="):
                setattr(relation, "answer" if sign == "=" else "back_answer", rest)
            elif sign == "title":
                relation.title = rest
            elif sign == "file":
                relation.files = [re.sub(r"\W+", "_", x.strip().lower()) for x in rest.split("|")]
            elif sign == "tool":
                relation.tool = [x.strip() for x in rest.split(" ; ")]
            else:
                raise SystemExit(f"{path}:{number}: {sign!r} begins no line of a relation")
    return relations


RELATIONS = [x for path in sorted(glob.glob(os.path.join(HERE, "relations", "*.txt*"))) for x in load(path)]


def made(r, V):
    """A relation of random words: any thing may have anything."""
    relation = Relation("made", "made")
    a, kind = (r.choice((V.pick_noun, V.word, V.nonce, V.word))() for _ in range(2))
    if r.random() < .25:
        a = V.pick_adj() + " " + a
    relation.k = r.choice(("person", "first", "word", "thing", "company", "city", "code", [kind + " " + x for x in "A B C D E F G H".split()], [kind + f" {i}" for i in range(1, 30)]))
    relation.v = r.choice(("word", "number", "time", "code", "date", "amount", "money", "person", "food", "day", "thing", "city"))
    relation.lines = [f"The {a} of {{k}} is {{v}}.", f"{{k}} has {{v}} as {a}.", f"{a} of {{k}}: {{v}}", f"{{k}}, {a} {{v}}", f"{{v}} is the {a} of {{k}}."]
    relation.asks = [f"what is the {a} of {{k}}", f"which {a} does {{k}} have", f"{a} of {{k}}", f"what's the {a} for {{k}}", f"what {a} has {{k}}", f"what is {{k}}'s {a}"]
    relation.answer = f"The {a} of {{k}} is {{v}}."
    relation.backs = [f"which one has the {a} {{v}}", f"whose {a} is {{v}}", f"which has {{v}} as {a}"]
    relation.back_answer = f"{{k}} has the {a} {{v}}."
    relation.title = r.choice((f"the {a} of each {kind}", f"every {kind} with its {a}", f"our list of {a}"))
    relation.files = [re.sub(r"\W+", "_", a.lower()), kind.lower()]
    relation.tool = [re.sub(r"\W+", "_", f"{r.choice(('get', 'show', 'find', 'tell', 'lookup', 'query'))}_{a}".lower()), f"Get the {a} of a {kind}.", r.choice(("name", "of", "which", re.sub(r"\W+", "_", kind.lower()), "id")), f"Name of the {kind}"]
    relation.a, relation.kind = a, kind
    return relation


def drawn(r, V, kind, rare):
    """One value of a kind. Of an own list: another word in `rare` of the cases, with other digits always."""
    if isinstance(kind, str):
        x = KINDS[kind](V)
        return drill.phrase(r, V) if kind not in FEW and r.random() < rare / 2 else x
    x = r.choice(kind)
    if r.random() < rare:
        head = re.match(r"(the |a |an )?", x).group(0)
        word = V.word() if r.random() < .8 else V.nonce()
        if head == "an ":
            return x
        rest = x[len(head):].split(" ")
        rest[-1 if r.random() < .6 else 0] = word.capitalize() if rest[-1][:1].isupper() else word
        x = head + " ".join(rest)
    return re.sub(r"\d+", lambda m: V.digits(len(m.group(0))), x)


def records(r, V, relation, n=None):
    """[(k, v)], no two alike in one of them."""
    n = n or r.choice((2, 2, 3, 3, 3, 4, 4, 5, 6, 8, 12))
    if isinstance(relation.k, list):
        n = min(n, len(relation.k) - 1)
    if relation.k == "day":
        n = min(n, 7)
    rare = r.choice((0, .3, .6))
    out, tries = [], 0
    while len(out) < n and tries < 200:
        tries += 1
        k, v = drawn(r, V, relation.k, rare / 2), drawn(r, V, relation.v, rare)
        if all(k.lower() != a.lower() and v.lower() != b.lower() and k.lower() not in a.lower() and a.lower() not in k.lower() for a, b in out) and k.lower() != v.lower():
            out.append((k, v))
    if len(out) < 2:
        raise NotNow
    if relation.k == "day" and r.random() < .7:
        out.sort(key=lambda x: DAYS.index(x[0]) if x[0] in DAYS else 9)
    return out


def capital(text):
    return text[0].upper() + text[1:]


def laid_out(r, relation, pairs, words, told=None):
    """The records as a text. words: what a table's columns could be called. told: gets the sentences, by key, where they are sentences."""
    x = r.random()
    if x < .5:
        lines = relation.lines if r.random() < .2 else [r.choice(relation.lines)]
        lines = {k: capital(r.choice(lines).format(k=k, v=v)) for k, v in pairs}
        if told is not None:
            told.update(lines)
        return (r.choice(("\n", "\n", "\n", " ")) if r.random() < .4 else "\n").join(lines.values())
    if x < .56:
        return json.dumps(dict(pairs), ensure_ascii=False, indent=r.choice((None, 1, 2)))
    if x < .62 and not any("," in a + b for a, b in pairs):
        return "\n".join(f"{a},{b}" for a, b in [words, *pairs])
    if x < .67:
        return "\n".join(f"| {a} | {b} |" for a, b in [words, *pairs])
    if x < .73 and not any(";" in a + b or "," in a + b for a, b in pairs):
        return r.choice(("; ", ", ")).join(f"{a}: {b}" for a, b in pairs)
    form = r.choice(("{k}: {v}", "{k}: {v}", "{k}: {v}", "{k} - {v}", "- {k}: {v}", "{k} = {v}", "{k}={v}", "{k}, {v}", "* {k}: {v}", "{v} ({k})", "{k} ... {v}", "{k}\t{v}", "{K}: {v}", "{k}:\n  {v}", "{v}: {k}"))
    return "\n".join(form.format(k=k, v=v, K=k.upper()) for k, v in pairs)


class Lookups(Tasks):
    """The same conversations as the desk's, of other tasks."""

    SCENES = 0
    AMONG = (1, 2, 3, 4, 6), (22, 20, 20, 18, 20)  # tasks in a conversation
    TASKS = [("one_file", 26), ("two_files", 9), ("in_memory", 14), ("tool_table", 8), ("tool_enum", 11), ("tools_alike", 12), ("tool_key", 18), ("mapped", 14), ("reformed", 8), ("two_tools", 10),
             ("file_then_tool", 6), ("search_pick", 7), ("csv_condition", 24), ("act_and_tell", 14), ("no_arguments", 7), ("missing_argument", 14), ("no_file", 5), ("write_list", 10), ("list_names", 5)]
    NAMES, WEIGHTS = [t for t, _ in TASKS], [w for _, w in TASKS]

    def relation(self):
        return self.r.choice(RELATIONS) if RELATIONS and self.chance(.72) else made(self.r, self.V)

    def words(self, relation):
        return (relation.tool[2], relation.tool[0].split("_")[-1])

    def asked(self, text):
        """A question as it is typed."""
        text = capital(text) if self.chance(.55) else text
        return text + "?" if self.chance(.75) and text[-1] not in ".?!" else text

    def file_of(self, relation, pairs):
        """The path of a new file of the records; self.told: its sentences by key, where it holds sentences."""
        path = self.new_path(relation.files if self.chance(.75) else [self.V.word()], ("txt", "md", "txt", "txt", "log", "lst"))
        self.told = {}
        text = laid_out(self.r, relation, pairs, self.words(relation), self.told)
        if self.chance(.15):
            text = capital(relation.title) + self.r.choice((":\n", "\n\n", "\n")) + text
        elif self.chance(.08):
            text = self.V.sentence() + "\n" + text
        self.desk.files[path] = text + self.r.choice(("\n", ""))
        return path

    def said(self, relation, k, v, told=None, back=False):
        """The answer: the sentence that was read; else of a made relation the question turned round, of others what was asked for and no
        more, since how a person would put it cannot be known from what stands there."""
        if told and k in told:
            return sentence(told[k])
        if relation.where == "made":
            return capital((relation.back_answer if back else relation.answer).format(k=k, v=v))
        return sentence(k if back else v)

    def question(self, relation, pairs, at, told=None):
        """(question, answer) about one record."""
        k, v = pairs[at]
        back = bool(relation.backs) and self.chance(.22)
        return self.r.choice(relation.backs if back else relation.asks).format(k=k, v=v), self.said(relation, k, v, told, back)

    OF_FILE = ("{q}? [Look in|See|Read|It is in|It stands in|Check] {f}|{q}, by {f}|{q} according to {f}|according to {f}, {q}|{f}: {q}|in {f}: {q}|{q}[, says|: see] {f}|read {f}[:| and tell me] {q}|look [in|into] {f}[:| and say] {q}|{f} has {t}. {Q}|"
               "{t} [are|stand] in {f}. {Q}|I keep {t} in {f}. {Q}|there is {f} with {t}. {Q}|[please|can you] check {f}[:|,] {q}|from {f}: {q}|tell me from {f}, {q}")

    def ask_file(self, relation, path, question):
        template = self.pick(self.OF_FILE)
        text = say(self.r, template, q=question, Q=capital(question), f=self.named(path), t=relation.title)
        self.user(self.asked(text))

    def follow(self, relation, pairs, but, told=None, share=.68):
        left = [i for i in range(len(pairs)) if i != but]
        while left and self.chance(share):
            at = left.pop(self.r.randrange(len(left)))
            if self.chance(.4):
                self.user(say(self.r, "[and|and what about|what about|and for|now] {k}[?|]", k=pairs[at][0]))
                self.tell(self.said(relation, *pairs[at], told))
            else:
                question, answer = self.question(relation, pairs, at, told)
                self.user(self.asked(self.r.choice(("", "", "and ", "now ", "also, ")) + question))
                self.tell(answer)

    # ---- files ----

    def one_file(self):
        self.need("read_file")
        relation = self.relation()
        pairs = records(self.r, self.V, relation)
        unknown = pairs.pop(self.r.randrange(len(pairs))) if len(pairs) > 2 and self.chance(.1) else None
        path = self.file_of(relation, pairs)
        at = self.r.randrange(len(pairs))
        question, answer = self.question(relation, pairs, at, self.told) if not unknown else (self.r.choice(relation.asks).format(k=unknown[0]), f"{path} says nothing about {unknown[0]}.")
        self.ask_file(relation, path, question)
        self.call("read_file", path=path)
        self.tell(answer)
        self.follow(relation, pairs, at, self.told)

    def two_files(self):
        """The same things in two files."""
        self.need("read_file")
        r = self.r
        relation = self.relation()
        one = records(r, self.V, relation)
        other = [(k, drawn(r, self.V, relation.v, .5)) for k, _ in one]
        if any(a[1] == b[1] for a, b in zip(one, other)):
            raise NotNow
        first = self.file_of(relation, one)
        if self.chance(.3):
            r.shuffle(other)
        second = self.file_of(relation, other)
        at = r.randrange(len(one))
        k, v = one[at]
        w = dict(other)[k]
        question = r.choice(relation.asks).format(k=k)
        text = say(r, self.pick("{q} in {a}, and [what |]in {b}|{q}: in {a} and in {b}|{q}? [Compare|Look in both,|I need it from] {a} and {b}|look [in|into] {a} and {b}: {q} in [each|both]|{a} and {b} [both|] have {t}. {Q} in [each|the two]"), q=question, Q=capital(question), a=first, b=second, t=relation.title)
        self.user(self.asked(text))
        if self.chance(.75):
            self.calls(("read_file", {"path": first}), ("read_file", {"path": second}))
        else:
            self.call("read_file", path=first)
            self.call("read_file", path=second)
        self.tell(r.choice((f"In {first} it is {v}, in {second} it is {w}.", f"It is {v} in {first} and {w} in {second}.", f"{capital(v)} in {first}, {w} in {second}.")))
        left = [i for i in range(len(one)) if i != at]
        while left and self.chance(.6):
            k, v = one[left.pop(r.randrange(len(left)))]
            w = dict(other)[k]
            x = r.random()
            if x < .4:
                self.user(say(r, "[and|and what about|what about|and for|now] {k}[?|]", k=k))
                self.tell(f"It is {v} in {first} and {w} in {second}.")
            else:
                path, value = (first, v) if x < .7 else (second, w)
                self.user(self.asked(say(r, "[and |now |][in|according to] {f}, {q}", q=r.choice(relation.asks).format(k=k), f=path).strip()))
                self.tell(self.said(relation, k, value))

    def no_file(self):
        """The file is not there, and none of the others is meant."""
        self.need("read_file")
        for _ in range(self.r.randint(1, 4)):
            relation = self.relation()
            self.file_of(relation, records(self.r, self.V, relation))
        relation = self.relation()
        pairs = records(self.r, self.V, relation)
        path = self.new_path(relation.files if self.chance(.6) else [self.V.word()])
        self.ask_file(relation, path, self.r.choice(relation.asks).format(k=pairs[0][0]))
        if "did you mean" in self.call("read_file", path=path):
            raise NotNow
        self.say("[There is no file {f}.|There is no {f} here.|{f} does not exist.]", f=path)

    def list_names(self):
        self.need("list_files")
        r = self.r
        folder = desk_tasks.folder_name(r, self.V) if self.chance(.4) else self.V.word()
        names = sorted({(self.V.word() if self.chance(.7) else self.V.nonce()) + r.choice((".txt", ".md", ".csv", "")) for _ in range(r.randint(1, 5))}, key=str.encode)
        if any(p == folder or p.startswith(folder + "/") or folder.startswith(p + "/") for p in self.desk.files):
            raise NotNow
        for name in names:
            self.desk.files[f"{folder}/{name}"] = self.V.sentence() + "\n"
        if self.chance(.4):
            self.fill_folder(1)
        self.ask_any("[name|list|show|tell me|give me] [all |]the files in [the folder |]{d}|what [is|do we have] in [the folder |]{d}|which files are in [the folder |]{d}|be so kind and name the files in [the folder |]{d}|what does the folder {d} [hold|contain]|"
                     "I'd like to know what is in {d}|what files [lie|are there] in {d}|the files of {d}", d=folder)
        if self.call("list_files", path=folder) != "\n".join(names):
            raise NotNow
        self.tell(r.choice((f"In {folder} there {'is' if len(names) == 1 else 'are'} {drill.and_list(names)}.", f"{folder} has {drill.and_list(names)}.", drill.and_list(names) + ".")))

    def write_list(self):
        """Words that were said, on lines of a file."""
        self.need("write_file")
        r, V = self.r, self.V
        items = []
        while len(items) < r.randint(2, 6):
            x = r.choice((V.word, V.word, lambda: V.pick(FOODS), V.nonce, V.first, lambda: drill.phrase(r, V), V.pick_noun))()
            if x not in items and not re.search(r"[,\"\\]", x):
                items.append(x)
        path = self.new_path()
        self.ask_any("[make|create|write|save] [a file|the file|a list|] {f} with {i}[ in it|, one per line|, each on its own line|]|[write|put|note] {i} [to|in|into] {f}[, one per line|]|put [these|this] in {f}: {i}|{f} should [have|list] {i}[, one per line|]|[start|make] a list in {f}: {i}",
                     f=path, i=drill.and_list(items))
        self.call("write_file", path=path, content="\n".join(items) + ("\n" if self.chance(.15) else ""))
        self.tell(r.choice((f"I wrote {drill.and_list(items)} to {path}.", f"{path} now lists {drill.and_list(items)}.", f"I wrote it to {path}.")))

    def search_pick(self):
        """Lines with a word from several files; one of them says what was asked."""
        self.need("search_files")
        first = self.relation()
        pairs = records(self.r, self.V, first)
        at = self.r.randrange(len(pairs))
        k = pairs[at][0]
        self.file_of(first, pairs)
        for _ in range(self.r.randint(0, 2)):  # the same name in other files
            relation = self.relation()
            others = records(self.r, self.V, relation)
            if type(relation.k) is not type(first.k) or relation.k != first.k:
                others[0] = (k, others[0][1]) if isinstance(first.k, str) and isinstance(relation.k, str) else others[0]
            self.r.shuffle(others)
            self.file_of(relation, others)
        question, answer = self.r.choice(first.asks).format(k=k), self.said(first, k, pairs[at][1])
        self.user(self.asked(say(self.r, self.pick("search [my|the] files[:| and tell me] {q}|{q}? [Search for it|It is in one of the files|Look through the files|Some file says it]|[look|search] for {k} in [my|the] files: {q}|find out from the files {q}|in one of my files it says {q}"), q=question, k=k)))
        found = self.call("search_files", query=k)
        if pairs[at][1] not in found or len(found) > 900:
            raise NotNow
        self.tell(answer)

    # ---- memory ----

    def in_memory(self):
        self.need("recall")
        r = self.r
        relation = self.relation()
        pairs = records(r, self.V, relation, r.choice((1, 2, 2, 3, 3, 4)) + 1)
        if self.chance(.12):  # what is asked for was never said
            k = pairs.pop()[0]
            question, answer, at = r.choice(relation.asks).format(k=k), r.choice((f"I don't remember anything about {k}.", "I do not remember that.", "My memory has nothing about that.")), None
            if r.random() < .4:
                pairs = []
        else:
            at = r.randrange(len(pairs))
        lines = [r.choice(relation.lines)] if self.chance(.7) else relation.lines
        told = {k: capital(r.choice(lines).format(k=k, v=v)) for k, v in pairs[:4]}
        facts = list(told.values())
        if at is not None:
            question, answer = self.question(relation, pairs, at, told)
        if at is not None and at > 3:
            raise NotNow
        for _ in range(r.choice((0, 0, 1, 2))):
            if len(facts) < 5:
                other = self.relation()
                k, v = records(r, self.V, other)[0]
                if at is not None and isinstance(relation.k, str) and other.k == relation.k and self.chance(.7):
                    k = pairs[at][0]
                facts.append(capital(r.choice(other.lines).format(k=k, v=v)))
        r.shuffle(facts)
        if self.chance(.5):
            facts = [f.rstrip(".") for f in facts]
        self.desk.memories = facts
        text = question
        if self.chance(.25):
            text = say(r, "[do you remember|do you know|remind me|I told you:|from memory:|look in your memory:|what was it:|can you recall] {q}", q=question)
        self.user(self.asked(text))
        self.call("recall", query=content_words(question))
        self.tell(answer)
        if at is not None:
            left = [i for i in range(len(pairs[:4])) if i != at]
            while left and self.chance(.6):
                i = left.pop(r.randrange(len(left)))
                question, answer = self.question(relation, pairs, i, told)
                self.user(self.asked(r.choice(("and ", "")) + question))
                if self.chance(.5):
                    self.call("recall", query=content_words(question))
                self.tell(answer)

    # ---- tools of one's own ----

    def offer(self, name, description, properties):
        """A tool more; its final name. properties: {argument: schema or description}."""
        name = style_name(name.split("_"), self.r) if self.chance(.2) else name
        if name in BUILTIN or name in [s["name"] for s in self.extras] or name in [d[0] for d in self.disguise.values()]:
            raise NotNow
        properties = {k: {"type": "string", "description": v} if isinstance(v, str) else v for k, v in properties.items()}
        if self.chance(.12):
            for schema in properties.values():
                if "enum" not in schema and len(schema) > 1:
                    schema.pop("description", None)
        schema = {"name": name, "description": description, "parameters": {"type": "object", "properties": properties}}
        if properties:
            schema["parameters"]["required"] = list(properties)
        self.extras.append(schema)
        return name

    def own_call(self, name, args, result):
        self.messages.append({"role": "assistant", "calls": [{"name": name, "arguments": args}]})
        self.messages.append({"role": "tool", "content": result})

    def near(self, n):
        """Other people's tools beside the one that is meant."""
        for _ in range(n):
            other = self.relation()
            try:
                self.offer(other.tool[0], other.tool[1], {other.tool[2]: other.tool[3]})
            except NotNow:
                pass

    def result_of(self, relation, pair):
        k, v = pair
        x = self.r.random()
        if x < .45:
            return v
        if x < .65:
            return capital(self.r.choice(relation.lines).format(k=k, v=v))
        fields = [(self.words(relation)[1], v)]
        for _ in range(self.r.randint(1, 3)):
            key = self.V.word() if self.chance(.6) else self.V.pick_noun()
            if key not in dict(fields):
                fields.append((key, self.r.choice((self.V.word, lambda: KINDS["number"](self.V), lambda: KINDS["date"](self.V), self.V.person))()))
        self.r.shuffle(fields)
        if self.chance(.4):
            return json.dumps(dict(fields), ensure_ascii=False)
        return self.r.choice((", ", "\n", "; ")).join(f"{a}: {b}" for a, b in fields)

    def typed(self, question):
        x = self.r.random()
        if x < .2:
            question = say(self.r, "[I want to know|tell me|can you tell me|could you look up|I need to know|do you know|hi,|hello,|quick question:|somebody asks|find out|please tell me|let me know] {q}", q=question)
        return self.asked(question)

    def tool_key(self):
        relation = self.relation()
        pair = records(self.r, self.V, relation, 2)[0]
        name = self.offer(relation.tool[0], relation.tool[1], {relation.tool[2]: relation.tool[3]})
        self.near(self.r.choice((0, 0, 1, 2, 3, 5)))
        self.user(self.typed(self.r.choice(relation.asks).format(k=pair[0])))
        self.own_call(name, {relation.tool[2]: pair[0]}, self.result_of(relation, pair))
        self.tell(self.said(relation, pair[0], pair[1]))
        if self.chance(.25):
            k, v = records(self.r, self.V, relation, 2)[1]
            if k != pair[0]:
                self.user(say(self.r, "[and|and what about|what about|and for] {k}[?|]", k=k) if self.chance(.5) else self.typed(self.r.choice(relation.asks).format(k=k)))
                self.own_call(name, {relation.tool[2]: k}, v)
                self.tell(self.said(relation, k, v))

    def tool_table(self):
        """A tool that gives all of them; one is asked for."""
        relation = self.relation()
        pairs = records(self.r, self.V, relation)
        word = self.r.choice(relation.files)
        name = self.offer(self.r.choice(("list_{}", "show_{}", "all_{}", "{}_list", "{}_table", "get_{}")).format(word), self.r.choice(("Give {}.", "Show {}.", "List {}.", "Returns {}.", "Read {}.")).format(relation.title), {})
        self.near(self.r.choice((0, 1, 2)))
        at = self.r.randrange(len(pairs))
        told = {}
        result = laid_out(self.r, relation, pairs, self.words(relation), told)
        question, answer = self.question(relation, pairs, at, told)
        self.user(self.typed(question))
        self.own_call(name, {}, result)
        self.tell(answer)
        self.follow(relation, pairs, at, told)

    def attributes(self, n):
        """n different words that a thing can have."""
        out = []
        while len(out) < n:
            x = self.r.choice((self.V.pick_noun, self.V.word, self.V.word, self.V.nonce, lambda: self.r.choice("pressure speed height weight voltage humidity depth length colour owner price age status level size temperature width power date place reason number name time cost".split())))().lower()
            if x not in out and re.fullmatch(r"[a-z]+", x):
                out.append(x)
        return out

    def tool_enum(self):
        """The argument is one of a few words, and the request says which."""
        r, V = self.r, self.V
        words = self.attributes(r.choice((2, 2, 3, 3, 4, 5)))
        thing = r.choice((f"machine {V.t_code()[0]}", f"the {V.word()}", f"{V.nonce().capitalize()}", f"the {V.pick_adj()} {V.pick_noun()}", V.person()))
        word = r.choice(words)
        argument = r.choice(("reading", "what", "field", "kind", "which", "value", "property", V.word().lower(), "mode", "topic"))
        properties, args = {argument: {"type": "string", "description": r.choice(("What to ask for", "Which value", "What is wanted", "One of them")), "enum": words}}, {argument: word}
        key = self.chance(.4)
        if key:
            name_of = r.choice(("name", "of", "id", "who"))
            properties[name_of] = f"Name of the {V.pick_noun()}"
            args[name_of] = re.sub(r"^the ", "", thing)
        listed = " or ".join([", ".join(f"the {w}" for w in words[:-1]), f"the {words[-1]}"])
        description = r.choice((f"Ask {thing} for {listed}.", f"Get {listed} of {thing}.", f"One value of {thing}.", f"Query {thing}.", f"Tells {listed}.")) if not key else r.choice((f"Get {listed} of one.", "One value of something.", "Query a thing by its name."))
        name = self.offer("_".join(x for x in (r.choice((V.word(), V.nonce(), "get", "ask", re.sub(r"\W+", "", thing.split(" ")[-1]))).lower(), r.choice(("query", "value", "info", "read", "ask", "status")))), description, properties)
        value = KINDS[r.choice(("number", "amount", "word", "time", "person", "date", "money"))](V)
        self.user(self.asked(say(r, self.pick("what is the {w} of {t}|what {w} has {t}|{w} of {t}|the foreman wants to know the {w} of {t}|tell me the {w} of {t}|I need the {w} of {t}|{t}: what is the {w}|[check|read|get|find out|ask for] the {w} of {t}|how about the {w} of {t}|which {w} does {t} have|[please give|show] me the {w} of {t}"), w=word, t=thing)))
        order = list(args)
        if self.chance(.5):
            order.reverse()
        self.own_call(name, {k: args[k] for k in order}, r.choice((value, value, f"{word}: {value}")))
        self.tell(f"The {word} of {thing} is {value}.")
        others = [w for w in words if w != word]
        if self.chance(.35):
            word = r.choice(others)
            value = KINDS[r.choice(("number", "amount", "word"))](V)
            self.user(say(r, "[and the {w}?|and {w}?|what about the {w}|now the {w}|the {w} too]", w=word))
            self.own_call(name, {k: word if k == argument else args[k] for k in order}, value)
            self.tell(f"The {word} of {thing} is {value}.")

    def tools_alike(self):
        """Tools of the same thing that differ in one word of their names or descriptions."""
        r, V = self.r, self.V
        kind = r.choice((V.pick_noun(), V.word(), V.nonce()))
        words = self.attributes(r.choice((2, 2, 3, 4)))
        key = r.choice((V.word().capitalize(), V.nonce().capitalize(), V.t_code()[0], V.person()))
        argument = r.choice((kind.lower(), "name", "id", "which"))
        argument = argument if re.fullmatch(r"[a-z]+", argument) else "name"
        told = self.chance(.7)
        names = {}
        for w in words:
            label = f"{kind}_{w}" if told or self.chance(.5) else f"{kind}_{V.nonce()}"
            names[w] = self.offer(re.sub(r"\W+", "_", label.lower()), r.choice((f"Get the {w} of a {kind}.", f"The {w} of a {kind}.", f"Look up the {w} of a {kind}.")), {argument: f"Name of the {kind}"})
        word = r.choice(words)
        if self.chance(.5):
            self.near(r.choice((1, 2, 4)))
        value = KINDS[r.choice(("number", "amount", "word", "person", "date", "city", "money", "company"))](V)
        self.user(self.typed(say(r, "[what is the {w} of {k}|what is the {w} of [the |]{n} {k}|{w} of {k}|which {w} has {k}|the {w} of {k} please|{k}'s {w}|what {w} does {n} {k} have|tell me the {w} of {k}]", w=word, k=key, n=kind)))
        self.own_call(names[word], {argument: key}, value)
        self.tell(f"The {word} of {key} is {value}.")
        if self.chance(.3):
            word = r.choice([w for w in words if w != word])
            value = KINDS[r.choice(("number", "word", "person"))](V)
            self.user(say(r, "[and the {w}?|and its {w}|what about the {w}|also the {w} please]", w=word))
            self.own_call(names[word], {argument: key}, value)
            self.tell(f"The {word} of {key} is {value}.")

    def mapped(self):
        """The first try is refused: the tool has names of its own for what people call otherwise."""
        r, V = self.r, self.V
        relation = self.relation()
        pairs = records(r, V, relation)[:5]
        letter, start = r.choice("ABCDKLMPRST"), r.randint(1, 40)
        codes = r.choice(([f"{letter}{i + start}" for i in range(len(pairs))], [V.t_code()[0] for _ in pairs], [V.nonce() for _ in pairs], [str(r.randint(100, 999)) for _ in pairs], [V.word() for _ in pairs]))
        if len(set(codes)) < len(codes):
            raise NotNow
        argument = relation.tool[2]
        name = self.offer(relation.tool[0], relation.tool[1], {argument: relation.tool[3]})
        at = r.randrange(len(pairs))
        k, v = pairs[at]
        both = [f"{c} ({p[0]})" for c, p in zip(codes, pairs)]
        noun = argument.replace("_", " ")
        error = r.choice((f"a {noun} is named {', '.join(both[:-1])} or {both[-1]}", f'unknown {noun} "{k}"; known: ' + ", ".join(both), "use the code: " + ", ".join(f"{p[0]} is {c}" for c, p in zip(codes, pairs)),
                          f"no {noun} {k}; there are " + ", ".join(f"{p[0]} = {c}" for c, p in zip(codes, pairs)), f"{k} is called {codes[at]} here", f'{argument}: expected one of ' + "; ".join(f"{c}: {p[0]}" for c, p in zip(codes, pairs)),
                          f"{noun} {k} not found. {drill.and_list(both)} are known.", f"the {noun} must be given by its number ({', '.join(f'{c} for {p[0]}' for c, p in zip(codes, pairs))})"))
        self.user(self.typed(r.choice(relation.asks).format(k=k)))
        self.own_call(name, {argument: k}, error)
        self.own_call(name, {argument: codes[at]}, r.choice((v, v, self.result_of(relation, (k, v)))))
        self.tell(self.said(relation, k, v))
        if len(pairs) > 1 and self.chance(.3):
            at = r.choice([i for i in range(len(pairs)) if i != at])
            if codes[at] in error:
                k, v = pairs[at]
                self.user(say(r, "[and|and what about|what about|and for] {k}[?|]", k=k))
                self.own_call(name, {argument: codes[at]}, v)
                self.tell(self.said(relation, k, v))

    def reformed(self):
        """The first try is refused because of how it is written."""
        r, V = self.r, self.V
        relation = self.relation()
        (k, v), (other, _) = records(r, V, relation, 2)[:2]
        how = r.choice(("capitals", "lower", "dashes", "prefix", "first", "last", "quotes", "suffix"))
        prefix = r.choice(("R-", "no. ", "the ", "#", V.nonce() + ":", "id:", V.t_code()[0] + "/"))
        change = {"capitals": str.upper, "lower": str.lower, "dashes": lambda x: re.sub(r" +", "-", x), "prefix": lambda x: prefix + x, "first": lambda x: x.split(" ")[0], "last": lambda x: x.split(" ")[-1],
                  "quotes": lambda x: f"'{x}'", "suffix": lambda x: x + prefix.strip().rstrip(":/-").join((".", ""))}[how]
        right = change(k)
        if right == k:
            raise NotNow
        noun = relation.tool[2].replace("_", " ")
        shown = change(other) if self.chance(.5) else right
        what = {"capitals": "in capitals", "lower": "in small letters", "dashes": "with dashes for spaces", "prefix": f'with "{prefix}" before it', "first": "by its first word", "last": "by its last word", "quotes": "in single quotes", "suffix": "with its ending"}[how]
        error = r.choice((f"write the {noun} {what}, such as {shown}", f"{noun}: must be given {what}, e.g. {shown}", f'"{k}" is not right: the {noun} is written {what}, like {shown}', f"expected the {noun} {what} ({shown})"))
        name = self.offer(relation.tool[0], relation.tool[1], {relation.tool[2]: relation.tool[3]})
        self.user(self.typed(r.choice(relation.asks).format(k=k)))
        self.own_call(name, {relation.tool[2]: k}, error)
        self.own_call(name, {relation.tool[2]: right}, v)
        self.tell(self.said(relation, k, v))

    def two_tools(self):
        """The result of one is the argument of the other."""
        r, V = self.r, self.V
        one, two = made(r, V), self.relation() if self.chance(.4) else made(r, V)
        k, via = records(r, V, one, 2)[0]
        v = drawn(r, V, two.v, .3)
        if one.a == getattr(two, "a", None):
            raise NotNow
        link = re.sub(r"\W+", "_", one.a.lower())
        first = self.offer(re.sub(r"\W+", "_", f"{link}_of"), f"Get the {one.a} of a {one.kind}.", {one.tool[2]: one.tool[3]})
        if two.where == "made":
            what = two.a
        else:
            what = self.words(two)[1]
        second = self.offer(re.sub(r"\W+", "_", f"{what}_of_{link}".lower()), r.choice((f"Get the {what} of a {one.a}.", f"The {what} that belongs to a {one.a}.")), {link: f"The {one.a}"})
        self.near(r.choice((0, 0, 1, 2)))
        self.user(self.typed(say(r, "[what is the {w} of the {a} of {k}|which {w} belongs to the {a} of {k}|{w} of {k}'s {a}|I need the {w} of the {a} of {k}|what {w} has {k} with that {a}|which {w} does {k} get by the {a}|find the {w} for {k}, by the {a}]", w=what, a=one.a, k=k)))
        self.own_call(first, {one.tool[2]: k}, via)
        self.own_call(second, {link: via}, v)
        self.tell(r.choice((f"The {what} is {v}.", f"The {what} of {k} is {v}.")))

    def file_then_tool(self):
        """A file says by what name the tool knows it."""
        self.need("read_file")
        r, V = self.r, self.V
        one, two = made(r, V), self.relation()
        pairs = records(r, V, one)
        k, via = r.choice(pairs)
        path = self.file_of(one, pairs)
        name = self.offer(two.tool[0], two.tool[1], {two.tool[2]: two.tool[3]})
        v = drawn(r, V, two.v, .3)
        self.user(self.asked(say(r, self.pick("{q}? [Its|The] {a} [stands|is] in {f}|take the {a} of {k} from {f} and tell me {p}|{f} has the {a} of {k}. With that, {p}|look up the {a} of {k} in {f}, then {p}"), q=r.choice(two.asks).format(k=f"the {one.a} of {k}"), p=r.choice(two.asks).format(k="it"), a=one.a, k=k, f=self.named(path))))
        self.call("read_file", path=path)
        self.own_call(name, {two.tool[2]: via}, v)
        self.tell(self.said(two, via, v))

    ACTS = [x.split(":") for x in ("log:logged|book:booked|reserve:reserved|order:ordered|send:sent|start:started|open:opened|add:added|plan:planned|move:moved|fill:filled|print:printed|ship:shipped|hire:hired|swap:swapped|clean:cleaned|repair:repaired|water:watered|weigh:weighed|"
                                   "register:registered|lend:lent|paint:painted|pack:packed|cancel:cancelled|load:loaded|park:parked|wrap:wrapped|call:called|feed:fed|check:checked|lock:locked|set:set").split("|")]

    def act_and_tell(self):
        """Something is done, and what the result brings is told: a number, a name, a time."""
        r, V = self.r, self.V
        verb, done = r.choice(self.ACTS)
        thing = r.choice((V.pick_noun, V.word, V.nonce))().lower()
        key = r.choice((V.person, lambda: V.word().capitalize(), lambda: V.t_code()[0], V.first))()
        count = str(r.randint(2, 90))
        with_count, argument = self.chance(.5), r.choice(("name", "for", "who", "which", "target", thing))
        argument = argument if re.fullmatch(r"[a-z]+", argument) else "name"
        properties = {argument: r.choice((f"Name for the {thing}", f"Whose {thing}", "Name"))}
        args = {argument: key}
        if with_count:
            number = r.choice(("count", "number", "how_many", "amount", plural(thing)))
            number = number if re.fullmatch(r"[a-z_]+", number) and number != argument else "count"
            properties[number] = {"type": "integer", "description": f"Number of {plural(thing)}"}
            args[number] = int(count)
        name = self.offer(re.sub(r"\W+", "_", f"{verb}_{thing}") if self.chance(.7) else f"{V.nonce()}_{verb}", f"{capital(verb)} {plural(thing)} for somebody." if with_count else f"{capital(verb)} a {thing}.", properties)
        self.near(r.choice((0, 0, 1, 2)))
        facts = []
        for what, kind in r.sample((("entry number", "number"), ("number", "number"), ("code", "code"), ("slot", "number"), ("place", "room"), ("time", "time"), ("price", "money"), ("helper", "first"), ("day", "day"), ("row", "number"), ("receipt", "code"), (V.word(), "word"), (V.nonce(), "number")), r.choice((1, 1, 2, 3))):
            facts.append((what, KINDS[kind](V)))
        want = r.choice(facts)
        result = r.choice((f"{done}: " + ", ".join(f"{a} {b}" for a, b in facts), f"{done} as {facts[0][0]} {facts[0][1]}" + "".join(f", {a} {b}" for a, b in facts[1:]), "; ".join(f"{a}: {b}" for a, b in facts), json.dumps(dict(facts)), f"ok, {done}. " + " ".join(f"{capital(a)}: {b}." for a, b in facts)))
        object_ = f"{count} {plural(thing)}" if with_count else f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}"
        ask = self.chance(.75)
        tail = say(r, self.pick("[and|, and] [tell me|give me|say] the {w}|. [What is|Which is|What's] the {w}?|[, I need|and I want] the {w}|. The {w}?|. [Then tell|Tell] me the {w}"), w=want[0]) if ask else ""
        tail = tail if tail[:1] in ".," else " " + tail
        self.user((capital if self.chance(.5) else str)(say(r, "[|please |can you |]{v} {o} for {k}", v=verb, o=object_, k=key)) + (tail if ask else ""))
        self.own_call(name, args, result)
        self.tell(f"The {want[0]} is {want[1]}." if ask and self.chance(.6) else f"I {done} {object_} for {key}; the {want[0]} is {want[1]}." if ask else f"I {done} {object_} for {key}.")

    def no_arguments(self):
        """Tools without arguments, told apart by what they say of themselves."""
        r, V = self.r, self.V
        chosen, n = [], r.choice((1, 1, 2, 3, 4))
        while len(chosen) < n:
            relation = self.relation()
            k, v = records(r, V, relation, 2)[0]
            wordings = r.sample(relation.asks, 2) if len(relation.asks) > 1 else relation.asks * 2
            label = r.choice((relation.tool[0], f"{V.word()}_{relation.tool[0].split('_')[-1]}", f"{V.nonce()}"))
            chosen.append((self.offer(re.sub(r"\W+", "_", label.lower()), r.choice((f"Tells {{}}.", "Answers: {}?", "Says {}.", "Returns {}.")).format(wordings[0].format(k=k)), {}), wordings[1].format(k=k), relation, k, v))
        name, question, relation, k, v = r.choice(chosen)
        if self.chance(.2):
            question = say(r, "[I wonder|tell me|do you know] {q}[ right now| now|]", q=question)
        self.user(self.typed(question))
        self.own_call(name, {}, v)
        self.tell(self.said(relation, k, v))

    def missing_argument(self):
        """Of what a tool needs all is said, or one thing is not."""
        r, V = self.r, self.V
        if self.chance(.45):  # a lookup: of what?
            relation = self.relation()
            k, v = records(r, V, relation, 2)[0]
            name, description, argument, about = relation.tool
            name = self.offer(name, description, {argument: about})
            what = description.rstrip(".")
            what = what[0].lower() + what[1:]
            self.near(r.choice((0, 0, 1)))
            if len(what) > 70:
                raise NotNow
            self.user(self.typed(say(r, "[{w}|{w} for me|{w}, please|I want to {w}|can you {w}|could you {w}]", w=what)).replace("?", r.choice(("?", ""))))
            noun = re.sub(r"^((the |a |an )?((full |first )?name|number|code|id|title|kind) of )?(the |a |an )?", "", about[0].lower() + about[1:])
            self.say("[Which {n}?|Which {n} do you mean?|For which {n}?|Which {n} is it?|What {n}?]", n=noun if len(noun) < 24 else argument.replace("_", " "))
            self.user(say(r, "[{k}|{k} please|it is {k}|the one of {k}|{k}, I mean]", k=k) if self.chance(.8) else r.choice(relation.asks).format(k=k))
            self.own_call(name, {argument: k}, v)
            self.tell(self.said(relation, k, v))
            return
        verb, done = r.choice(self.ACTS)
        thing = r.choice((V.pick_noun, V.word))().lower()
        slots = r.sample((("day", "day", "on {}"), ("time", "time", "at {}"), ("city", "city", "to {}"), ("person", "first", "for {}"), ("copies", "number", "{} times"), ("colour", "colour", "in {}"), ("price", "money", "for a price of {}"), ("room", "room", "in the {}"),
                          ("text", None, "with the text {}"), ("number", "number", "with the number {}"), ("company", "company", "at {}"), ("date", "date", "on {}"), ("amount", "amount", "of {}")), r.choice((1, 2, 2, 3)))
        about = {"day": "Day of the week", "time": "Time, such as 06:30", "city": "Name of the city", "person": "Name of the person", "copies": "How many copies", "colour": "The colour", "price": "The price", "room": "Which room", "text": "The text", "number": "Its number",
                 "company": "Name of the company", "date": "The date", "amount": "How much of it"}
        values = {a: KINDS[kind](V) if kind else drill.phrase(r, V) for a, kind, _ in slots}
        count = {"copies", "number"}
        as_arg = lambda a: int(values[a]) if a in count else values[a]
        name = self.offer(re.sub(r"\W+", "_", f"{verb}_{thing}"), r.choice((f"{capital(verb)} a {thing}.", f"{capital(verb)} the {thing}.")), {a: {"type": "integer" if a in count else "string", "description": about[a]} for a, _, _ in slots})
        missing = r.choice(slots)[0] if self.chance(.65) else None
        said = [form.format(values[a]) for a, _, form in slots if a != missing]
        r.shuffle(said)
        self.user((capital if self.chance(.5) else str)(say(r, "[please |can you |I want you to |could you |we need to |]{v} {o} {t}[ for me| please|, please|]", v=verb, o=f"{r.choice(('the', 'my', 'our', 'an' if thing[0] in 'aeiou' else 'a'))} {thing}", t=" ".join(said))).replace("  ", " "))
        if missing:
            self.tell(r.choice({"day": ("For which day?", "On which day?", "Which day?"), "time": ("At what time?", "For what time?", "When, at what time?"), "city": ("To which city?", "Which city?"), "person": ("For whom?", "Who is it for?", "For which person?"),
                                "copies": ("How many copies?", "How many do you need?"), "colour": ("In which colour?", "What colour?"), "price": ("What price?", "At what price?"), "room": ("In which room?", "Which room?"), "text": ("What should the text be?", "With what text?"),
                                "number": ("What number?", "Which number?"), "company": ("At which company?", "Which company?"), "date": ("On what date?", "Which date?"), "amount": ("How much?", "What amount?")}[missing]))
            self.user(say(r, "[{x}|{x} please|{x}, please|let's say {x}|make it {x}]", x=values[missing]))
        self.own_call(name, {a: as_arg(a) for a, _, _ in slots}, r.choice((done, f"{done}.", f"{thing} {done}", "ok")))
        self.tell(say(r, "[I {d} the {t}.|The {t} is {d}.|Done: the {t} is {d}.]", d=done, t=thing))

    # ---- tables ----

    NUMBER_COLUMNS = "minutes degrees price weight points hours amount age litres km score pages cups seats cost size height length visitors tickets goals kg watts liters stock count".split()
    WORD_COLUMNS = "animal colour city kind type status room team category day material owner month brand class taste shape origin state level".split()

    def csv_condition(self):
        """Operation, column and condition as they are said; without a condition there is none."""
        self.need("csv_query")
        r, V = self.r, self.V
        column = lambda names: r.choice(names) if self.chance(.65) else r.choice((V.word, V.nonce, V.pick_noun))().lower()
        names = []
        for kind in ["name"] + r.sample(["word", "number", "word", "number", "number"], r.choice((1, 1, 2, 3))):
            x = column(self.NUMBER_COLUMNS if kind == "number" else self.WORD_COLUMNS if kind == "word" else ("name", "who", "item", "night", "caller", "title", "id", "day", "guest", "boat"))
            if x in [n for n, _ in names] or not re.fullmatch(r"[a-z]+", x):
                raise NotNow
            names.append((x, kind))
        noun = r.choice((V.pick_noun, V.word))().lower()
        pools = {n: [r.choice((V.word, V.nonce, lambda: V.pick(COLORS), lambda: V.pick(CITY), lambda: V.t_animal()[0]))() for _ in range(r.randint(2, 4))] for n, kind in names if kind == "word"}
        high = r.choice((20, 60, 200, 2000))
        cell = lambda n, kind: V.person() if kind == "name" else r.choice(pools[n]) if kind == "word" else str(r.randint(1, high)) if self.chance(.8) else f"{r.uniform(1, high):.1f}"
        rows = [[cell(n, kind) for n, kind in names] for _ in range(r.randint(3, 9))]
        if any("," in x for row in rows for x in row):
            raise NotNow
        shuffled = list(range(len(names)))
        if self.chance(.3):
            r.shuffle(shuffled)
        path = self.new_path([noun, plural(noun), V.word()], ("csv",))
        self.desk.files[path] = "\n".join(",".join(row[i] for i in shuffled) for row in [[n for n, _ in names]] + rows) + "\n"
        numbers, words = [n for n, k in names if k == "number"], [n for n, k in names if k == "word"]
        where, cond = None, ""
        if self.chance(.7):
            c, kind = r.choice(names[1:] if self.chance(.85) else names)
            at = [n for n, _ in names].index(c)
            if kind == "number":
                limit = r.choice((str(r.randint(1, high)), r.choice(rows)[at]))
                sign, phrases = r.choice(((">", "above|over|more than|greater than"), ("<", "below|under|less than|smaller than"), (">=", "at least"), ("<=", "at most"), ("=", "exactly|equal to")))
                where, phrase = f"{c} {sign} {limit}", r.choice(phrases.split("|"))
                cond = r.choice((f"have {c} {phrase} {limit}", f"have {'a' if self.chance(.5) else 'the'} {c} of {phrase} {limit}", f"where {c} is {phrase} {limit}", f"with {c} {phrase} {limit}", f"with {phrase} {limit} {c}", f"whose {c} is {phrase} {limit}", f"having {phrase} {limit} {c}", f"of {phrase} {limit} {c}"))
            else:
                value = r.choice(rows)[at] if self.chance(.95) else V.word()
                negative = self.chance(.1)
                where = f"{c} {'!=' if negative else '='} {value}"
                is_, have = ("is not", "do not have") if negative else ("is", "have")
                cond = r.choice((f"{have} {value} as the {c}", f"{have} the {c} {value}", f"where {c} {is_} {value}", f"where the {c} {is_} {value}", f"whose {c} {is_} {value}") + (() if negative else (f"with {c} {value}", f"with {value} as {c}", f"with the {c} {value}", f"of {c} {value}", f"for {c} {value}", f"that have {value} in the column {c}", f"where {c} = {value}", f"with {value} in {c}")))
        f = self.named(path)
        operation = r.choice(("count", "count", "sum", "average", "min", "max", "list") if where else ("count", "sum", "average", "min", "max", "min", "max", "list"))
        inner = re.sub(r"^(do not )?have ", lambda m: "not having " if m.group(1) else r.choice(("having ", "with ")), cond)  # behind a noun without a verb
        that = " " + (cond if not cond.startswith(("have", "do not")) else "that " + cond) if cond else ""
        if operation == "count":
            c = where.split(" ")[0] if where else r.choice(names)[0]
            rows_word = r.choice(("rows", "rows", "entries", "lines", plural(noun), plural(noun)))
            if where and cond.startswith(("have", "do not")):
                q = r.choice((f"how many {rows_word} of {f} {cond}", f"in {f}, how many {rows_word} {cond}", f"how many {rows_word} {cond} in {f}", f"{f}: how many {rows_word} {cond}"))
            elif where:
                q = r.choice((f"how many {rows_word} are there in {f} {inner}", f"count the {rows_word} in {f} {inner}", f"in {f}, how many {rows_word} are there {inner}", f"number of {rows_word} {inner} in {f}", f"count the {rows_word} {inner} in {f}"))
            else:
                q = r.choice((f"how many {c} entries are in {f}", f"count the values of {c} in {f}", f"how many values does the column {c} have in {f}"))
        else:
            if operation in ("sum", "average", "min", "max"):
                if not numbers:
                    raise NotNow
                c = r.choice(numbers)
            else:
                c = r.choice([n for n, _ in names if not where or n != where.split(" ")[0]])
            word = r.choice({"sum": ("total", "sum of the"), "average": ("average", "mean"), "min": ("lowest", "smallest", "minimum", "least"), "max": ("highest", "largest", "maximum", "biggest", "greatest"), "list": ("",)}[operation])
            if operation == "list":
                q = r.choice((f"list the {c}{that} in {f}", f"which {c} {'entries ' if self.chance(.5) else ''}are in {f}{that}", f"show me the {c} of all rows{that} in {f}", f"in {f}, list the {c}{that}"))
            else:
                q = r.choice((f"what is the {word} {c} in {f}{that}", f"tell me the {word} {c} in {f}{that}", f"could you tell me the {word} value of {c} in {f}{that}", f"in {f}, what is the {word} {c}{that}", f"the {word} {c} in {f}{that}", f"what's the {word} {c}{that} in {f}",
                              f"find the {word} value in the column {c} of {f}{that}", f"{f}: {word} {c}{that}", f"I need the {word} {c}{that}, from {f}", f"what {'was' if self.chance(.5) else 'is'} the {word} number of {c} in {f}{that}"))
        self.user(self.asked(q) if self.chance(.8) else capital(q))
        args = {"path": path, "column": c, "operation": operation}
        if where:
            args["where"] = where
        result = self.call("csv_query", **args)
        if "not a number" in result or result.startswith("there is no column"):
            raise NotNow
        if result == "no row matches":
            self.say("[No row matches.|There is no such row in {f}.]", f=path)
        elif operation == "count":
            self.tell(r.choice((f"There {'is' if result == '1' else 'are'} {result}.", f"{result} of them.", f"There {'is' if result == '1' else 'are'} {result} {'row' if result == '1' else 'rows'}.")))
        elif operation == "list":
            self.tell(drill.and_list(result.split("\n")) + ".")
        else:
            wording = {"sum": "total", "average": "average", "min": "lowest", "max": "highest"}[operation]
            self.tell(f"The {wording} {c} is {result}.")


def check():
    bad = 0
    for relation in RELATIONS:
        wrong = relation.problems()
        if wrong:
            bad += 1
            print(f"{relation.where}: {relation.name}: {wrong}")
    names = [x.name for x in RELATIONS]
    print(f"{len(RELATIONS)} relations, {bad} wrong, {len(names) - len(set(names))} names twice")
    return bad


if __name__ == "__main__":
    import random
    import sys
    import unseen
    from render import render
    if sys.argv[1:2] != ["show"]:
        raise SystemExit(1 if check() else 0)
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    tasks = Lookups(random.Random(seed), unseen.Gen(seed))
    for _ in range(int(sys.argv[2]) if len(sys.argv) > 2 else 10):
        text = "".join(text for text, _ in render(tasks.doc()))
        print(text[text.rfind("</tools>") + 8:] if "--short" in sys.argv else text, "=" * 60, sep="\n")
