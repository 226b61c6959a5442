"""Conversations at Hearth's own tools, as the agent loop writes them (runtime/agent.c): a made-up workspace and memory, requests in
many wordings, calls that run through the twins of the tools, short answers that follow from the results.

`Tasks(r, unseen).doc()` makes one conversation. A document is
  {"sys": text or None, "tools": [{name, description, parameters}], "messages": [...]}
with messages {"role": "user" | "tool", "content"}, {"role": "assistant", "content"} and {"role": "assistant", "calls": [{name, arguments}]};
"quiet": True on an assistant message means that nobody should learn to write it.
"""
import copy
import datetime
import json
import os
import re

import cards
import drill
import scenes
import tables
import tools_twin
from desk_files import BASES, MAKERS, PRICE_NAMES, TEXT_ENDINGS, folder_name, make_file, make_path
from facts import Facts
from phrase import is_question, join_list, polish, say, split
from unseen import style_name
from values import MONTHS, SYS, TASKS, FOODS, Val

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "tools.json")) as file:
    BUILTIN = {tool["name"]: tool for tool in json.load(file)}

# Other people's tools of the same kind: names, descriptions and argument names that a user's own tools may have.
DISGUISE = {
    "calculate": (["calculator", "calc", "math", "evaluate", "compute", "math_eval", "eval_expression", "arith"], ["Evaluate an arithmetic expression.", "A calculator for arithmetic.", "Computes a mathematical expression."], {"expression": ["expr", "input", "formula", "term"]}),
    "csv_query": (["table_query", "query_csv", "csv_stats", "column_stats", "sheet_query", "csv_calc"], ["Compute over one column of a CSV file.", "Query a column of a table.", "Sum, average, min, max, count or list a CSV column."], {"path": ["file", "csv", "table"], "column": ["col", "field", "name"], "operation": ["op", "function", "what"], "where": ["filter", "condition", "only"]}),
    "list_files": (["ls", "list_dir", "list_directory", "dir", "show_folder", "files"], ["List the files in a directory.", "Names of the files in a folder.", "Show what is in a directory."], {"path": ["dir", "directory", "folder"]}),
    "now": (["get_time", "current_time", "clock", "date_time", "today", "time_now"], ["Get the current date and time.", "Tells the current date and time.", "The clock of this machine."], {}),
    "read_file": (["open_file", "file_read", "cat", "fs_read", "load_text", "get_file", "show_file"], ["Read a text file and return its content.", "Return the content of a file.", "Reads a file from disk."], {"path": ["file", "filename", "file_path", "name"]}),
    "recall": (["memory_search", "search_memory", "lookup_memory", "memory_recall", "find_fact", "what_do_i_know"], ["Search the memory for something that was remembered.", "Look up facts saved earlier.", "Find a remembered fact."], {"query": ["text", "topic", "about", "key"]}),
    "remember": (["save_memory", "memory_save", "store_fact", "memorize", "keep_in_mind", "memory_add"], ["Remember a fact for later.", "Save a fact to memory.", "Stores information in long-term memory."], {"text": ["fact", "content", "note", "what"]}),
    "search_files": (["grep", "find_text", "find_in_files", "search_text", "text_search"], ["Search for a text in files.", "Find lines that contain a text.", "Full text search in the workspace."], {"query": ["text", "pattern", "needle"], "path": ["dir", "where", "folder"]}),
    "write_file": (["save_file", "file_write", "fs_write", "create_file", "put_file", "store_text"], ["Write text to a file.", "Create or overwrite a file.", "Save text to a file on disk."], {"path": ["file", "filename", "file_path", "name"], "content": ["text", "data", "body", "contents"]}),
}
INSTRUCTIONS = ["Answer briefly.", "Be short and exact.", "You help {p} with files.", "You work in the workspace of {p}.", "Use the tools; do not guess.", "Answer in one sentence.",
                "You are a careful assistant.", "You are {n}, an assistant on this computer.", "You are the assistant of {c}.", "Keep answers short.", "You look after the notes of {p}.",
                "Never make up file names.", "Speak plainly.", "You are a file clerk.", "You keep the books of {c}."]
WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()


with open(os.path.join(HERE, "problems.txt")) as file:
    PROBLEMS = [line.strip().split(" => ") for line in file if line.strip() and line[0] != "#"]


class NotNow(Exception):
    """The task does not fit this conversation."""


def flip(text):
    """What I said, told back to me: my dog -> your dog."""
    rules = (("I am", "you are"), ("I'm", "you're"), ("I have", "you have"), ("am I", "are you"), ("I", "you"), ("my", "your"), ("My", "Your"), ("our", "your"), ("Our", "Your"),
             ("we", "you"), ("We", "You"), ("me", "you"), ("mine", "yours"), ("us", "you"), ("myself", "yourself"))
    table = dict(rules)
    return re.sub(r"\b(I am|I'm|I have|am I|I|my|My|our|Our|we|We|me|mine|us|myself)\b(?!')", lambda m: table[m.group(1)], text)


IDLE = set("what which who whom whose when where how why is are was were do does did can could should would will the a an of for to in on at by from with my our your i we me us you it its this that there "
           "have has had be been am most best much many must may and or under up tell know remember recall about so long look memory remind told once".split())


def content_words(text):
    """What a search would be given: the words of a question that say what it is about."""
    words = re.findall(r"[^\s?,.!:;\"]+", text)
    kept = [w[:-2] if w.endswith("'s") else w for w in words if w.lower() not in IDLE]
    return " ".join(kept) or text


def sentence(text):
    text = text[0].upper() + text[1:]
    return text if text[-1] in ".!?" else text + "."


class Tasks:
    def __init__(self, r, unseen=None):
        self.r, self.V, self.unseen, self.facts = r, Val(r), unseen, Facts(r)

    # ---- the conversation under way ----

    def chance(self, p):
        return self.r.random() < p

    def user(self, text):
        self.messages.append({"role": "user", "content": text})

    def ask(self, template, **values):
        self.user(polish(self.r, say(self.r, template, **values)))

    def say(self, template, **values):
        self.messages.append({"role": "assistant", "content": say(self.r, template, **values)})

    def tell(self, text):
        self.messages.append({"role": "assistant", "content": text})

    def calls(self, *calls, quiet=False):
        """One message with these calls, and their results."""
        calls = [(name, {k: args[k] for k in BUILTIN[name]["parameters"]["properties"] if k in args}) for name, args in calls]
        message = {"role": "assistant", "calls": [{"name": name, "arguments": args} for name, args in calls]}
        if quiet:
            message["quiet"] = True
        self.messages.append(message)
        results = []
        for name, args in calls:
            self.used.add(name)
            text = tools_twin.run(name, args, self.desk)
            results.append(text)
            self.messages.append({"role": "tool", "content": text})
        return results

    def call(self, name, quiet=False, **args):
        return self.calls((name, args), quiet=quiet)[0]

    def need(self, *names):
        if not all(name in self.offered for name in names):
            raise NotNow

    def has(self, name):
        return name in self.offered

    def add(self, kind=None):
        """A new file in the workspace."""
        for _ in range(20):
            f = make_file(self.r, self.V, kind)
            parts = f.path.split("/")
            taken = any("/".join(parts[:i]) in self.desk.files for i in range(1, len(parts) + 1))
            if not taken and not any(p.startswith(f.path + "/") for p in self.desk.files):
                self.desk.files[f.path] = f.text
                self.made.append(f)
                return f
        raise NotNow

    def new_path(self, words=BASES, endings=TEXT_ENDINGS):
        for _ in range(20):
            path = make_path(self.r, self.V, words, endings)
            if path not in self.desk.files and not any(p.startswith(path + "/") or path.startswith(p + "/") for p in self.desk.files):
                return path
        raise NotNow

    def named(self, path):
        """How a person names a file: the path, sometimes with words around it."""
        if "/" in path and self.chance(.15):
            folder, base = path.rsplit("/", 1)
            return self.r.choice((f"{base} in {folder}", f"the file {base} in {folder}", f"{base} (in the folder {folder})", f"{base} in the {folder} folder"))
        return self.r.choice((path, path, path, path, path, f"the file {path}", f"file {path}", f'"{path}"', f"'{path}'", f"`{path}`", f"the {path} file"))

    # ---- reading ----

    READ_SHOW = ("[show|print|read|open|display|cat] {f}|[show me|give me] [the content of|] {f}|what [is|'s] in {f}|what does {f} [say|contain]|read {f} [out|to me|]|"
                 "what [is|stands] written in {f}|let me see {f}|I want to [see|read] {f}|[output|return] the [text|content|contents] of {f}")

    def pick(self, template):
        return self.r.choice(split(template))

    def ask_any(self, template, **values):
        self.ask(self.pick(template), **values)

    def read_show(self):
        self.need("read_file")
        f = self.add(self.r.choice(("facts", "todo", "prose", "items", "facts", "table")))
        if len(f.text) > 700:
            raise NotNow
        self.ask_any(self.READ_SHOW, f=self.named(f.path))
        text = self.call("read_file", path=f.path)
        self.tell(self.r.choice((f"{f.path} contains:\n{text.rstrip()}", f"{f.path} contains:\n{text.rstrip()}", text.rstrip())) if "\n" in text.rstrip() or self.chance(.5) else f"{f.path} says: {text.rstrip()}")
        self.topic = f

    def fact_question(self, f):
        """(question phrase, value, key) of a file of facts, its name for the topic among it at times."""
        phrase, value, key = self.r.choice(f.facts)
        if f.topic and f.topic in f.text and self.chance(.5):
            phrase = f"{phrase} of the {f.topic}" if f"of the {f.topic}" in f.text or self.chance(.5) else f"{phrase} of {f.topic}"
        return phrase, value, key

    READ_ASK = ("read {f} and [tell me|say|give me|report|answer:] {q}|what is {q} in {f}|find {q} in {f}|look into {f}[:|,|] what is {q}|look [into|up in|at] {f} and tell me {q}|"
                "[according to|in] {f}, what is {q}|what does {f} say about {q}|{f}: {q}?|check {f} for {q}|get {q} from {f}|tell me {q} [from|according to|in] {f}|"
                "open {f} and find {q}|which value does {f} give for {q}|{q} in {f}|what's {q} according to {f}|I need {q} from {f}|look up {q} in {f}|what is {q}? [It's|It is|Look] in {f}|"
                "can you find out {q}? [See|Check|It should be in] {f}")

    def fact_answer(self, phrase, value):
        end = "" if value[-1] in ".?!" else "."
        return self.r.choice((f"{sentence(phrase)[:-1]} is {value}{end}",) * 5 + (f"It is {value}{end}",))

    def read_answer(self):
        self.need("read_file")
        f = self.add("facts")
        phrase, value, key = self.fact_question(f)
        self.ask_any(self.READ_ASK, f=self.named(f.path), q=phrase)
        self.call("read_file", path=f.path)
        self.tell(self.fact_answer(phrase, value))
        self.topic = f
        while len(f.facts) > 1 and self.chance(.3):
            phrase, value, key = self.fact_question(f)
            self.user(say(self.r, self.r.choice(("and {q}?", "[And|and] what is {q}?", "what about {q}?", "What is {q}?", "{q}?", "now {q}", "tell me {q} [too|as well|]")), q=phrase))
            self.tell(self.fact_answer(phrase, value))
        if len(f.facts) > 2 and self.chance(.15):
            two = self.r.sample(f.facts, 2)
            self.ask("what are {a} and {b}[?| in that file?]", a=two[0][0], b=two[1][0])
            self.tell(f"{sentence(two[0][0])[:-1]} is {two[0][1].rstrip('.')} and {two[1][0]} is {two[1][1].rstrip('.')}.")

    NATURAL_ONE = ("{q}? [Look in|See|Read|Check|It is in] {f}|read {f}: {q}|read {f} and tell me {q}|{f}: {q}?|look into {f}[:| and tell me] {q}|according to {f}, {q}|[in|from] {f}: {q}?|open {f} and [say|tell me|answer:] {q}|check {f}[,|:] {q}?|I need to know {q}. It [stands|is] in {f}|"
                   "{q}, says {f}?|[please|] look up in {f} {q}|what does {f} say: {q}|{q} [in|according to] {f}")
    NATURAL_TWO = ("read {f}: {q} and {p}|{q} and {p}? [Look in|See|Read|Check] {f}|from {f} I need [two things|to know]: {q}, and {p}|{f}: {q}, and {p}?|look into {f} and tell me {q} and {p}|read {f} and tell me {q} and {p}|{q}, and {p}, according to {f}")

    def ask_plain(self, template, **values):
        """As ask_any, without words of courtesy around it: a question stands in it already."""
        text = say(self.r, self.pick(template), **values)
        self.user(text[0].upper() + text[1:] if self.chance(.5) else text)

    def natural_note(self):
        """A file with answers to natural questions: a note (cards.txt), or facts as people tell them (facts.txt)."""
        for _ in range(20):
            if self.chance(.75):
                names, text, questions = cards.draw(self.r, self.V)
            else:
                known = {}
                for _ in range(self.r.randint(1, 5)):
                    fact = self.facts.draw()
                    known.setdefault(fact.relation.name, fact)
                names, text = BASES, "\n".join(sentence(f.text) if self.chance(.7) else f.text for f in known.values())
                questions = [(f.question(), f.answer()) for f in known.values()]
            if questions:
                path = self.new_path(names if self.chance(.7) else BASES)
                if path.endswith(".csv"):
                    continue
                self.desk.files[path] = text
                return path, text, questions
        raise NotNow

    def read_natural(self):
        self.need("read_file")
        if self.chance(.3):
            self.fill_folder(self.r.randint(1, 3))
        path, text, questions = self.natural_note()
        chosen = self.r.sample(questions, 2 if len(questions) > 1 and self.chance(.35) else 1)
        said = " ".join(sentence(a) for _, a in chosen)
        asked = path
        if self.chance(.15):
            asked = self.misspell(path)
        self.ask_plain(self.NATURAL_ONE if len(chosen) == 1 else self.NATURAL_TWO, f=self.named(asked) if asked == path else asked, q=chosen[0][0], p=chosen[-1][0])
        result = self.call("read_file", path=asked)
        if asked != path:
            self.call("read_file", path=self.recover(result, asked, path))
        x = self.r.random()
        if x < .14 and self.has("write_file"):
            target = self.new_path()
            self.tell(said)
            self.ask_any("[write|save|put] [that|it|the answer] [to|in|into] {f}", f=target)
            self.call("write_file", path=target, content=said)
            self.tell(f"I wrote it to {target}.")
            return
        if x < .28 and self.has("remember"):
            self.tell(said)
            self.ask_any("remember [that|it]|keep [that|it] in [mind|memory]|[save|store] [that|it] in [your|] memory|[note|memorize] that[ for later|]")
            self.call("remember", text=said.rstrip("."))
            self.say("[I will remember it.|I will remember that.]")
            return
        self.tell(said)
        left = [q for q in questions if q not in chosen]
        while left and self.chance(.3):
            question, answer = left.pop()
            self.user(say(self.r, self.r.choice(("and {q}?", "And {q}?", "{q}?", "[one more thing:|also:|now] {q}")), q=question))
            self.tell(sentence(answer))

    def natural_chain(self):
        """Read, then write or remember what was asked for, in one request."""
        self.need("read_file")
        path, text, questions = self.natural_note()
        question, answer = self.r.choice(questions)
        if self.has("write_file") and self.chance(.55):
            target = self.new_path()
            self.ask_plain("[look up|find out] in {f} {q} and [write|save] [it|the answer] [to|in|into] {t}|read {f} and write to {t} {q}|{q}? [Read|Look in] {f} and [put|write|save] the answer [in|into|to] {t}|[write|put] the answer to this [in|into] {t}: {q}? [It is in|See] {f}", f=path, q=question, t=target)
            self.call("read_file", path=path)
            self.call("write_file", path=target, content=sentence(answer))
            self.tell(f"{sentence(answer)} I wrote it to {target}.")
        else:
            self.need("remember")
            self.ask_plain("read {f} and remember {q}|look up in {f} {q}, and [remember|memorize|keep] it|{q}? Read {f} and [remember|memorize] [it|the answer]|remember from {f} {q}|keep in mind {q}; it is in {f}", f=path, q=question)
            self.call("read_file", path=path)
            self.call("remember", text=answer.rstrip("."))
            self.tell(f"{sentence(answer)} I will remember it.")

    def natural_search(self):
        """Nobody says where it stands: find it, read it, answer."""
        self.need("search_files")
        self.fill_folder(self.r.randint(1, 3))
        path, text, questions = self.natural_note()
        question, answer = self.r.choice(questions)
        words = [w for w in re.findall(r"[A-Za-z]{4,}", question) if re.search(rf"\b{w}\b", text, re.I) and w.lower() not in IDLE]
        if not words:
            raise NotNow
        query = self.r.choice(words)
        self.ask_plain("{q}? It is in one of my files|find in my files {q}|search my files for {w}: {q}?|somewhere in my [files|notes] it says {q}. Look for {w}|look through the files for {w} and tell me {q}", q=question, w=query)
        result = self.call("search_files", query=query)
        found = {x.split(":")[0] for x in result.split("\n")}
        if found != {path}:
            raise NotNow
        shown = result.lower()
        value = max(re.findall(r"[\w.:@-]+", answer), key=lambda w: (w.lower() not in question.lower(), len(w)))
        if value.lower().rstrip(".") not in shown:
            self.need("read_file")
            self.call("read_file", path=path)
        self.tell(sentence(answer))

    def read_missing_fact(self):
        """The file has no such thing: say so, do not make it up."""
        self.need("read_file")
        f, other = self.add("facts"), make_file(self.r, self.V, "facts")
        phrase, _, key = self.r.choice(other.facts)
        if key in f.text.lower():
            raise NotNow
        self.ask_any(self.READ_ASK, f=self.named(f.path), q=phrase)
        self.call("read_file", path=f.path)
        self.tell(f"{f.path} does not say {phrase}." if self.chance(.5) else f"There is no {key} in {f.path}.")

    def read_two(self):
        """Two files in one message of calls."""
        self.need("read_file")
        f, g = self.add("facts"), self.add("facts")
        (p1, v1, _), (p2, v2, _) = self.r.choice(f.facts), self.r.choice(g.facts)
        self.ask_any("[read|open|look into] {f} and {g} and tell me {p} and {q}|what is {p} in {f} and {q} in {g}|find {p} in {f} and {q} in {g}|get {p} from {f} and {q} from {g}", f=f.path, g=g.path, p=p1, q=p2)
        self.calls(("read_file", {"path": f.path}), ("read_file", {"path": g.path}))
        self.tell(f"{sentence(p1)[:-1]} is {v1.rstrip('.')} and {p2} is {v2.rstrip('.')}.")

    def first_line(self):
        self.need("read_file")
        f = self.add(self.r.choice(("todo", "prose", "facts", "log", "items")))
        lines = [x for x in f.text.split("\n") if x.strip()]
        which, line = self.r.choice((("first", lines[0]), ("last", lines[-1]), ("second", lines[1] if len(lines) > 1 else lines[0])))
        if which == "second" and len(lines) < 2 or "\n\n" in f.text:
            raise NotNow
        self.ask_any("what is the {w} line [of|in] {f}|[show|read|give me|quote] the {w} line of {f}|how does the {w} line of {f} read", w=which, f=self.named(f.path))
        self.call("read_file", path=f.path)
        self.tell(self.r.choice((line, f"The {which} line is: {line}")))

    def todo_count(self):
        self.need("read_file")
        f = self.add("todo")
        n = len(f.items)
        self.ask_any("how many [tasks|things|items|entries] are in {f}|how many [tasks|things] does {f} list|count the [tasks|entries|lines] in {f}|what do I have to do? [See|Look in|Read] {f}|list [the|my] tasks [in|from] {f}", f=self.named(f.path))
        self.call("read_file", path=f.path)
        text = self.messages[-3]["content"].lower()
        names = join_list(self.r, [x[0] for x in f.items])
        self.tell(f"There are {n} tasks: {names}." if "how many" in text or "count" in text else f"You have to {names}.")

    # ---- numbers in files ----

    SUM_WORDS = ("read {f} and [add up|sum|total|sum up] [the prices|the numbers|the amounts|everything|all values|all the numbers|the items]|[sum|add up|add] the [numbers|prices|amounts|values] in {f}|"
                 "what is the [total|sum] of {f}|what do the [things|items] in {f} cost [together|in total|altogether]|how much is everything in {f} [together|]|"
                 "[compute|calculate|work out|find] the [total|sum] of [the numbers in|the prices in|] {f}|what does everything in {f} [add up|come] to|total of {f}|add [up|together] what is in {f}|"
                 "how much do the items in {f} cost [together|in total]|what's the total [in|for] {f}|[give|tell] me the [sum|total] of the [prices|numbers|amounts] in {f}")
    # With a word for what is counted, as the file's name or unit has it, or any.
    SUM_WORDS_OF = ("what do the {w} in {f} [come|add up|amount] to|add up the {w} in {f}|[sum|total] the {w} [in|from|of] {f}|how [much|many] are the {w} in {f} [together|in all|altogether]|how many {w} [are there|do we have|did I have] in [all|total][,|?] [see|look in|according to] {f}|"
                    "read {f} and [tell me|give me|say|work out] the [sum|total] of [all|] the {w}|[what is|tell me] the total of the {w} in {f}|[put|take] [all|] the {w} [in|of] {f} together|{w} in {f}, all together|count up the {w} in {f}|"
                    "look [at|into] {f} [and|, then] add the {w}|how much did [I|we] [spend|pay] on {w} [in all|altogether]? [It is|See|Read] {f}|what is the sum of [all|] the {w} listed in {f}|{f} has my {w}[. What is the total|: what do they add up to|. Add them up]|the {w} are in {f}[. Sum them|: total please|. What do they make]|"
                    "sum of the {w}, please: {f}|I want the total of the {w} from {f}|calculate the total {w} from {f}|find out what the {w} in {f} add up to|use {f} to add up the {w}")

    def counted(self, f):
        """What the numbers of the file are called."""
        return self.r.choice((f.unit if len(f.unit) > 3 else "amounts", f.path.rsplit("/", 1)[-1].rsplit(".", 1)[0].replace("_", " ").replace("-", " "), self.r.choice(PRICE_NAMES), self.r.choice(PRICE_NAMES), self.V.word() + "s"))

    def numbers(self, f, joiner=" + "):
        return joiner.join(number for _, number, _ in f.items)

    def with_unit(self, f, value):
        return f"{value} {f.unit}" if f.unit and self.chance(.3) else value

    def read_calculate(self):
        """read, calculate; then perhaps write or remember."""
        self.need("read_file", "calculate")
        f = self.add("items")
        if len(f.items) > 7:
            raise NotNow
        kind = self.r.choices(("sum", "average", "max", "min", "difference", "one", "sum_more", "without"), (50, 8, 8, 6, 8, 8, 6, 6))[0]
        names = [x[0] for x in f.items]
        if kind not in ("sum", "average") and not all(names):
            raise NotNow
        tail, after = self.tail()
        if kind == "sum":
            if self.chance(.5):
                self.ask(self.pick(self.SUM_WORDS) + tail, f=self.named(f.path), **after)
            else:
                self.ask(self.pick(self.SUM_WORDS_OF) + tail, f=self.named(f.path), w=self.counted(f), **after)
            self.call("read_file", path=f.path)
            value = self.call("calculate", expression=self.numbers(f))
            answer = f"The total is {value}."
        elif kind == "average":
            self.ask(self.pick("what is the average [of the numbers|] in {f}|[compute|calculate] the [mean|average] of [the numbers in|the prices in|] {f}|read {f} and [average|take the mean of] the [numbers|prices|values]") + tail, f=self.named(f.path), **after)
            self.call("read_file", path=f.path)
            value = self.call("calculate", expression=f"({self.numbers(f)}) / {len(f.items)}")
            answer = f"The average is {value}."
        elif kind in ("max", "min"):
            word = {"max": "[highest|largest|biggest|most expensive]", "min": "[lowest|smallest|cheapest]"}[kind]
            best = (max if kind == "max" else min)(f.items, key=lambda x: x[2])
            if sum(x[2] == best[2] for x in f.items) > 1:
                raise NotNow
            self.ask(self.pick(f"which [item|entry|thing] in {{f}} is the {word}|what is the {word} [item|entry|thing] in {{f}}|find the {word} [item|entry] in {{f}}") + tail, f=self.named(f.path), **after)
            self.call("read_file", path=f.path)
            value = self.call("calculate", expression=f"{kind}({self.numbers(f, ', ')})")
            answer = f"It is {best[0]} with {best[1]}."
            value = best[0]
        elif kind == "difference":
            a, b = self.r.sample(f.items, 2)
            a, b = (a, b) if a[2] >= b[2] else (b, a)
            self.ask(self.pick("how much more [expensive|] is {a} than {b} in {f}|what is the difference between {a} and {b} in {f}|read {f} and subtract {b} from {a}|by how much does {a} exceed {b} in {f}") + tail, f=self.named(f.path), a=a[0], b=b[0], **after)
            self.call("read_file", path=f.path)
            value = self.call("calculate", expression=f"{a[1]} - {b[1]}")
            answer = f"The difference is {value}."
        elif kind == "one":
            a, n = self.r.choice(f.items), self.r.randint(2, 20)
            self.ask(self.pick("what do {n} {a} cost [according to|by] {f}|read {f} and [compute|calculate|tell me] {n} times {a}|how much are {n} times {a} in {f}|[{f} has the prices. What do|see {f}: what do] {n} {a} cost") + tail, f=self.named(f.path), a=a[0], n=n, **after)
            self.call("read_file", path=f.path)
            value = self.call("calculate", expression=f"{n} * {a[1]}")
            answer = f"{n} times {a[0]} is {value}."
        elif kind == "sum_more":
            p = self.r.randint(2, 40)
            self.ask(self.pick("[sum|add up] {f} and [take|give] {p} percent off|what is the total of {f} with {p}% discount|[add up|sum] the prices in {f} and subtract {p}%") + tail, f=self.named(f.path), p=p, **after)
            self.call("read_file", path=f.path)
            value = self.call("calculate", expression=f"({self.numbers(f)}) * (100 - {p}) / 100")
            answer = f"With {p} percent off, the total is {value}."
        else:
            if len(f.items) < 3:
                raise NotNow
            a = self.r.choice(f.items)
            rest = [x for x in f.items if x is not a]
            self.ask(self.pick("what is the total of {f} without {a}|[sum|add up] {f} [without|except] {a}|[sum|add up] everything but {a} in {f}") + tail, f=self.named(f.path), a=a[0], **after)
            self.call("read_file", path=f.path)
            value = self.call("calculate", expression=" + ".join(x[1] for x in rest))
            answer = f"Without {a[0]}, the total is {value}."
        self.finish(after, value, answer)

    def tail(self):
        """What to do with the result: (words behind the request, what finish() needs)."""
        x = self.r.random()
        if x < .35 and self.has("write_file"):
            path = self.new_path(["total", "result", "sum", "report", "answer", "out", "output", "summary"] + BASES)
            label = self.r.choice((None, None, None, "Total: ", "Result: ", "The result is ", "sum = "))
            words = self.r.choice((" and [write|save|store|put] [it|the result|the answer] [to|in|into] {path}", " and [write|save] [it|the result|the number] [to|in] [the file|] {path}", ", then [write|save|put] [it|the result|the number] [in|into|to] {path}",
                                   "[. Save|. Write|. Put] the [result|answer|number] [in|into|to] {path}", " and save [the result|it] as {path}"))
            if label:
                words = self.r.choice((" and write '{label}' followed by the result to {path}", ' and write "{label}" and the result to {path}', ', then write it to {path} as "{label}<result>"')).replace("{label}", label.replace("[", "").replace("|", ""))
            return words, {"do": "write", "path": path, "label": label}
        if x < .45 and self.has("remember"):
            return " and remember [it|the result|that]", {"do": "remember", "path": ""}
        return "", {"do": "", "path": ""}

    def finish(self, after, value, answer, what="the result"):
        """Writes or remembers the value when asked to, and answers."""
        if after["do"] == "write":
            content = (after["label"] or "") + value
            self.call("write_file", path=after["path"], content=content)
            answer = self.r.choice((f"{answer} I wrote it to {after['path']}.",))
        elif after["do"] == "remember":
            text = answer[0].lower() + answer[1:-1] if answer.startswith(("The ", "It ")) and what == "the result" and answer.startswith("The ") else f"{what} is {value}"
            self.call("remember", text=text)
            answer += " I will remember it."
        self.tell(answer)
        self.value = value

    # ---- CSV ----

    @staticmethod
    def says_column(text, column):
        """Whether a request tells what a column is called: nobody can know it otherwise without a look at the file."""
        stem = re.escape(column).replace("_", "[ _]")
        return re.search(rf"(?<![A-Za-z]){stem}s?(?![A-Za-z])", text, re.I) or column.endswith("s") and re.search(rf"(?<![A-Za-z]){stem[:-1]}(?![A-Za-z])", text, re.I)

    def csv_ask(self):
        """One question about a table, by csv_query."""
        self.need("csv_query")
        f = self.add("table")
        tail, after = self.tail() if self.chance(.4) else ("", {"do": "", "path": ""})
        number = [i for i, (_, k) in enumerate(f.columns) if k in ("cents", "tenths", "int", "age", "big", "year")]
        words = [i for i, (_, k) in enumerate(f.columns) if "|" in k]
        names = [i for i, (_, k) in enumerate(f.columns) if i not in number and i not in words]
        operation = self.r.choices(("sum", "average", "max", "min", "count", "list"), (26, 18, 14, 12, 16, 14))[0]
        where, cond, column, unnamed = None, "", self.r.choice(number), False
        if operation in ("count", "list") and self.chance(.7):
            column = self.r.choice(names + words if operation == "list" else names) if names else column
        if self.chance(.5) or operation == "count":
            if words and self.chance(.7):
                i = self.r.choice(words)
                value = self.r.choice(f.rows)[i] if self.chance(.9) else self.r.choice(f.columns[i][1].split("|"))
                where = f"{f.columns[i][0]} = {value}"
                noun = f.columns[i][0].replace("_", " ")
                cond = self.r.choice((f" where {f.columns[i][0]} is {value}", f" for {noun} {value}", f" with {noun} {value}", f" where the {noun} is {value}", f" of the {noun} {value}", f" (only {noun} {value})", f" for {noun} = {value}"))
                if self.chance(.2):  # which column that is, only the file tells
                    unnamed, cond = True, f" in {value}" if noun in ("city", "country", "region", "room", "month") else f" on {value}" if noun in ("category", "day") else f" for {value}"
            elif names and self.chance(.4) and f.columns[names[0]][1] in ("person", "product", "id", "code", "host"):
                i = names[0]
                value = self.r.choice(f.rows)[i]
                where = f"{f.columns[i][0]} = {value}"
                cond = self.r.choice((f" of {value}", f" for {value}", f" where {f.columns[i][0]} is {value}", f" where {f.columns[i][0]} = {value}"))
                unnamed = "where" not in cond
            else:
                i = self.r.choice(number)
                cells = sorted(float(row[i]) for row in f.rows)
                limit = self.r.choice((int(cells[len(cells) // 2]), self.r.choice((10, 20, 50, 100, 1000, 5, 30))))
                sign, phrase = self.r.choice((((">"), "[above|over|more than|greater than]"), ("<", "[below|under|less than|smaller than]"), (">=", "at least"), ("<=", "at most")))
                where = f"{f.columns[i][0]} {sign} {limit}"
                cond = say(self.r, self.r.choice((f" where [the|] {f.columns[i][0]} is {phrase} {limit}", f" with [a|] {f.columns[i][0]} {phrase} {limit}", f" [having|whose] {f.columns[i][0]} {'is ' if self.chance(.5) else ''}{phrase} {limit}")))
        c, noun = f.columns[column][0], f.columns[column][0].replace("_", " ")
        p = self.named(f.path)
        rows = "rows"
        if operation == "sum":
            q = self.pick("what is the [total|sum of the|sum of] {c}{cond} in {f}|[sum|add up|total] the [column|] {c}{cond} in {f}|[sum|add up] {c} [in|of] {f}{cond}|[compute|calculate|get|find] the [total|sum] of {c}{cond} in {f}|how much {c} [is there|do we have] in [total|all] in {f}{cond}|the [total|sum of] {c}{cond} in {f}|what do the {c} values in {f} add up to{cond}")
            wording = f"the total {noun}"
        elif operation == "average":
            q = self.pick("what is the [average|mean] {c}{cond} in {f}|[compute|calculate|find|get] the [average|mean] [of|] {c}{cond} in {f}|how [large|high|big] is the average {c} in {f}{cond}|[average|mean] of [the column|] {c} in {f}{cond}|average {c}{cond} in {f}")
            wording = f"the average {noun}"
        elif operation == "max":
            q = self.pick("what is the [highest|largest|maximum|biggest|greatest] {c}{cond} in {f}|find the [maximum|largest|highest] {c}{cond} in {f}|[maximum|max|largest] {c} in {f}{cond}|how high is {c} at most in {f}{cond}")
            wording = f"the highest {noun}"
        elif operation == "min":
            q = self.pick("what is the [lowest|smallest|minimum|least] {c}{cond} in {f}|find the [minimum|smallest|lowest] {c}{cond} in {f}|[minimum|min|lowest] {c} in {f}{cond}")
            wording = f"the lowest {noun}"
        elif operation == "count":
            q = self.pick("how many [rows|entries|lines|records]{cond} are in {f}|count the [rows|entries|records]{cond} in {f}|how many [rows|entries] does {f} have{cond}|[number of|count] [rows|entries] in {f}{cond}") if self.chance(.6) else self.pick("how many {c} [entries|values] are there in {f}{cond}|count the {c} [values|entries|column] in {f}{cond}|count {c} in {f}{cond}")
            if "{c}" not in q:  # any column will do: the one of the condition, or the first that is seen
                c = where.split(" ")[0] if where else f.columns[0][0]
                unnamed = unnamed or not where
            wording = "the count"
        else:
            q = self.pick("[list|show|give me] the {c} [values|column|entries|]{cond} in {f}|which {c} [values|entries] are in {f}{cond}|list all {c}{cond} in {f}|what are the {c} values in {f}{cond}|[show|list] [the column|] {c} of {f}{cond}|which {c} does {f} have{cond}")
            wording = f"the {noun}"
            if after["do"]:
                tail, after = "", {"do": "", "path": ""}
        if "year" in f.columns[column][1] and operation == "sum":
            raise NotNow
        self.ask(q.replace("{cond}", cond.replace("[", "").replace("|", "")) + tail, f=p, c=self.r.choice((c, noun)) if noun.lower() == c.lower() else c, **after)
        args = {"path": f.path, "column": c, "operation": operation}
        if unnamed:
            self.need("read_file")
            self.call("read_file", path=f.path)
        if where:
            args["where"] = where
        result = self.call("csv_query", **args)
        if result == "no row matches":
            self.say("[No row matches.|There is no such row in {f}.]", f=f.path)
        elif operation == "count":
            self.finish(after, result, f"There {'is' if result == '1' else 'are'} {result} {'row' if result == '1' else rows}.")
        elif operation == "list":
            values = result.split("\n")
            self.tell(join_list(self.r, values) + "." if len(values) > 1 else f"{sentence(wording)[:-1]} is {values[0]}.")
        else:
            self.finish(after, result, f"{sentence(wording)[:-1]} is {result}.", wording)
            if self.chance(.15) and names and operation in ("max", "min"):
                who = f.columns[names[0]][0]
                self.user(say(self.r, self.r.choice(("which {w} is that?", "and which {w} has it?", "whose is it? [Give|Tell] me the {w}", "what {w} is it?")), w=who.replace("_", " ")))
                got = self.call("csv_query", path=f.path, column=who, operation="list", where=f"{c} = {result}")
                if "no row" in got:
                    raise NotNow
                self.tell(f"It is {join_list(self.r, got.split(chr(10)))}.")

    def csv_natural(self):
        """A question in a person's words (tables.txt). What the columns are called is seen in the file, or in what the first try says."""
        self.need("csv_query")
        made = tables.draw(self.r, self.V)
        if not made:
            raise NotNow
        path, text, question, operation, column, where, guess, answer = made
        taken = ["/".join(path.split("/")[:i]) for i in range(1, len(path.split("/")) + 1)]
        if any(t in self.desk.files for t in taken) or any(p.startswith(path + "/") for p in self.desk.files):
            raise NotNow
        self.desk.files[path] = text
        tail, after = self.tail() if operation != "list" and self.chance(.25) else ("", {"do": "", "path": ""})
        if tail:
            self.ask_plain("{q} [in|according to] {f}" + tail, q=question, f=path, **after)
        else:
            self.ask_plain("{q} [in|according to|, says] {f}|{q}? [Look in|See|Read|It is in|Use] {f}|[in|from] {f}: {q}?|{f}: {q}|look [in|into|up in] {f}[:|,] {q}|[use|take] {f} [to find out|and tell me] {q}|{q} [in|according to] {f}?", q=question, f=self.named(path))
        if where and operation == "count":
            column = where.split(" ")[0]
        args = {"path": path, "column": column, "operation": operation}
        if where:
            args["where"] = where
        said = self.messages[-1]["content"].replace(path, "")
        told = not where or self.says_column(said, where.split(" ")[0]) and where.split(" ", 2)[2].lower() in said.lower()
        if not told or not self.says_column(said, column):
            if self.has("read_file") and self.chance(.85):
                self.call("read_file", path=path)
            elif not guess or guess in text.split("\n")[0] or not told:
                raise NotNow
            else:
                self.call("csv_query", **{**args, "column": guess})
        result = self.call("csv_query", **args)
        if result == "no row matches" or result.startswith("there is no"):
            raise NotNow
        values = result.split("\n")
        said = answer.format(r=join_list(self.r, values))
        said = said[0].upper() + said[1:]
        if tail:
            self.finish(after, result, said)
        else:
            self.tell(said)

    def csv_who(self):
        """The highest or lowest, and whose it is: two queries."""
        self.need("csv_query")
        made = tables.draw_best(self.r, self.V)
        if not made:
            raise NotNow
        path, text, question, operation, column, who, answer = made
        if path in self.desk.files or any(p.startswith(path + "/") or path.startswith(p + "/") for p in self.desk.files):
            raise NotNow
        self.desk.files[path] = text
        self.ask_plain("{q} [in|according to] {f}|{q}? [Look in|See|Read|Use] {f}|[in|from] {f}: {q}?|{f}: {q}|look [in|into] {f}[:|,] {q}|{q} [in|according to] {f}?", q=question, f=self.named(path))
        if not self.says_column(question, who) or not self.says_column(question, column) or self.has("read_file") and self.chance(.15):
            self.need("read_file")
            self.call("read_file", path=path)
        best = self.call("csv_query", path=path, column=column, operation=operation)
        found = self.call("csv_query", path=path, column=who, operation="list", where=f"{column} = {best}")
        if "no row" in found or "\n" in found:
            raise NotNow
        self.tell(answer.format(w=found, r=best))

    def csv_wrong_column(self):
        """The column is called otherwise: the error lists the columns, the second call is right."""
        self.need("csv_query")
        f = self.add("table")
        number = [n for n, k in f.columns if k in ("cents", "tenths", "int", "age", "big")]
        if not number:
            raise NotNow
        column = self.r.choice(number)
        wrong = {"amount": "amounts", "price": "prices", "salary": "pay", "quantity": "number", "score": "scores", "total": "totals", "age": "ages", "hours": "hour", "cost": "costs", "points": "point", "temperature": "temp", "rating": "stars", "weight": "kg", "distance": "km"}.get(column, column + "s" if not column.endswith("s") else column[:-1])
        if wrong in [n for n, _ in f.columns]:
            raise NotNow
        operation, word = self.r.choice((("sum", "total"), ("average", "average"), ("max", "highest"), ("min", "lowest")))
        self.ask_any("what is the {w} of [the|] {c} in {f}|[compute|find|calculate] the {w} of {c} in {f}|{w} of the {c} in {f}", w=word, c=wrong, f=self.named(f.path))
        self.call("csv_query", path=f.path, column=wrong, operation=operation)
        result = self.call("csv_query", path=f.path, column=column, operation=operation)
        self.tell(f"The {word} {column.replace('_', ' ')} is {result}.")

    def csv_wrong_path(self):
        self.need("csv_query")
        f = self.add("table")
        number = [n for n, k in f.columns if k in ("cents", "tenths", "int", "age", "big")]
        if not number:
            raise NotNow
        wrong = self.misspell(f.path)
        column = self.r.choice(number)
        operation, word = self.r.choice((("sum", "total"), ("average", "average"), ("max", "highest"), ("min", "lowest")))
        self.ask_any("what is the {w} {c} in {f}|[compute|find] the {w} {c} in {f}|{w} {c} in {f}", w=word, c=column, f=self.named(wrong) if "/" not in wrong else wrong)
        text = self.call("csv_query", path=wrong, column=column, operation=operation)
        right = self.recover(text, wrong, f.path)
        result = self.call("csv_query", path=right, column=column, operation=operation)
        self.tell(f"The {word} {column.replace('_', ' ')} is {result}.")

    def csv_compare(self):
        """Two queries and a calculation."""
        self.need("csv_query", "calculate")
        f = self.add("table")
        words = [i for i, (_, k) in enumerate(f.columns) if "|" in k]
        number = [n for n, k in f.columns if k in ("cents", "tenths", "int", "big")]
        if not words or not number:
            raise NotNow
        i, c = self.r.choice(words), self.r.choice(number)
        values = sorted({row[i] for row in f.rows})
        if len(values) < 2:
            raise NotNow
        a, b = self.r.sample(values, 2)
        col = f.columns[i][0]
        if self.has("read_file") and self.chance(.4):
            self.ask_any("how much [more|larger] is the total {c} for {a} than for {b} in {f}|what is the difference between the total {c} of {a} and {b} in {f}", c=c, a=a, b=b, f=self.named(f.path))
            self.call("read_file", path=f.path)
        else:
            a_, b_ = f"{col} {a}", f"{col} {b}"
            self.ask_any("how much [more|larger] is the total {c} for {a} than for {b} in {f}|what is the difference between the total {c} of {a} and {b} in {f}|[compare|subtract]: total {c} for {a} minus total {c} for {b} in {f}", c=c, a=a_, b=b_, f=self.named(f.path))
        one, two = self.calls(("csv_query", {"path": f.path, "column": c, "operation": "sum", "where": f"{col} = {a}"}), ("csv_query", {"path": f.path, "column": c, "operation": "sum", "where": f"{col} = {b}"}))
        value = self.call("calculate", expression=f"{one} - {two}")
        self.tell(f"The difference is {value}.")

    # ---- folders, search ----

    def fill_folder(self, n=None):
        for _ in range(n or self.r.randint(1, 5)):
            self.add()

    def list_show(self):
        self.need("list_files")
        if self.chance(.8):
            self.fill_folder()
        folders = sorted({p.rsplit("/", 1)[0] for p in self.desk.files if "/" in p})
        if folders and self.chance(.5):
            d = self.r.choice(folders)
            self.ask_any("[list|show] [the|all|] files in {d}|what [is|'s] in [the folder|] {d}|which files are in [the folder|the directory|] {d}|what files does {d} [contain|have]|what is inside [of|] {d}|ls {d}|look into the folder {d}", d=d)
            text = self.call("list_files", path=d)
        else:
            d = ""
            self.ask_any("[list|show] [the|all|my|] files|which files are [here|there]|what files do [I|we] have|what is in [this folder|the workspace|the current directory|here]|show me [what is here|the files|the directory]|ls|what have we got here|list everything [here|in this folder|in the workspace]")
            text = self.call("list_files", **({"path": "."} if self.chance(.5) else {}))
        names = text.split("\n")
        if text == "(no files)":
            self.tell("There are no files.")
        else:
            where = f" in {d}" if d else ""
            self.tell(f"There {'are' if len(names) > 1 else 'is'} {join_list(self.r, names)}{where}." if self.chance(.85) else f"{'Files' if len(names) > 1 else 'File'}{where}: {', '.join(names)}")
        if self.chance(.3) and any(f.facts and f.path in self.desk.files for f in self.made) and self.has("read_file"):
            f = self.r.choice([f for f in self.made if f.facts])
            phrase, value, _ = self.fact_question(f)
            self.ask_any(self.READ_ASK, f=f.path, q=phrase)
            self.call("read_file", path=f.path)
            self.tell(self.fact_answer(phrase, value))

    def list_count(self):
        self.need("list_files")
        self.fill_folder(self.r.randint(2, 5))
        folders = sorted({p.rsplit("/", 1)[0] for p in self.desk.files if "/" in p})
        d = self.r.choice(folders) if folders and self.chance(.5) else "."
        self.ask_any("how many files are {d}|count the files {d}|how many [things|entries] are {d}", d=f"in {d}" if d != "." else self.r.choice(("here", "in this folder", "in the workspace")))
        names = self.call("list_files", path=d).split("\n")
        self.tell(f"There {'are' if len(names) > 1 else 'is'} {len(names)}: {join_list(self.r, names)}.")

    def list_then_read(self):
        """The folder is named, the file only described."""
        self.need("list_files", "read_file")
        folder = folder_name(self.r, self.V)
        if any(p == folder or p.startswith(folder + "/") for p in self.desk.files):
            raise NotNow
        kinds = ["facts"] + [self.r.choice(("prose", "items", "table", "log")) for _ in range(self.r.randint(1, 3))]
        files = []
        for kind in kinds:
            f = make_file(self.r, self.V, kind)
            f.path = folder + "/" + f.path.rsplit("/", 1)[-1]
            if f.path not in self.desk.files:
                self.desk.files[f.path] = f.text
                files.append(f)
        target = files[0]
        base = target.path.rsplit("/", 1)[-1]
        stem, ending = base.rsplit(".", 1)
        if sum(x.path.endswith("." + ending) for x in files) == 1 and self.chance(.5):
            described = f"the {ending} file"
        else:
            described = f"the file about {stem}" if self.chance(.4) else f"the {stem} file"
            if sum(stem.split("_")[0].split("-")[0] in x.path for x in files) > 1:
                raise NotNow
        phrase, value, _ = self.fact_question(target)
        self.ask_any("[find|look for] {d} in [the folder|] {f} and tell me {q}|in [the folder|] {f} there is {d}: what is {q}|what is {q} according to {d} in {f}|look into {f}, open {d} and [tell me|find] {q}|which value has {q} in {d} in [the folder|] {f}", d=described, f=folder, q=phrase)
        self.call("list_files", path=folder)
        self.call("read_file", path=target.path)
        self.tell(self.fact_answer(phrase, value))

    def search_show(self):
        self.need("search_files")
        self.fill_folder(self.r.randint(1, 4))
        f = self.add(self.r.choice(("facts", "todo", "log", "prose", "items")))
        tokens = [w for w in re.findall(r"[A-Za-z][A-Za-z'-]{3,}", f.text)]
        if not tokens:
            raise NotNow
        query = self.r.choice(tokens)
        words = f.text.split()
        if self.chance(.25) and len(words) > 2:
            i = self.r.randrange(len(words) - 1)
            two = " ".join(words[i:i + 2]).strip(".,:;-")
            query = two if two in f.text and "|" not in two and "[" not in two and len(two) > 4 else query
        if self.chance(.08):
            query = self.V.nonce(3)
        single = self.chance(.4)
        if single:
            self.ask_any("which lines [in|of] {f} contain {q}|search {f} for {q}|find {q} in {f}|[does|where does] {f} mention {q}|show [me|] the lines [in|of] {f} that [contain|mention|have] {q}|look for {q} in {f}|grep {q} in {f}", f=self.named(f.path), q=self.quote(query))
            text = self.call("search_files", query=query, path=f.path)
        else:
            self.ask_any("which files [contain|mention|have] {q}|[search|look] for {q} [in all files|in the files|everywhere|]|where [is|do I find] {q} [mentioned|written|]|find {q} [in my files|in the workspace|in the files|]|in which file is {q}|which file mentions {q}|is there anything about {q} in [my|the] files|search [the files|the workspace|everything] for {q}", q=self.quote(query))
            text = self.call("search_files", query=query)
        if text.startswith("no line"):
            self.say("[No file mentions {q}.|No line contains {q}.]", q=query)
            return
        hits = [x.split(":", 2) for x in text.split("\n")]
        asked = self.messages[-3]["content"].lower()
        if not single and ("which file" in asked or "in which file" in asked):
            names = list(dict.fromkeys(h[0] for h in hits))
            self.tell(f"{query} is in {join_list(self.r, names)}." if self.chance(.6) else f"{join_list(self.r, names)} {'mentions' if len(names) == 1 else 'mention'} {query}.")
        elif len(hits) == 1:
            self.tell(f"{hits[0][0]}, line {hits[0][1]}: {hits[0][2].strip()}")
        elif len(hits) <= 5:
            self.tell("\n".join(f"{h[0]}, line {h[1]}: {h[2].strip()}" for h in hits))
        else:
            names = list(dict.fromkeys(h[0] for h in hits))
            self.tell(f"There are {len(hits)} lines with {query}, in {join_list(self.r, names)}.")

    def quote(self, text):
        return self.r.choice((text, text, f'"{text}"', f"'{text}'", f"the word {text}" if " " not in text else f'"{text}"'))

    def search_then_read(self):
        """Nobody knows the file: search for the topic, read what was found, answer."""
        self.need("search_files", "read_file")
        self.fill_folder(self.r.randint(1, 3))
        f = self.add("facts")
        topic = f.topic.split()[0]
        others = "\n".join(t for p, t in self.desk.files.items() if p != f.path)
        if len(topic) < 4 or topic.lower() in others.lower() or topic.lower() not in f.text.lower() or len(f.facts) < 2:
            raise NotNow
        phrase, value, key = self.r.choice([x for x in f.facts])
        self.ask_any("find the file [about|that mentions] {t} and tell me {q}|[one of my files|some file] [is about|mentions] {t}. What is {q} in it|search my files for {t} and read the file to find {q}|somewhere I wrote about {t}: what was {q}", t=topic, q=phrase)
        text = self.call("search_files", query=topic)
        if len({x.split(":")[0] for x in text.split("\n")}) != 1:
            raise NotNow
        if value in text and self.chance(.6):
            self.tell(self.fact_answer(phrase, value))
            return
        self.call("read_file", path=f.path)
        self.tell(self.fact_answer(phrase, value))

    # ---- errors ----

    def misspell(self, path):
        """A path that is nearly right."""
        folder, _, base = path.rpartition("/")
        stem, _, ending = base.rpartition(".")
        x = self.r.random()
        if folder and self.chance(.35):
            x = .8  # the right name in another folder, or in none
        if x < .2 and len(stem) > 3:
            i = self.r.randrange(len(stem) - 1)
            stem = stem[:i] + stem[i + 1:]
        elif x < .35:
            stem = stem[:-1] if stem.endswith("s") and len(stem) > 3 else stem + "s"
        elif x < .5:
            ending = self.r.choice([e for e in ("txt", "md", "csv", "json", "log", "yaml") if e != ending])
        elif x < .62 and len(stem) > 3:
            i = self.r.randrange(len(stem) - 1)
            stem = stem[:i] + stem[i + 1] + stem[i] + stem[i + 2:]
        elif x < .74:
            stem = self.r.choice((self.V.word(), self.r.choice(BASES)))
        elif x < .87:
            folder = folder_name(self.r, self.V) if self.chance(.5) or not folder else ""
        else:
            stem = stem.replace("_", "-") if "_" in stem else stem.replace("-", "_") if "-" in stem else stem + self.r.choice(("1", "_old", "2"))
        wrong = (folder + "/" if folder else "") + stem + ("." + ending if ending else "")
        if wrong in self.desk.files or not stem:
            raise NotNow
        return wrong

    def recover(self, error, wrong, right):
        """From an error about a path to the right one: by the hint, or by listing. Returns the path to go on with."""
        hinted = re.search(r"did you mean (.+)\?$", error)
        if hinted:
            if hinted.group(1) != right:
                raise NotNow
            return right
        folder, _, base = right.rpartition("/")
        near = tools_twin.distance(base, wrong.rsplit("/", 1)[-1]) < max(4, len(base) // 2) or base.rsplit(".", 1)[-1] == wrong.rsplit(".", 1)[-1]
        here = re.search(r"; files (?:here|in [^:]*): (.+)$", error)
        if here:
            names = here.group(1).split(", ")
            prefix = wrong.rpartition("/")[0]
            same = [n for n in names if n == base]
            if base in names and folder == prefix and (len(names) == 1 or near) and sum(n.rsplit(".", 1)[-1] == base.rsplit(".", 1)[-1] for n in names) == 1:
                return right
        if not self.has("list_files"):
            raise NotNow
        # Look from the top: one folder after the other until the file shows.
        listed = self.call("list_files", path=".").split("\n")
        at = ""
        for part in right.split("/")[:-1]:
            if part + "/" not in listed:
                raise NotNow
            if sum(x.endswith("/") for x in listed) > 2:
                raise NotNow
            at = at + "/" + part if at else part
            listed = self.call("list_files", path=at).split("\n")
        ending = base.rsplit(".", 1)[-1]
        alike = [x for x in listed if x.rsplit(".", 1)[-1] == ending and not x.endswith("/")]
        if len(alike) > 1 and not (tools_twin.distance(base, wrong.rsplit("/", 1)[-1]) < 3 or base == wrong.rsplit("/", 1)[-1]):
            raise NotNow
        return right

    def wrong_path(self):
        """wrong path, (list,) right path, answer; or: there is no such file."""
        self.need("read_file")
        if self.chance(.7):
            self.fill_folder(self.r.randint(1, 4))
        if self.chance(.22):
            return self.no_such_file()
        f = self.add("facts")
        wrong = self.misspell(f.path)
        phrase, value, _ = self.fact_question(f)
        show = self.chance(.25) and len(f.text) < 300
        if show:
            self.ask_any(self.READ_SHOW, f=wrong)
        else:
            self.ask_any(self.READ_ASK, f=self.r.choice((wrong, f"the file {wrong}")), q=phrase)
        error = self.call("read_file", path=wrong)
        right = self.recover(error, wrong, f.path)
        text = self.call("read_file", path=right)
        if show:
            self.tell(f"{wrong} does not exist, but {right} contains:\n{text.rstrip()}")
        else:
            self.tell(self.fact_answer(phrase, value) if self.chance(.7) else f"There is no {wrong}, but {right} says: {phrase} is {value.rstrip('.')}.")

    def no_such_file(self):
        wrong = self.new_path()
        if any(tools_twin.distance(wrong.rsplit("/", 1)[-1], p.rsplit("/", 1)[-1]) < 6 for p in self.desk.files):
            raise NotNow
        if self.chance(.5):
            self.ask_any(self.READ_SHOW, f=self.named(wrong) if "/" not in wrong else wrong)
        else:
            other = make_file(self.r, self.V, "facts")
            self.ask_any(self.READ_ASK, f=wrong, q=self.r.choice(other.facts)[0])
        error = self.call("read_file", path=wrong)
        if "did you mean" in error:
            raise NotNow
        if self.has("list_files") and "; files " not in error and self.chance(.6):
            self.call("list_files", path=".")
        self.say("[There is no file {f}.|I could not find {f}.|{f} does not exist.]", f=wrong)

    def wrong_folder(self):
        self.need("list_files")
        self.fill_folder(self.r.randint(2, 4))
        folders = sorted({p.split("/")[0] for p in self.desk.files if "/" in p})
        d = folder_name(self.r, self.V) if not folders or self.chance(.4) else self.r.choice((folders[0] + "s", folders[0][:-1], folders[0].capitalize()))
        if not d or any(p == d or p.startswith(d + "/") for p in self.desk.files):
            raise NotNow
        self.ask_any("[list|show] the files in {d}|what is in the folder {d}|which files are in {d}", d=d)
        error = self.call("list_files", path=d)
        hinted = re.search(r"did you mean (.+)\?$", error)
        if hinted and hinted.group(1) in folders:
            names = self.call("list_files", path=hinted.group(1)).split("\n")
            self.tell(f"There is no {d}, but {hinted.group(1)} holds {join_list(self.r, names)}.")
        elif hinted:
            raise NotNow
        else:
            self.say("[There is no folder {d}.|The folder {d} does not exist.]", d=d)

    def absolute_path(self):
        self.need("read_file")
        f = self.add("facts")
        phrase, value, _ = self.fact_question(f)
        self.ask_any(self.READ_ASK, f="/" + f.path, q=phrase)
        self.call("read_file", path="/" + f.path)
        self.call("read_file", path=f.path)
        self.tell(self.fact_answer(phrase, value))

    def repeated(self):
        """A model that asks the same again gets the same result; then it must answer (agent.c)."""
        self.need("read_file")
        f = self.add("facts")
        phrase, value, _ = self.fact_question(f)
        self.ask_any(self.READ_ASK, f=self.named(f.path), q=phrase)
        self.call("read_file", path=f.path)
        self.call("read_file", quiet=True, path=f.path)
        self.tell(self.fact_answer(phrase, value))

    def denied(self):
        self.need("write_file")
        path, content = self.new_path(), self.content_text()
        self.ask_write(path, content)
        self.messages.append({"role": "assistant", "calls": [{"name": "write_file", "arguments": {"path": path, "content": content}}]})
        self.used.add("write_file")
        self.messages.append({"role": "tool", "content": f"denied: {self.alias('write_file')} may not run here ({self.r.choice(('policy says deny', 'nobody approved it', 'nobody approved it'))}); answer without it"})
        self.say("[I may not write {f} here.|I was not allowed to write {f}.|Writing {f} was not allowed.]", f=path)

    # ---- writing ----

    def content_text(self):
        r, V, x = self.r, self.V, self.r.random()
        if x < .3:
            return V.sentence()
        if x < .4:
            return V.t_text()[0]
        if x < .5:
            return r.choice((str(r.randint(1, 99999)), f"{r.uniform(0, 999):.2f}", V.t_code()[0], V.t_id()[0], V.word(), V.nonce()))
        if x < .6:
            return r.choice((f"Total: {r.randint(1, 9999)}", f"The {V.pick_noun()} is {V.pick_adj()}.", f"{V.word()}={V.digits(3)}", f"{V.person()}, {V.t_phone()[0]}", f"The total is {r.uniform(1, 900):.2f}.", f"{V.pick_noun()}: {V.phrase()}", V.t_url()[0], V.t_email()[0]))
        if x < .7:
            return " ".join(V.word() for _ in range(r.randint(1, 9)))
        if x < .8:
            return V.phrase()
        if x < .9:
            return f"{V.phrase()} {r.choice(('at', 'on', 'for', 'with'))} {r.choice((V.date()[1], V.person(), V.t_place()[0], V.time()[1]))}"
        return V.t_task()[0]

    def ask_write(self, path, content):
        quoted = self.r.choice((f'"{content}"', f'"{content}"', f"'{content}'", f"`{content}`")) if '"' not in content and "'" not in content else f'"{content}"' if '"' not in content else content
        f = self.r.choice((path, path, path, f"the file {path}", f'"{path}"', f"a file called {path}", f"a file named {path}"))
        if self.chance(.75):
            self.ask_any("[write|save|store|put] {c} [to|in|into] {f}|create {f} with [the text|the content|] {c}|[make|create] {f} [that says|containing|with] {c}|save the text {c} [in|as|to] {f}|{f} should [contain|say|hold] {c}|write the [text|line|sentence|words] {c} [to|into] {f}|"
                         "in {f}, write {c}|[put|write] {c} [into|in] {f}", c=quoted, f=f)
        else:
            self.user(say(self.r, self.r.choice(("[Write|Save|Put] this [to|in|into] {f}: {c}", "[create|make] {f} with this content: {c}", "[Write|save|store] [to|in] {f}: {c}", "{f}: write {c}", "Save [in|to|as] {f} the following[ text|]: {c}", "please write into {f}:\n{c}", "[Save|Write] the following [in|to] {f}:\n{c}")), f=f, c=content))

    def write_text(self):
        self.need("write_file")
        path, content = self.new_path(), self.content_text()
        if self.chance(.12):
            lines = [self.content_text().replace("\n", " ") for _ in range(self.r.randint(2, 4))]
            content = "\n".join(lines)
            self.user(say(self.r, self.r.choice(("[Write|Save] [these lines|this] [to|in] {f}:\n{c}", "create {f} with these lines:\n{c}", "put this into {f}:\n{c}")), f=path, c=content))
        elif self.chance(.18):
            items = list({self.r.choice((self.V.word(), self.r.choice(FOODS), self.V.phrase(), self.V.first())) for _ in range(self.r.randint(2, 5))})
            content = "\n".join(items)
            self.ask_any("[write|save] [the lines|these lines] {c} [to|in] {f}[, one per line|]|[write|make] a list with {c} [to|in] {f}, one per line|[put|write] {c} [in|into] {f}, each on [its own line|a line of its own]", c=join_list(self.r, items), f=path)
        else:
            self.ask_write(path, content)
        self.call("write_file", path=path, content=content)
        self.say("[I wrote it to {f}.|I saved it in {f}.|I wrote the text to {f}.]", f=path)
        self.desk.files[path] = content
        if self.chance(.2) and self.has("read_file"):
            self.ask_any("[now|] read {f} [back|again|]|what is in {f} now|show me {f}|check what {f} says", f=path)
            self.call("read_file", path=path)
            self.tell(f"{path} contains:\n{content}" if "\n" in content else f"{path} says: {content}")

    def copy_file(self):
        self.need("read_file", "write_file")
        f = self.add(self.r.choice(("facts", "todo", "prose", "items")))
        if len(f.text) > 450:
            raise NotNow
        path = self.new_path()
        self.ask_any("copy {f} to {g}|make a copy of {f} [named|called|as|in] {g}|duplicate {f} as {g}|[read|take] {f} and [save|write] [the same text|its content|it] [to|as|in] {g}", f=self.named(f.path) if self.chance(.5) else f.path, g=path)
        text = self.call("read_file", path=f.path)
        self.call("write_file", path=path, content=text)
        self.say("[I copied {f} to {g}.|{g} is now a copy of {f}.]", f=f.path, g=path)

    def append_line(self):
        self.need("read_file", "write_file")
        f = self.add(self.r.choice(("todo", "items", "facts", "prose")))
        if len(f.text) > 350 or f.text.endswith("\n"):
            raise NotNow
        line = self.r.choice((self.V.t_task()[0], f"{self.V.word()}: {self.r.randint(1, 99)}", self.V.sentence(), f"- {self.V.phrase()}"))
        self.ask_any('[add|append] [the line|] "{l}" to {f}|add "{l}" at the end of {f}|put "{l}" below the [text|lines] in {f}|[append|add] to {f}: {l}', l=line, f=self.named(f.path))
        text = self.call("read_file", path=f.path)
        self.call("write_file", path=f.path, content=text + "\n" + line)
        self.say("[I added the line to {f}.|The line is now in {f}.]", f=f.path)

    def replace_word(self):
        self.need("read_file", "write_file")
        f = self.add("facts")
        if len(f.text) > 350:
            raise NotNow
        _, value, key = self.r.choice(f.facts)
        new = str(self.V.word()) if not value.isdigit() else str(self.r.randint(1, 999))
        if f.text.count(value) != 1 or f.path.endswith("json"):
            raise NotNow
        self.ask_any("[replace|change] {v} [with|by|to] {n} in {f}|[set|change] the {k} in {f} to {n}|in {f}, the {k} should be {n}", v=value, k=key, n=new, f=self.named(f.path)) if self.chance(.5) else self.ask_any("[change|set] the {k} in {f} [from {v}|] to {n}", v=value, k=key, n=new, f=self.named(f.path))
        text = self.call("read_file", path=f.path)
        self.call("write_file", path=f.path, content=text.replace(value, new))
        self.say("[I changed it in {f}.|The {k} in {f} is now {n}.]", f=f.path, k=key, n=new)

    def extract_write(self):
        """read, write one value (or remember it)."""
        self.need("read_file")
        f = self.add("facts")
        phrase, value, key = self.fact_question(f)
        if self.has("remember") and self.chance(.35):
            self.ask_any("[find|look up|get] {q} in {f} and remember it|read {f} and remember {q}|remember {q} from {f}|what is {q} in {f}? [Remember|Keep] it", q=phrase, f=self.named(f.path))
            self.call("read_file", path=f.path)
            self.call("remember", text=f"{phrase} is {value}")
            self.tell(f"{self.fact_answer(phrase, value)} I will remember it.")
            return
        self.need("write_file")
        path = self.new_path()
        self.ask_any("[find|look up|get] {q} in {f} and [write|save|put] it [to|in|into] {g}|[write|save|copy] {q} from {f} [to|in|into] {g}|read {f} and [save|write] {q} [to|in] {g}|take {q} from {f} and put it [in|into] {g}", q=phrase, f=self.named(f.path), g=path)
        self.call("read_file", path=f.path)
        self.call("write_file", path=path, content=value)
        self.tell(f"{sentence(phrase)[:-1]} is {value.rstrip('.')}. I wrote it to {path}.")

    def list_write(self):
        self.need("list_files", "write_file")
        self.fill_folder(self.r.randint(1, 4))
        path = self.new_path()
        self.ask_any("write the [names of the files|list of files|file names] [here|in this folder|] to {g}|[list|find] the files [here|] and save the [list|names] in {g}", g=path)
        text = self.call("list_files", path=".")
        self.call("write_file", path=path, content=text)
        self.say("[I wrote the names to {g}.|The list is in {g}.]", g=path)

    # ---- arithmetic ----

    def arithmetic(self):
        """(request, expression)."""
        r, V = self.r, self.V
        money = lambda: r.choice((str(r.randint(2, 900)), f"{r.uniform(1, 99):.2f}", f"{r.uniform(1, 50):.1f}", str(r.randint(1, 60) * 10)))
        a, b, c = r.randint(2, 999), r.randint(2, 99), r.randint(2, 99)
        x = r.randint(0, 19)
        if x < 3:
            op = r.choice("+-*/")
            word = {"+": ("plus", "+", "and"), "-": ("minus", "-"), "*": ("times", "*", "x", "multiplied by"), "/": ("divided by", "/")}[op]
            p, q = (money(), money()) if r.random() < .5 else (str(a), str(b))
            w = r.choice(word)
            return self.pick("what is {e}|how much is {e}|[calculate|compute|work out] {e}|{e}|what's {e}|{e} = ?").replace("{e}", f"{p} {w} {q}" if w != "and" else f"{p} + {q}"), f"{p} {op} {q}"
        if x < 5:
            numbers = [money() for _ in range(r.randint(3, 6))]
            return say(r, "[add up|sum up|add|what is the sum of|what is the total of|total of|sum] ") + join_list(r, numbers), " + ".join(numbers)
        if x == 5:
            numbers = [str(r.randint(1, 100)) for _ in range(r.randint(3, 5))]
            return say(r, "[what is the average of|the mean of|average of|compute the average of] ") + join_list(r, numbers), "(" + " + ".join(numbers) + f") / {len(numbers)}"
        if x < 8:
            p, q = r.randint(1, 95), r.choice((a, r.randint(1, 90) * 100, money()))
            return say(r, "[what is|how much is|calculate|compute|find] {p}[%| percent] of {q}", p=p, q=q), f"{q} * {p} / 100"
        if x < 11:
            price = money()
            return say(r, "[I buy {n} {i} at {p} each. [What do I pay|How much is that|What is the total]|what do {n} {i} cost at {p} [each|a piece|per piece]|{n} {i} for {p} each, how much is that|{n} times {i} at {p}: what is the total|one {i} is {p}. What do {n} cost]", n=b, i=V.pick(FOODS) if r.random() < .6 else V.word(), p=price), f"{b} * {price}"
        if x == 11:
            return say(r, "[split {a} [among|between] {b} people|if {b} [people|friends] share {a}, [how much|what] does each [one|] get|divide {a} [equally|] by {b}|{a} shared by {b}: how much each]", a=a * 10, b=b), f"{a * 10} / {b}"
        if x < 14:
            price, p = money(), r.randint(5, 60)
            return say(r, "[a price of {a} is reduced by {p}%. What is the new price|{a} minus {p}% [discount|]|what do I pay for {a} with {p} percent off|take {p}% off {a}|{a} with {p}% discount]", a=price, p=p), f"{price} * (100 - {p}) / 100"
        if x == 14:
            price, p = money(), r.choice((5, 7, 8, 10, 15, 19, 20, 21, 25))
            return say(r, "[add {p}% tax to {a}|what is {a} plus {p}% [tax|VAT]|{a} increased by {p}%|a bill of {a} and {p}% tip: what do I pay]", a=price, p=p), f"{price} * (100 + {p}) / 100"
        if x == 15:
            e = r.choice((f"({a} + {b}) * {c}", f"{a} * {b} + {c}", f"{a} - {b} * {c}", f"({a} - {b}) / {c}", f"{a} / {b} + {c}", f"2 * ({a} + {b})"))
            return say(r, "[what is|calculate|evaluate|compute|how much is] ") + e, e
        if x == 16:
            h, w = r.randint(2, 60), money()
            return say(r, "[I work {h} hours for {w} [per|an] hour, what do I earn|how much is {h} hours at {w} an hour|{h} hours at {w} each hour: what is the pay]", h=h, w=w), f"{h} * {w}"
        if x == 17:
            n = r.randint(2, 40)
            return r.choice((f"what is {n} squared", f"the square of {n}", f"{n} to the power of 2")), f"{n} ^ 2"
        if x == 18:
            n = r.randint(2, 50) ** 2
            return r.choice((f"what is the square root of {n}", f"square root of {n}", f"sqrt of {n}")), f"sqrt({n})"
        paid, cost = r.randint(2, 20) * 10, r.randint(5, 90)
        return say(r, "[I pay with {a} and it costs {b}. How much change do I get|change for {a} when the bill is {b}|what is left of {a} after spending {b}|I had {a} and spent {b}. What is left]", a=paid + cost, b=cost), f"{paid + cost} - {cost}"

    def calculate(self):
        self.need("calculate")
        request, expression = self.arithmetic()
        tail, after = self.tail() if self.chance(.5) else ("", {"do": "", "path": ""})
        if tail:
            request = request.rstrip("?") + ("?" + tail if tail[0] == "." and is_question(request) else tail)
            request = request.replace("?.", "?")
        self.user(polish(self.r, say(self.r, request.replace("{", "(").replace("}", ")") if not tail else request, **after) if tail else request))
        value = self.call("calculate", expression=expression)
        self.finish(after, value, self.r.choice((f"The result is {value}.",) * 4 + (f"It is {value}.",)))
        while self.chance(.22):
            op, words = self.r.choice((("*", ("times", "multiplied by")), ("+", ("plus", "add")), ("-", ("minus", "subtract")), ("/", ("divided by",))))
            n = self.r.randint(2, 60)
            p = self.r.randint(2, 60)
            if self.chance(.25):
                self.user(say(self.r, "[and with {p} percent [discount|off]?|now with {p}% discount|take {p}% off|and {p}% less?]", p=p))
                expression = f"{value} * (100 - {p}) / 100"
            else:
                w = self.r.choice(words)
                self.user(say(self.r, "[and that {w} {n}?|now {w} {n}|{w} {n}|and {w} {n}?|take the result {w} {n}]", w=w, n=n) if w not in ("add", "subtract") else say(self.r, "[{w} {n}|now {w} {n}|then {w} {n}]", w=w, n=n))
                expression = f"{value} {op} {n}"
            value = self.call("calculate", expression=expression)
            self.tell(f"The result is {value}.")

    def problem(self):
        """A sum in words (problems.txt)."""
        self.need("calculate")
        r, V = self.r, self.V
        question, expression, answer = r.choice(PROBLEMS)
        price = lambda: r.choice((f"{r.uniform(1, 99):.2f}", f"{r.uniform(1, 60):.1f}", str(r.randint(2, 400))))
        cheap = lambda: r.choice((f"{r.uniform(.3, 19.9):.2f}", f"{r.uniform(1, 19.9):.1f}", str(r.randint(1, 19))))
        slots = {"a": r.randint(2, 40), "b": r.randint(2, 40), "c": r.randint(2, 40), "p": price(), "q": price(), "m": r.choice((5, 10, 12, 15, 18, 20, 25, 30, 40)), "x": r.choice((r.randint(41, 120), r.randint(100, 2000))),
                 "n": r.choice((50, 100, 200)), "y": r.randint(2001, 9000), "h": r.randint(42, 90), "g": r.randint(4, 39) * 25,
                 "u": cheap(), "v": cheap(), "s": r.randint(2, 9), "w": r.randint(2, 5), "s2": r.randint(2, 9), "s3": r.randint(2, 9), "s4": r.randint(2, 9),
                 "i": r.choice((V.pick(FOODS), V.word() + "s", V.pick_noun() + "s")), "j": r.choice((V.word(), V.pick_noun())), "k": V.first()}
        tail, after = self.tail() if self.chance(.3) else ("", {"do": "", "path": ""})
        request = say(r, question, **slots)
        if tail:
            request = request.rstrip("?") + ("?" if is_question(request) and self.chance(.5) else "") + say(r, tail, **after)
        else:
            request += r.choice(("", "?", "?")) if not request.startswith(("convert", "take", "double")) else ""
        self.user(request[0].upper() + request[1:] if self.chance(.5) else request)
        value = self.call("calculate", expression=expression.format(**slots))
        self.finish(after, value, (lambda x: x[0].upper() + x[1:])(answer.format(r=value, **slots)))

    def note_sum(self):
        """A note, and something to be calculated from it."""
        self.need("read_file", "calculate")
        names, text, question, expression, answer = cards.draw_sum(self.r, self.V)
        path = self.new_path(names if self.chance(.7) else BASES)
        self.desk.files[path] = text
        tail, after = self.tail() if self.chance(.3) else ("", {"do": "", "path": ""})
        if tail:
            self.ask_plain("read {f}: {q}?" + tail if tail[0] == "." else "{f}: {q}" + tail, f=path, q=question, **after)
        else:
            self.ask_plain(self.NATURAL_ONE, f=self.named(path), q=question)
        self.call("read_file", path=path)
        value = self.call("calculate", expression=expression)
        self.finish(after, value, answer.format(r=value))

    AMOUNT_LINES = ("{k} = {v}", "{k}: {v}", "{k} {v}", "- {k}: {v}", "- {k} {v}", "{v} {k}", "{k} ({v})", "{k}, {v}", "{k} ... {v}", "{k} - {v}", "{k}={v}", "* {k}  {v}", "| {k} | {v} |", "{k}: {v} EUR", "{k}: ${v}", "{v} for {k}", "{k} cost {v}", "paid {v} for {k}", "{v}", "{v}", "{v} {u}", "- {v}", "{k} {v} {u}")
    AMOUNTS_OF = "bills costs prices expenses fees amounts items things purchases payments dues donations savings weights lengths hours minutes points jars boxes tickets visitors pages liters".split()
    SUM_ALL = ("what do the {w} in {f} come to|add up the {w} in {f}|how much are the {w} in {f} [together|in all]|[work out|find|give me] the total of {f}|sum [up|] {f}|{f}: what is the total|what does everything in {f} make|what is the sum of all {w} in {f}|"
               "how much did [I|we] [spend|pay] in all[, see|? It is in] {f}|the {w} are in {f}. What do they add up to|I need the total of the {w}[ in|: they are in| from] {f}|put the {w} in {f} together|all the {w} in {f}, added up|tell me what the {w} in {f} [sum to|amount to|make]|"
               "how many {w} are [listed|counted|there] in {f} altogether|count the {w} in {f} together|total {f} for me|what is the grand total in {f}|read {f} and add everything")

    def amounts(self, least=3, most=8):
        """Names and numbers, whole and not: nothing of them may be left out."""
        r = self.r
        n = r.choices(range(least, most + 1), [most + 3 - i for i in range(least, most + 1)])[0]
        style = r.choice(("mixed", "mixed", "money", "whole", "tenths"))
        number = {"mixed": lambda: r.choice((str(r.randint(1, 990)), f"{r.uniform(1, 99):.2f}", f"{r.uniform(1, 99):.1f}", str(r.randint(1, 60) * 10))), "money": lambda: f"{r.uniform(.3, 200):.2f}",
                  "whole": lambda: str(r.randint(1, r.choice((20, 99, 999)))), "tenths": lambda: f"{r.uniform(.1, 60):.1f}"}[style]
        names = []
        while len(names) < n:
            name = r.choice((self.V.word, self.V.pick_noun, lambda: r.choice(FOODS), self.V.first, lambda: r.choice(("rent", "power", "water", "phone", "gas", "heating", "insurance", "internet", "gym", "taxes", "bus", "lunch", "books"))))()
            if name not in names:
                names.append(name)
        return names, [number() for _ in names]

    def sum_all(self):
        """The sum of all amounts of a file, or of a request."""
        self.need("calculate")
        r = self.r
        names, numbers = self.amounts()
        expression = " + ".join(numbers)
        tail, after = self.tail() if self.chance(.5) else ("", {"do": "", "path": ""})
        word = r.choice(self.AMOUNTS_OF)
        if self.chance(.25):
            items = join_list(r, [f"{v} for {k}" if self.chance(.5) else f"{k} {v}" for k, v in zip(names, numbers)] if self.chance(.6) else numbers)
            self.ask_any("[I paid|I have|we spent|here are|add up] {x}[. What is that|: how much|. Total| in all]|what do {x} [make|come to]|{x}: what is the sum", x=items)
            if after["do"]:
                self.messages[-1]["content"] = self.messages[-1]["content"].rstrip("?.") + say(r, tail, **after)
        else:
            self.need("read_file")
            form, unit = r.choice(self.AMOUNT_LINES), r.choice(("kg", "m", "km", "h", "EUR", "l", "pages", "min"))
            lines = [form.format(k=k, v=v, u=unit) for k, v in zip(names, numbers)]
            text = "\n".join(lines)
            if self.chance(.25):
                text = r.choice((word.capitalize(), f"# {word.capitalize()}", self.V.pick_noun().capitalize(), f"{word} of {self.V.first()}:")) + "\n" + text
            elif self.chance(.12) and form[0] not in "-*|":
                text = r.choice(("; ", ", ")).join(lines) if not "," in form else "; ".join(lines)
            path = self.new_path([word] + BASES if self.chance(.5) else BASES)
            if path.endswith(".csv"):
                raise NotNow
            self.desk.files[path] = text + r.choice(("", "\n"))
            self.ask(self.pick(self.SUM_ALL) + tail, f=self.named(path), w=word, **after)
            self.call("read_file", path=path)
        value = self.call("calculate", expression=expression)
        self.finish(after, value, f"The total is {value}.")

    def sum_files(self):
        """One amount in each of several files."""
        self.need("read_file", "calculate")
        r = self.r
        names, numbers = self.amounts(2, 5)
        key = r.choice(("used", "total", "count", "amount", "paid", "hours", "km", "visitors", "eggs", "weight", "sold"))
        form = r.choice(("{key}: {v}", "{key} = {v}", "{v} {key}", "{v}", "{key} {v}", "{name}: {v}", "{name}\n{key}: {v}"))
        folder = r.choice(("", "", self.V.word() + "/"))
        ending = r.choice(("txt", "txt", "md", "log"))
        paths = []
        for name, number in zip(names, numbers):
            path = f"{folder}{name.replace(' ', '_').lower()}.{ending}"
            if path in self.desk.files or folder[:-1] in self.desk.files:
                raise NotNow
            self.desk.files[path] = form.format(key=key, v=number, name=name) + r.choice(("", "\n"))
            paths.append(path)
        tail, after = self.tail() if self.chance(.4) else ("", {"do": "", "path": ""})
        self.ask(self.pick("{fs} each [say|hold|give] [how much|a number|an amount]. How much in all|add up the numbers in {fs}|what do {fs} [come to|make] together|read {fs} and [add|sum up] what they say|what is the total over {fs}|sum of {fs}|take the numbers from {fs} and add them") + tail, fs=join_list(r, paths), **after)
        if self.chance(.5):
            self.calls(*(("read_file", {"path": path}) for path in paths))
        else:
            for path in paths:
                self.call("read_file", path=path)
        value = self.call("calculate", expression=" + ".join(numbers))
        self.finish(after, value, f"The total is {value}.")

    def card_lookup(self):
        """A tool of one's own whose result is a note, and a question about it in other words."""
        r = self.r
        names, text, questions = cards.draw(r, self.V)
        if not questions:
            raise NotNow
        noun = r.choice(names)
        verb = r.choice(("get", "lookup", "show", "fetch", "read", "find", "query", "info"))
        name = style_name([verb, *re.findall(r"[A-Za-z]+", noun)[:2]] if self.chance(.7) else [self.V.word(), verb], r)
        properties, arguments, ask = {}, {}, ""
        if self.chance(.6):
            key = r.choice(("name", "id", "which", "code", "of", noun.split("_")[0], "query"))
            value = drill.phrase(r, self.V)
            properties[key] = {"type": "string"}
            if self.chance(.6):
                properties[key]["description"] = r.choice((f"Which {noun}.", f"Name of the {noun}.", f"The {noun} to look up."))
            arguments[key] = value
            ask = r.choice((f" for {value}", f" of {value}", f" ({value})", f", {noun} {value}"))
        schema = {"name": name, "description": r.choice((f"What is noted about {noun}.", f"Gives the note on {noun}.", f"Looks up the {noun}.", f"Shows the {noun} as it is kept.")), "parameters": {"type": "object", "properties": properties}}
        if properties:
            schema["parameters"]["required"] = list(properties)
        if name in [s["name"] for s in self.extras] or name in BUILTIN:
            raise NotNow
        self.extras.append(schema)
        question, answer = r.choice(questions)
        head = r.choice((f"look up the {noun}{ask}: ", f"check the {noun}{ask}. ", f"in the {noun}{ask}, ", f"the {noun}{ask}: "))
        request = r.choice((head + question + "?", f"{question}? Look up the {noun}{ask}."))
        self.user(request[0].upper() + request[1:] if self.chance(.6) else request)
        self.messages.append({"role": "assistant", "calls": [{"name": name, "arguments": arguments}]})
        self.messages.append({"role": "tool", "content": text.rstrip("\n")})
        self.tell(sentence(answer[0].upper() + answer[1:]))
        others = [q for q in questions if q[0] != question]
        while others and self.chance(.35):
            question, answer = others.pop(r.randrange(len(others)))
            self.user(say(r, r.choice(("and {q}?", "And {q}?", "{q}?")), q=question))
            self.tell(sentence(answer[0].upper() + answer[1:]))

    def copy_line(self):
        """One line of a file into another file."""
        self.need("read_file", "write_file")
        f = self.add(self.r.choice(("todo", "prose", "facts", "log", "items")))
        lines = [x for x in f.text.split("\n") if x.strip()]
        if "\n\n" in f.text or len(lines) < 2:
            raise NotNow
        which, line = self.r.choice((("first", lines[0]), ("last", lines[-1]), ("second", lines[1])))
        path = self.new_path()
        self.ask_any("[copy|write|put|save] the {w} line of {f} [to|in|into] {t}|take the {w} line of {f} and [save|write] it [to|in] {t}|read {f} and [write|save] its {w} line [to|in] {t}", w=which, f=self.named(f.path), t=path)
        self.call("read_file", path=f.path)
        self.call("write_file", path=path, content=line)
        self.say("[I wrote it to {f}.|I saved it in {f}.]", f=path)

    # ---- memory ----

    def remember_fact(self):
        self.need("remember")
        fact = self.facts.draw()
        text = fact.text
        if self.chance(.06):
            text = self.content_text()
        shown = text if self.chance(.85) else f'"{text}"'
        self.ask_any("remember that {t}|remember: {t}|[keep in mind|note|memorize|make a note|don't forget|save|store] that {t}|remember this: {t}|[please|] remember {t}|save [this|the fact] [in memory|for later|]: {t}|I want you to remember that {t}|for later: {t}|keep this in [memory|mind]: {t}|"
                     "[add|save] to [your|the] memory that {t}|remember the following: {t}|take note: {t}|write to memory: {t}", t=shown)
        self.call("remember", text=text)
        self.tell(self.r.choice((f"I will remember that {flip(text)}.",) * 4 + ("I will remember it.",)))
        if self.chance(.3) and self.has("recall") and text == fact.text:
            # later in the same conversation: what was said is still there
            if self.chance(.5):
                self.smalltalk()
            question = fact.question()
            self.user(question[0].upper() + question[1:] + "?" if self.chance(.6) else question)
            if self.chance(.6):
                self.desk.memories.insert(0, self.desk.memories.pop(self.desk.memories.index(text)))
                self.call("recall", query=fact.search())
            self.tell(sentence(flip(text)))

    def recall_fact(self):
        """A later conversation: only what recall finds is known."""
        self.need("recall")
        fact = self.facts.draw()
        others = []
        while len(others) < self.r.choice((0, 0, 1, 2, 4, 4, 4)):
            other = self.facts.draw()
            if other.key() != fact.key() and other.relation.name != fact.relation.name and other.text not in others:
                others.append(other.text)
        if self.chance(.25) and fact.subject and len(others) < 4:  # the same kind of fact about somebody else
            for _ in range(10):
                near = type(fact)(self.facts, fact.relation)
                if near.subject != fact.subject and near.value != fact.value:
                    others.append(near.text)
                    break
        known = self.chance(.82)
        facts = others[:4] + ([fact.text] if known else [])
        if self.chance(.4) and known:
            facts = [fact.text] + [x for x in facts if x != fact.text]
        else:
            self.r.shuffle(facts)
        self.desk.memories = facts[:5]
        question = fact.question()
        question = question + "?" if self.chance(.7) else question
        if self.chance(.15):
            question = self.r.choice(("do you remember {q}", "can you recall {q}", "do you know {q}", "look in your memory: {q}", "I told you once: {q}", "remind me: {q}", "what do you know about this: {q}")).format(q=question)
        elif self.chance(.06):
            question = f"what do you [know|remember] about {fact.subject or fact.search()}?"
            question = say(self.r, question)
        self.user(question[0].upper() + question[1:] if self.chance(.6) else question)
        self.call("recall", query=content_words(question) if self.chance(.85) else fact.search())
        if not facts:
            self.say("[I do not remember anything about that.|Nothing is remembered about that.]")
        elif not known:
            self.say("[I do not remember that.|My memory has nothing about that.|I don't know, nothing about that is remembered.]")
        else:
            if self.chance(.2) and self.has("write_file"):
                pass
            self.tell(sentence(flip(fact.text)))
        if known and self.chance(.15) and self.has("write_file"):
            path = self.new_path()
            self.ask_any("[write|save|put] [that|it] [to|in|into] {f}", f=path)
            self.call("write_file", path=path, content=fact.value)
            self.say("[I wrote it to {f}.|I saved it in {f}.]", f=path)

    def recall_then(self):
        """recall, then write or calculate with it."""
        self.need("recall")
        fact = self.facts.draw()
        self.desk.memories = [fact.text]
        while len(self.desk.memories) < self.r.choice((1, 1, 2, 3)):
            other = self.facts.draw()
            if other.relation.name != fact.relation.name:
                self.desk.memories.append(other.text)
        if self.has("write_file") and self.chance(.6):
            path = self.new_path()
            self.ask_any("[find|look] in [your|the] memory {q} and write it to {f}|{q}? [Write|Save] it [to|in] {f}|recall {q} and [save|write] it [in|to] {f}", q=fact.question(), f=path)
            self.call("recall", query=fact.search())
            self.call("write_file", path=path, content=fact.value)
            self.tell(f"{sentence(flip(fact.text))} I wrote it to {path}.")
            return
        self.need("calculate")
        m = re.search(r"\d+(\.\d+)?", fact.value)
        if fact.relation.value != "amount" or not m:
            raise NotNow
        n = self.r.randint(2, 24)
        self.ask_any("{q}? And {n} times that|{q}, and what is that times {n}", q=fact.question(), n=n)
        self.call("recall", query=fact.search())
        value = self.call("calculate", expression=f"{m.group(0)} * {n}")
        self.tell(f"{sentence(flip(fact.text))} {n} times that is {value}.")

    def noted(self):
        """Notes from memory stand in front of the words (limits.recalled)."""
        fact = self.facts.draw()
        notes = [fact.text] + [self.facts.draw().text for _ in range(self.r.randint(0, 3))]
        self.r.shuffle(notes)
        question = fact.question()
        self.user("Notes from memory:\n" + "".join(f"- {x}\n" for x in notes) + "\n" + question + ("?" if self.chance(.6) else ""))
        self.tell(sentence(flip(fact.text)))

    # ---- dates ----

    def clock(self):
        self.need("now")
        kind = self.r.choice(("time", "weekday", "date", "date", "tomorrow", "days", "days", "until", "until", "weekday_in", "year", "write", "both", "month", "month", "month", "yesterday"))
        t = self.desk.now
        iso = lambda d: d.strftime("%Y-%m-%d")
        if kind == "time":
            self.ask_any("what time is it [now|]|what's the time|how late is it|tell me the [current|] time|current time|time please|do you have the time")
            self.call("now")
            self.tell(f"It is {t:%H:%M}.")
        elif kind == "weekday":
            self.ask_any("what day is [it|today]|which [weekday|day of the week] is [it|today]|what day of the week is it [today|]|is today a weekday")
            self.call("now")
            weekday = f"{t:%A}"
            asked = self.messages[-3]["content"].lower()
            self.tell(f"Today is {weekday}." if "is today a" not in asked else f"{'No' if t.weekday() > 4 else 'Yes'}, today is {weekday}.")
        elif kind in ("date", "both"):
            self.ask_any("what is [the date|today's date] [today|]|which date is [it|today]|what's the date|what date do we have [today|]|today's date[, please|]|tell me the [date|current date]" if kind == "date" else "what is the date and time|tell me date and time|what day and time is it")
            self.call("now")
            self.tell(f"Today is {t:%A}, {iso(t)}." if kind == "date" else f"It is {t:%A}, {iso(t)}, {t:%H:%M}.")
        elif kind in ("year", "month"):
            self.ask_any(f"what {kind} is it|which {kind} [is it|do we have|are we in]|tell me the [current|] {kind}|remind me what {kind} it is|what {kind} are we in|is this still the same {kind}? Which one is it|the {kind}, please|I forgot which {kind} it is")
            self.call("now")
            self.tell(f"It is {t:%Y}." if kind == "year" else f"It is {t:%B}.")
        elif kind in ("tomorrow", "yesterday"):
            d = t + datetime.timedelta(days=1 if kind == "tomorrow" else -1)
            if self.chance(.5):
                self.ask_any(f"what [day|weekday] {'is' if kind == 'tomorrow' else 'was'} {kind}|which day of the week {'is' if kind == 'tomorrow' else 'was'} {kind}")
                self.call("now")
                self.tell(f"{kind.capitalize()} {'is' if kind == 'tomorrow' else 'was'} {d:%A}.")
            else:
                self.ask_any(f"what [date|is the date] {'is' if kind == 'tomorrow' else 'was'} {kind}|which date {'is' if kind == 'tomorrow' else 'was'} {kind}|{kind}'s date".replace("what is the date is", "what date is").replace("what is the date was", "what date was"))
                self.call("now")
                self.tell(f"{kind.capitalize()} {'is' if kind == 'tomorrow' else 'was'} {d:%A}, {iso(d)}.")
        elif kind == "days":
            n = self.r.choice((2, 3, 5, 7, 10, 14, 20, 21, 28, 30)) if self.chance(.6) else self.r.randint(2, 40)
            d = t + datetime.timedelta(days=n)
            self.ask_any("what [date|day] [is it|will it be] in {n} days|which date is {n} days from [now|today]|what is the date in {n} days|{n} days from today is which date|date in {n} days", n=n)
            self.call("now")
            if self.has("calculate"):
                day = int(self.call("calculate", expression=f"{t.day} + {n}"))
                length = (t.replace(day=28) + datetime.timedelta(days=4)).replace(day=1) - datetime.timedelta(days=1)
                if day > length.day:
                    rest = int(self.call("calculate", expression=f"{day} - {length.day}"))
                    if rest > 28:
                        raise NotNow
            elif n > 9:
                raise NotNow
            self.tell(f"In {n} days it is {iso(d)}.")
        elif kind == "until":
            n = self.r.randint(1, 75)
            d = t + datetime.timedelta(days=n)
            event = self.r.choice(("", "", self.V.word() + " day", self.r.choice(("the party", "the deadline", "the trip", "the exam", "my birthday", "the move", "the concert"))))
            shown = self.r.choice((iso(d), f"{d.day} {d:%B}", f"{d:%B} {d.day}", f"{d.day} {d:%B} {d.year}", f"{d:%B} {d.day}, {d.year}"))
            target = f"{event} on {shown}" if event else shown
            self.ask_any("how many days [are left|are there|is it|] until {d}|how long is it until {d}|days until {d}|how many days [to|till] {d}", d=target)
            self.call("now")
            self.need("calculate")
            parts, at = [], t
            if (at.year, at.month) == (d.year, d.month):
                expression = f"{d.day} - {t.day}"
            else:
                first = (at.replace(day=28) + datetime.timedelta(days=4)).replace(day=1)
                parts = [f"({(first - datetime.timedelta(days=1)).day} - {t.day})"]
                at = first
                while (at.year, at.month) != (d.year, d.month):
                    following = (at.replace(day=28) + datetime.timedelta(days=4)).replace(day=1)
                    parts.append(str((following - datetime.timedelta(days=1)).day))
                    at = following
                expression = " + ".join(parts + [str(d.day)])
            value = self.call("calculate", expression=expression)
            self.tell(f"It is {value} days until {shown}." if value != "1" else f"It is 1 day until {shown}.")
        elif kind == "weekday_in":
            self.need("calculate")
            n = self.r.randint(2, 60)
            d = t + datetime.timedelta(days=n)
            self.ask_any("[what|which] [weekday|day of the week] is it in {n} days|what day of the week will it be in {n} days|{n} days from now is which weekday", n=n)
            self.call("now")
            if n > 6:
                self.call("calculate", expression=f"{n} % 7")
            self.tell(f"In {n} days it is {d:%A}.")
        else:
            self.need("write_file")
            path = self.new_path()
            what = self.r.choice(("date", "date", "time", "weekday"))
            self.ask_any("[write|save|put] [the current|today's|the] {w} [to|in|into] {f}|[create|make] {f} with the current {w}", w=what, f=path)
            self.call("now")
            content = {"date": iso(t), "time": f"{t:%H:%M}", "weekday": f"{t:%A}"}[what]
            self.call("write_file", path=path, content=content)
            self.tell(f"I wrote {content} to {path}.")

    # ---- talking ----

    HELLO = (("[hi|hello|hey|good morning|hi there|hello!|hey there|good evening|Hi!|Hello|good day]", "Hello! How can I help you?"),
             ("[thanks|thank you|thanks a lot|great, thank you|perfect, thanks!|thx|thank you so much|thanks, that helps|cheers]", "You're welcome!"),
             ("[bye|goodbye|see you|that's all for now|good night|that is all]", "Goodbye!"),
             ("[who are you?|what are you?|tell me about yourself|are you a human?|what's your name?]", "I am a small language model that runs on this machine and can use tools."),
             ("[how are you?|how is it going?|how do you do?|are you okay?]", "I am fine, thank you. How can I help you?"),
             ("[ok|okay|great|nice|cool|good job|well done|awesome|perfect]", "Good. Let me know if you need anything else."))

    def smalltalk(self):
        question, answer = self.r.choice(self.HELLO)
        text = say(self.r, question)
        self.user(text if self.chance(.5) else text[0].upper() + text[1:])
        self.tell(answer)

    def from_talk(self):
        """The answer is in what was said before: no tool."""
        fact = self.facts.draw()
        self.user(sentence(fact.text) if self.chance(.6) else fact.text)
        if self.has("remember"):
            raise NotNow
        self.say("[Okay.|Got it.|Thanks for telling me.|Good to know.]")
        question = fact.question()
        self.user(question[0].upper() + question[1:] + "?" if self.chance(.6) else question)
        self.tell(sentence(flip(fact.text)))

    DECLINE = ("I have no tool for that.|I can't do that: none of my tools fits.|None of my tools can do that.|I'm sorry, I have no tool for that.").split("|")

    def decline(self):
        """Nothing on offer fits."""
        x = self.r.random()
        if x < .5 and self.unseen:
            tool, messages = self.unseen.single()
            words = set(re.findall(r"[a-z]{4,}", (tool.name + " " + tool.desc).lower()))
            for name in self.offered:
                if words & {"file", "files", "date", "time", "memory", "remember", "calculate", "expression", "text", "search", "note", "notes", "compute", "number", "days", "fact", "list", "convert", "sum", "average"}:
                    raise NotNow
            for extra in self.extras:
                if words & set(re.findall(r"[a-z]{4,}", (extra["name"] + " " + extra.get("description", "")).lower())) - {"with", "from", "given", "this", "that"}:
                    raise NotNow
            self.user(messages[0]["content"])
        elif x < .7:
            request = self.r.choice((f"book a [flight|train|hotel|table] to {self.V.t_city()[0]}", f"what's the weather in {self.V.t_city()[0]}", f"call {self.V.person()}", f"[send|write] an email to {self.V.person()}", f"play [some|] {self.V.word()} music", f"turn [on|off] the [light|heating|fan] in the {self.V.t_room()[0]}",
                                     f"order {self.r.randint(1, 9)} {self.V.t_product()[0]}", f"translate {self.V.word()} to {self.V.t_lang()[0]}", f"[buy|sell] {self.r.randint(1, 90)} shares of {self.V.t_company()[0]}", f"take a [photo|picture|screenshot]", f"open the [door|window|garage]", f"post this on [the web|my page]: {self.V.sentence()}",
                                     f"what is the capital of {self.V.t_country()[0]}", f"show me the route to {self.V.t_place()[0]}", f"[start|stop] the {self.V.t_service()[0]} service", f"print {self.r.randint(2, 9)} copies", f"who won the match between {self.V.t_team()[0]} and {self.V.t_team()[0]}", f"set an alarm for {self.V.time()[1]}", f"draw a [picture|map] of {self.V.t_city()[0]}", f"download {self.V.t_url()[0]}"))
            if any(w in request for w in ("translate", "weather")) and any(w in json.dumps(self.extras) for w in ("ranslat", "eather")):
                raise NotNow
            if self.extras:
                raise NotNow
            self.user(polish(self.r, say(self.r, request)))
        else:
            missing = [n for n in BUILTIN if n not in self.offered]
            requests = {"write_file": f"[write|save] \"{self.V.sentence()}\" to {self.new_path()}", "now": "what time is it", "remember": f"remember that {self.facts.draw().text}", "read_file": f"read {self.new_path()}",
                        "list_files": "[list|show] the files [here|]", "calculate": f"what is {self.r.randint(100, 999)} * {self.r.randint(11, 99)}", "search_files": f"search the files for {self.V.word()}"}
            options = [n for n in missing if n in requests]
            if "read_file" in options and (self.has("csv_query") or self.has("search_files") or self.has("list_files")):
                options.remove("read_file")
            if "search_files" in options and (self.has("read_file") or self.has("list_files")):
                options.remove("search_files")
            if not options or self.extras:
                raise NotNow
            self.user(polish(self.r, say(self.r, requests[self.r.choice(options)].replace("[", "[").replace("{", "(").replace("}", ")"))))
        self.tell(self.r.choice(self.DECLINE[:2]) if self.chance(.8) else self.r.choice(self.DECLINE))

    def ask_back(self):
        """An argument is missing: one question; then it is there."""
        r, V = self.r, self.V
        kind = r.choice([n for n in ("read_file", "write_file", "write_path", "remember", "search_files", "calculate", "csv_query") if self.has({"write_path": "write_file"}.get(n, n))] or [None])
        if kind is None:
            raise NotNow
        if kind == "read_file":
            f = self.add("facts")
            phrase, value, _ = r.choice(f.facts)
            ask_fact = self.chance(.5)
            self.ask_any("[read|open|show me] [the|a|my] file|read it|I want to read a file|[show|open] a file for me" if not ask_fact else "read [the|my] file and tell me {q}|look into the file and find {q}|[in the file|according to the file], what is {q}", q=phrase)
            self.say("Which file should I read?")
            self.user(r.choice((f.path, f"{f.path}", f"It's {f.path}", f"the file is {f.path}", f"{f.path} please", f"Read {f.path}")))
            text = self.call("read_file", path=f.path)
            self.tell(self.fact_answer(phrase, value) if ask_fact else (f"{f.path} contains:\n{text.rstrip()}" if "\n" in text else f"{f.path} says: {text.rstrip()}"))
        elif kind == "write_file":
            content, path = self.content_text(), self.new_path()
            self.ask_any('[write|save] "{c}" [to|in|into] a file|[save|store] "{c}"|put "{c}" in a file|create a file [with|that says] "{c}"', c=content)
            if self.messages[-1]["content"].lower().startswith(("save", "store")) and self.has("remember"):
                self.messages.pop()
                raise NotNow
            self.say("Which file should I write it to?")
            self.user(r.choice((path, f"to {path}", f"{path} please", f"call it {path}", f"into {path}", f"name it {path}")))
            self.call("write_file", path=path, content=content)
            self.say("[I wrote it to {f}.|I saved it in {f}.]", f=path)
        elif kind == "write_path":
            content, path = self.content_text(), self.new_path()
            self.ask_any("[write|create|make] [the file|] {f}|write something to {f}|[make|create] a file called {f}|save a text in {f}", f=path)
            self.say("What should I write to {f}?", f=path)
            self.user(r.choice((content, f'"{content}"', f"write {content}" if '"' not in content else content)))
            self.call("write_file", path=path, content=content)
            self.say("[I wrote it to {f}.|I saved it in {f}.]", f=path)
        elif kind == "remember":
            fact = self.facts.draw()
            self.ask_any("remember something [for me|]|[I want you to|please] remember this|[keep|note] something [for me|for later|in memory]|can you remember a fact for me")
            self.say("What should I remember?")
            self.user(r.choice((fact.text, fact.text + ".", f"that {fact.text}")))
            self.call("remember", text=fact.text)
            self.tell(f"I will remember that {flip(fact.text)}.")
        elif kind == "search_files":
            f = self.add("todo")
            word = r.choice(re.findall(r"[a-z]{4,}", f.text) or [""])
            if not word:
                raise NotNow
            self.ask_any("search [my|the|] files|[search|look] for something in [my|the] files|find something in my files|do a search")
            self.say("What should I search for?")
            self.user(r.choice((word, f'"{word}"', f"for {word}", f"the word {word}")))
            text = self.call("search_files", query=word)
            hits = [x.split(":", 2) for x in text.split("\n")]
            if len(hits) > 4:
                raise NotNow
            self.tell("\n".join(f"{h[0]}, line {h[1]}: {h[2].strip()}" for h in hits))
        elif kind == "calculate":
            request, expression = self.arithmetic()
            self.ask_any("[calculate|compute] something [for me|]|can you do some math|I need [a calculation|something calculated]|do a calculation|use the calculator")
            self.say("What should I calculate?")
            self.user(request)
            value = self.call("calculate", expression=expression)
            self.tell(f"The result is {value}.")
        else:
            f = self.add("table")
            number = [n for n, k in f.columns if k in ("cents", "tenths", "int", "age", "big")]
            if not number:
                raise NotNow
            c = r.choice(number)
            operation, word = r.choice((("sum", "total"), ("average", "average"), ("max", "highest"), ("min", "lowest")))
            self.ask_any("what is the {w} {c}|[compute|find|calculate] the {w} {c}|{w} {c} please", w=word, c=c)
            if self.has("recall"):
                self.messages.pop()
                raise NotNow
            self.say("In which file?" if self.chance(.0) else "Which file should I look in?")
            self.user(r.choice((f.path, f"in {f.path}", f"it is {f.path}", f"{f.path} please")))
            result = self.call("csv_query", path=f.path, column=c, operation=operation)
            self.tell(f"The {word} {c.replace('_', ' ')} is {result}.")

    def refer_back(self):
        """save it, remember that: the last answer is meant."""
        last = self.messages[-1] if self.messages else None
        if not last or last["role"] != "assistant" or not last.get("content") or len(last["content"]) > 120 or "\n" in last["content"] or "I wrote" in last["content"] or "remember" in last["content"]:
            raise NotNow
        m = re.search(r" is (?:the )?([^ ].*?)\.?$", last["content"])
        if not m or last["content"].startswith(("It is", "There", "I ", "No ", "None")) or len([x for x in last["content"] if x == "."]) > 3:
            raise NotNow
        value = last["content"].rstrip(".").split(" is ", 1)[1]
        if self.has("write_file") and self.chance(.6):
            path = self.new_path()
            whole = self.chance(.3)
            if whole:
                self.ask_any("[write|save] [that sentence|your answer|this sentence] [to|in|into] {f}", f=path)
            else:
                self.ask_any("[write|save|put|store] [it|that|the value|this] [to|in|into] {f}|save [that|it] as {f}|now write [it|that] to {f}", f=path)
            self.call("write_file", path=path, content=last["content"] if whole else value)
            self.say("[I wrote it to {f}.|I saved it in {f}.]", f=path)
        else:
            self.need("remember")
            self.ask_any("remember [that|this|it]|[keep|save] that in memory|memorize that|please remember this for later")
            text = last["content"].rstrip(".")
            text = text[0].lower() + text[1:] if text.startswith(("The ", "Your ", "In ")) else text
            text = text.replace("your ", "my ") if text.startswith("your") else text
            self.call("remember", text=text)
            self.tell("I will remember it." if self.chance(.3) else f"I will remember that {flip(text)}.")

    def as_json(self):
        """The answer under a caller's schema (structured_answer in agent.c): JSON right away. Only its values are learned."""
        self.need("read_file")
        f = self.add("facts")
        k = self.r.randint(1, min(3, len(f.facts)))
        picked = self.r.sample(f.facts, k)
        phrase, value, key = picked[0]
        self.ask_any(self.READ_ASK, f=self.named(f.path), q=join_list(self.r, [x[0] for x in picked]) if self.chance(.6) else phrase)
        self.call("read_file", path=f.path)
        pieces = [("{", 0)]
        for i, (_, v, key) in enumerate(picked):
            number = re.fullmatch(r"-?\d+(\.\d+)?", v)
            pieces += [(("" if i == 0 else ", ") + json.dumps(key.replace(" ", "_")) + ": ", 0), (v if number else json.dumps(v, ensure_ascii=False), 1)]
        pieces.append(("}", 1))
        self.messages.append({"role": "assistant", "pieces": pieces})

    # ---- tools of one's own beside the built-in ones ----

    def own_tool(self):
        if not self.own:
            raise NotNow
        tool, messages = self.own.pop()
        self.messages += messages

    TASKS = [("read_natural", 48), ("natural_chain", 12), ("natural_search", 8), ("card_lookup", 16), ("sum_all", 16), ("sum_files", 7), ("read_answer", 10), ("read_show", 5), ("read_missing_fact", 2), ("read_two", 3), ("first_line", 2), ("todo_count", 2), ("read_calculate", 14), ("csv_ask", 11), ("csv_natural", 12), ("csv_who", 4), ("csv_wrong_column", 3), ("csv_wrong_path", 2),
             ("csv_compare", 2), ("list_show", 6), ("list_count", 2), ("list_then_read", 4), ("search_show", 7), ("search_then_read", 3), ("wrong_path", 8), ("wrong_folder", 1), ("absolute_path", 1), ("repeated", 1.5), ("denied", 2),
             ("write_text", 11), ("copy_file", 3), ("append_line", 3), ("replace_word", 2), ("extract_write", 7), ("list_write", 1), ("calculate", 8), ("problem", 9), ("note_sum", 12), ("copy_line", 2), ("remember_fact", 9), ("recall_fact", 13), ("recall_then", 3),
             ("noted", 1), ("clock", 9), ("smalltalk", 2), ("from_talk", 1), ("decline", 7), ("ask_back", 5), ("refer_back", 6), ("as_json", 2), ("own_tool", 8)]
    NAMES, WEIGHTS = [t for t, _ in TASKS], [w for _, w in TASKS]

    def alias(self, name):
        return self.disguise[name][0] if name in self.disguise else name

    def choose_tools(self, scene=None):
        """What is offered: two to all of the built-in tools, some under other names, at times others beside them."""
        r = self.r
        names = list(BUILTIN)
        x = r.random()
        if scene:
            offered = set(scene.used) | {name for name in scene.extra if name in BUILTIN}
            if scene.only is not None:
                offered |= {name for name in scene.only if name in BUILTIN}
            else:
                others = [n for n in names if n not in offered and n not in scene.without]
                offered |= set(r.sample(others, min(len(others), r.choice((0, 0, 1, 1, 2, 3, 4, 6, 9)))))
            offered = sorted(offered)
        elif x < .2:
            offered = names
        elif x < .3:
            offered = r.choice((["read_file", "calculate"], ["read_file", "calculate", "write_file", "remember", "recall"], ["search_files"], ["read_file"], ["read_file", "calculate", "write_file"], ["remember", "recall"], ["csv_query"], ["csv_query", "read_file", "calculate"],
                                ["now", "calculate"], ["list_files", "read_file"], ["write_file"], ["calculate"], ["now"], ["read_file", "write_file"], ["search_files", "read_file"], ["list_files", "read_file", "search_files"], ["csv_query", "write_file"]))
        else:
            offered = r.sample(names, r.choice((2, 3, 3, 4, 4, 5, 5, 6, 7, 8)))
        self.offered = set(offered)
        self.extras, self.own = list(scene.own.values()) if scene else [], []
        if scene and (scene.only is not None or scene.label.startswith("declin")):
            pass  # another tool might do what none of these can
        elif self.unseen and r.random() < (.25 if scene else .4):
            for _ in range(r.randint(1, max(1, 10 - len(offered)))):
                if r.random() < .6:
                    tool, messages = self.unseen.single()
                    schema = tool.schema
                    self.own.append((tool, messages))
                else:
                    schema = self.unseen.distract([], 1)[0]
                words = set(re.findall(r"[a-z]{4,}", (schema["name"] + " " + schema.get("description", "")).lower()))
                clash = words & {"file", "files", "directory", "memory", "remember", "calculate", "expression", "arithmetic", "calculator", "clock", "time", "date", "text", "fact", "facts", "search", "database"}
                if clash or schema["name"] in [s["name"] for s in self.extras] or any(schema.get("description", schema["name"]) == s.get("description") for s in self.extras):
                    if self.own and self.own[-1][0].schema is schema:
                        self.own.pop()
                    continue
                self.extras.append(schema)
        self.disguise = {}
        if r.random() < .3:
            for name in self.offered:
                if r.random() < .7:
                    alias = r.choice(DISGUISE[name][0]) if r.random() < .9 else self.V.nonce()
                    if alias not in [d[0] for d in self.disguise.values()] and alias not in [s["name"] for s in self.extras] and alias not in BUILTIN:
                        self.disguise[name] = (alias, r.choice(DISGUISE[name][1]), {k: r.choice(v) if r.random() < .6 else k for k, v in DISGUISE[name][2].items()})

    def schemas(self):
        out = []
        for name in self.offered:
            tool = BUILTIN[name]
            if name in self.disguise:
                alias, description, renamed = self.disguise[name]
                parameters = copy.deepcopy(tool["parameters"])
                parameters["properties"] = {renamed.get(k, k): v for k, v in parameters["properties"].items()}
                if "required" in parameters:
                    parameters["required"] = [renamed.get(k, k) for k in parameters["required"]]
                tool = {"name": alias, "description": description, "parameters": parameters}
            out.append(tool)
        out += self.extras
        if self.r.random() < .4:
            out.sort(key=lambda t: t["name"])
        else:
            self.r.shuffle(out)
        return out

    def rename_calls(self):
        for message in self.messages:
            for call in message.get("calls", []):
                if call["name"] in self.disguise:
                    alias, _, renamed = self.disguise[call["name"]]
                    call["name"], call["arguments"] = alias, {renamed.get(k, k): v for k, v in call["arguments"].items()}

    def instructions(self):
        r = self.r
        x = r.random()
        if x < .5:
            return None
        if x < .75:
            return r.choice(SYS)
        text = r.choice(INSTRUCTIONS).format(p=self.V.person(), n=self.V.nonce().capitalize(), c=self.V.t_company()[0])
        return text if r.random() < .7 else text + " " + r.choice(INSTRUCTIONS[:2] + ["Answer in one sentence.", "Speak plainly."])

    def scene(self, scene):
        """A task written by hand, among other files and memories."""
        r = self.r
        if not scene.alone and self.chance(.35):
            self.fill_folder(r.randint(1, 3))
        others = [self.facts.draw().text for _ in range(r.randint(1, 3))] if any(step[0] == "mem" for step in scene.setup) and self.chance(.5) else []
        try:
            messages = scenes.play(scene, r, self.V, self.desk, others)
        except scenes.Wrong:
            raise NotNow
        self.messages += messages

    AMONG = (1, 2, 3, 4, 6), (42, 22, 16, 12, 8)  # tasks in a conversation
    SCENES = .58  # of the conversations begin with one

    def attempt(self, name, *more):
        """One task; the conversation is as before when it does not fit."""
        state = len(self.messages), dict(self.desk.files), list(self.desk.memories), list(self.made)
        try:
            getattr(self, name)(*more)
            return True
        except NotNow:
            del self.messages[state[0]:]
            self.desk.files, self.desk.memories, self.made = state[1], state[2], state[3]
            return False

    def doc(self, only=None):
        """A conversation; with a scene, that scene and nothing behind it (None when it does not fit)."""
        r = self.r
        self.messages, self.used, self.made, self.topic, self.value = [], set(), [], None, None
        stamp = datetime.datetime(r.randint(2024, 2030), 1, 1) + datetime.timedelta(days=r.randint(0, 364), seconds=r.randint(0, 86399))
        self.desk = tools_twin.Desk(now=stamp)
        scene = only or (r.choice(scenes.SCENES) if r.random() < self.SCENES else None)
        self.choose_tools(scene)
        wanted = r.choices(*self.AMONG)[0]
        done, tries = 0, 0
        if scene:
            done = self.attempt("scene", scene)
            if only and not done:
                return None
            wanted = 1 if only else r.choices((1, 2, 3), (65, 20, 15))[0] if done else wanted
        elif len(self.offered) < 9 and r.random() < .3:
            self.attempt("decline")
        while (done < wanted or not self.messages) and tries < 60:
            tries += 1
            name = r.choices(self.NAMES, self.WEIGHTS)[0]
            if done and name == "as_json":
                continue
            if self.attempt(name):
                done += 1
                if name == "as_json":
                    break
                if r.random() < .25:
                    self.attempt("refer_back")
        if not self.messages:
            return self.doc()
        self.rename_calls()
        return {"sys": self.instructions(), "tools": self.schemas(), "messages": self.messages}


if __name__ == "__main__":
    import random
    import sys
    import unseen
    from render import render
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    tasks = Tasks(random.Random(seed), unseen.Gen(seed))
    for _ in range(int(sys.argv[2]) if len(sys.argv) > 2 else 20):
        text = "".join(text for text, _ in render(tasks.doc()))
        print(text[text.rfind("</tools>"):] if "--short" in sys.argv else text, "=" * 60, sep="\n")
