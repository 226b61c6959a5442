"""Notes as people keep them, with natural questions: cards.txt and cards/*.txt, filled with random values.

cards.txt has slots with fixed names (see `slots`). A card of cards/*.txt, line by line:
  @ name|other name ; of {p}   words for the file's name; with `of`: the slot that tells one such record from another, so that several may
                               stand in one note. `; fixed` behind it: the order of the lines means something
  = line                       a title: stands first or is missing
  : line       :? line         a line; one that may be missing. Slots are those of scenes.py: {n:int 2 9} {d:person} {x=red|blue}, then {n}
  ? question => answer         asks for something that stands in the note but not in the words of its line
  ?| question                  another wording of the question before. With `of`: a question that names {p} asks about one record, one whose
                               answer names {p} and whose own slots only that record has asks for the record
  ! question => expression => answer     something to calculate, {r} is the result
[a|b] chooses among wordings. A question whose slots are not all in the lines that were drawn is not asked.
`cards.py` checks all of them, `cards.py show 5 SEED` prints some.
"""
import datetime
import glob
import json
import os
import random
import re

from facts import POOL
from phrase import say
from scenes import SLOT, Values
from values import CITY, MONTHS, FOODS, Val

HERE = os.path.dirname(os.path.abspath(__file__))


class Card:
    def __init__(self, where, head):
        names, *more = head.split(" ; ")
        self.where, self.names, self.key, self.fixed = where, names.split("|"), None, "fixed" in more
        for x in more:
            if x.startswith("of "):
                self.key = x[3:].strip("{} ")
        self.title, self.lines, self.questions, self.sums = None, [], [], []  # lines: (text, may be missing); questions: ([wordings], answer)


def add(card, sign, rest):
    if sign == "=":
        card.title = rest
    elif sign in (":", ":?"):
        card.lines.append((rest, sign == ":?"))
    elif sign == "?":
        question, arrow, answer = rest.partition(" => ")
        if not arrow:
            raise ValueError("expected `question => answer`")
        card.questions.append(([question], answer))
    elif sign == "?|":
        card.questions[-1][0].append(rest)
    elif sign == "!":
        question, expression, answer = rest.split(" => ")
        card.sums.append((question, expression, answer))
    else:
        raise ValueError(f"{sign!r} begins no line of a card")


def load(path):
    cards = []
    with open(path) as file:
        for number, line in enumerate(file, 1):
            sign, _, rest = line.strip().partition(" ")
            if not sign or sign[0] == "#":
                continue
            where = f"{os.path.basename(path)}:{number}"
            try:
                if sign == "@":
                    cards.append(Card(where, rest))
                else:
                    add(cards[-1], sign, rest)
            except (ValueError, IndexError) as e:
                raise SystemExit(f"{where}: {e}")
    return cards


OLD = load(os.path.join(HERE, "cards.txt"))  # with slots of fixed names
CARDS = [card for path in sorted(glob.glob(os.path.join(HERE, "cards", "*.txt"))) for card in load(path)]


def slots(r, V):
    """A value for each slot that a card may use."""
    small = lambda: str(r.choice((r.randint(2, 12), r.randint(2, 60), r.randint(10, 999))))
    day = r.randint(1, 28)
    values = {"n": small(), "n2": small(), "n3": small(), "n4": str(r.randint(120, 250)), "dec": f"{r.uniform(.3, 30):.1f}", "money": f"{r.uniform(1, 900):.2f}",
              "hotel": r.choice((f"Hotel {V.last()}", f"{V.word().capitalize()} {r.choice(('Inn', 'House', 'Lodge', 'Palace'))}", f"Casa {V.word().capitalize()}", f"Pension {V.last()}")), "room": str(r.randint(1, 620)),
              "time": V.t_time()[0] if r.random() < .5 else f"{r.randint(6, 22)}:{r.choice(('00', '15', '20', '30', '40', '45', '55', '05'))}", "time2": f"{r.randint(6, 23)}:{r.randint(10, 59)}", "yesno": r.choice(("yes", "no")),
              "code": r.choice((V.t_code()[0], V.nonce(1).upper() + "-" + V.digits(4), V.digits(6))), "city": r.choice(CITY), "city2": r.choice(CITY), "weekday": V.t_weekday()[0],
              "person": V.person(), "topic": r.choice((V.t_topic()[0], V.word() + " " + V.pick_noun())), "place": r.choice((f"room {V.word().capitalize()}", f"the {V.word()} {r.choice(('hall', 'cafe', 'office', 'studio', 'room'))}", f"building {r.choice('ABCDE')}")),
              "thing": r.choice((f"the {V.word()}", f"a {V.pick_noun()}", f"the {V.word()} {V.pick_noun()}", r.choice(POOL["gift"]))), "name": r.choice((V.word().capitalize(), V.nonce().capitalize(), V.word().capitalize() + V.word().capitalize())),
              "pass": r.choice((f"{V.word()}-{V.word()}-{r.randint(10, 99)}", V.nonce() + V.digits(2), V.word() + V.digits(3), V.nonce().capitalize() + "!" + V.digits(2))), "ip": V.t_ip()[0], "word": V.word(), "word2": V.word(), "noun": V.pick_noun(),
              "a": r.choice("ABCDEFGH"), "food": r.choice(FOODS), "company": V.t_company()[0], "date": r.choice((f"{day} {r.choice(MONTHS)}", V.date()[0], f"{r.choice(MONTHS)} {day}")), "host": V.t_host()[0], "port": str(r.randint(1024, 65000)),
              "level": r.choice(("debug", "info", "warning", "error")), "path": "/" + "/".join(V.word() for _ in range(r.randint(1, 3))), "email": V.t_email()[0], "phone": V.t_phone()[0], "day": r.choice(("1st", "3rd", "5th", "15th", "28th")),
              "doctor": f"Dr. {V.last()}", "street": V.address(), "medicine": r.choice(POOL["medicine"]), "plant": V.t_plant()[0], "month": r.choice(MONTHS), "lang": V.t_lang()[0], "team": V.t_team()[0], "team2": V.t_team()[0],
              "service": V.t_service()[0], "cond": V.t_cond()[0], "digits": V.digits(4), "digits2": V.digits(5), "hiding": r.choice(POOL["hiding"]), "title": V.t_title()[0]}
    values.update(people=str(r.randint(2, 12)), nights=str(r.randint(2, 14)), big=str(r.randint(2, 99) * 25))
    values.update({k.capitalize(): v[:1].upper() + v[1:] for k, v in values.items() if k in ("thing", "plant", "yesno", "weekday")})
    return values


def drawn_slots(r, V, card):
    values = Values(r, V, datetime.datetime(2026, 5, 4, 10, 20))
    if card in OLD:
        values.values.update(slots(r, V))
    return values


PAIR = re.compile(r"([A-Za-z][\w' /-]{0,28}): (\S.*)")


def told_by(key, values):
    """Does the key hold what a slot has? Then it is no mere label: to rewrite it or to leave it out would lose what is asked for."""
    return any(v and v in key for v in values)


def lay_out(r, lines, values):
    """The lines in one of the ways in which people and programs write such things. values: what slots have; a key that holds one stays as it is."""
    pairs = [PAIR.fullmatch(line) for line in lines]
    x = r.random()
    if not all(pairs) or x < .4 or any(told_by(p.group(1), values) for p in pairs):
        return "\n".join("- " + line for line in lines) if .3 < x < .4 and lines[0][:1] not in "#-*{" else "\n".join(lines)
    pairs = [p.groups() for p in pairs]
    snake = lambda key: re.sub(r"\W+", "_", key.lower()).strip("_")
    if x < .48 and len(set(snake(k) for k, _ in pairs)) == len(pairs):
        number = lambda v: int(v) if re.fullmatch(r"[1-9]\d{0,8}", v) else v
        return json.dumps({snake(k): number(v) for k, v in pairs}, ensure_ascii=False, indent=r.choice((None, None, 1, 2)))
    form = r.choice(("{k} = {v}", "{s}: {v}", "{s} = {v}", "{s}={v}", "* {k}: {v}", "{k} - {v}", "{K}: {v}", "{k}  {v}", "| {k} | {v} |", "**{k}**: {v}", "{l}: {v}", "- {k}: {v}", "{k}:\n  {v}"))
    one_line = x > .9
    out = [form.format(k=k, v=v, s=snake(k), K=k.upper(), l=k[0].lower() + k[1:]) for k, v in pairs]
    return r.choice(("; ", ", ", " / ")).join(f"{k}: {v}" for k, v in pairs) if one_line and not any("," in v or ";" in v for _, v in pairs) else "\n".join(out)


def record(r, V, card, style=None):
    """(text, [(question, answer, slots that tell which record is meant)], values, lines) of one draw of the card. style: a Random for the layout."""
    values = drawn_slots(r, V, card)
    kept = [line for line, optional in card.lines if not optional or (style or r).random() < .6]
    if card not in OLD and not card.fixed and not style and len(kept) > 3 and r.random() < .25:
        del kept[r.randrange(len(kept))]
    title = card.title and r.random() < .5 and values.say(card.title)
    lines = [values.say(line) for line in kept]
    if not card.fixed and card not in OLD and not style and r.random() < .35:
        r.shuffle(lines)
    here = set(values.values)
    if card in OLD:
        here = {name for line in kept + [card.title or ""] for name in re.findall(r"\{(\w+)\}", line)} | {"Thing", "Plant", "Yesno", "Weekday"}
        here |= {x.lower() for x in here}
    text = "\n".join(lines) if card in OLD or card.fixed else lay_out(style or r, lines, set(values.values.values()))
    questions = []
    for wordings, answer in card.questions:
        question = r.choice(wordings)
        if all(m.group(1) is None or re.split(r"[:=]", m.group(1))[0] in here or m.group(1)[0] == "#" or " " in m.group(1) for m in SLOT.finditer(question + answer)):
            try:
                asks = None  # the slots by which the record is told from the others
                if card.key and "{" + card.key + "}" in question:
                    asks = [card.key]
                elif card.key and "{" + card.key + "}" in answer:
                    asks = [m.group(1) for m in SLOT.finditer(question) if m.group(1) in values.values]
                questions.append((values.say(question), values.say(answer), asks))
            except KeyError:
                pass
    return (title + "\n" if title and not style else "") + text, questions, values, lines


def table(r, rows, values):
    """The records as a table, if no key holds a slot's value; else None. A record's keys are wordings of the same thing."""
    pairs = [[PAIR.fullmatch(line) for line in lines] for lines in rows]
    if not all(all(row) for row in pairs):
        return None
    keys = [p.group(1) for p in pairs[0]]
    if any(len(row) != len(keys) or any(told_by(p.group(1), values) for p in row) for row in pairs) or any("," in p.group(2) or "|" in p.group(2) for row in pairs for p in row):
        return None
    cells = [keys] + [[p.group(2) for p in row] for row in pairs]
    if r.random() < .4:
        return "\n".join("| " + " | ".join(row) + " |" for row in cells)
    cell = r.choice((",", ",", ", ", ";", "\t"))
    return "\n".join(cell.join(row) for row in cells)


def draw(r, V):
    """(words for the file's name, text, [(question, answer)]) of one note."""
    card = r.choice(CARDS if r.random() < .85 else OLD)
    if card.key and r.random() < .55:  # several of a kind: which of them is the question
        seed = r.random()
        parts = [record(r, V, card, random.Random(seed)) for _ in range(r.choice((2, 2, 3, 4)))]
        if len({p[2].values.get(card.key) for p in parts}) == len(parts):
            text = table(r, [p[3] for p in parts], {x for p in parts for x in p[2].values.values()}) if r.random() < .35 else None
            if not text:
                text = r.choice(("\n\n", "\n---\n", "\n")).join(p[0].strip("\n") for p in parts)
            only = lambda part, slot: all(p is part or p[2].values.get(slot) != part[2].values[slot] for p in parts)
            questions = [q for p in parts for q in p[1] if q[2] and any(only(p, slot) for slot in q[2])]
            return card.names, text + r.choice(("", "\n")), [q[:2] for q in questions]
    text, questions = record(r, V, card)[:2]
    if r.random() < .1:
        text = r.choice((V.sentence() + "\n" + text, text + "\n" + V.sentence()))
    return card.names, text + r.choice(("", "\n")), [q[:2] for q in questions]


def draw_sum(r, V):
    """The same of a note that gives something to calculate: (words for the file's name, text, question, expression, answer with {r})."""
    card = r.choice([c for c in (CARDS if r.random() < .7 else OLD) if c.sums])
    values = drawn_slots(r, V, card)
    text = "\n".join(values.say(line) for line, _ in card.lines) + r.choice(("", "\n"))
    values.values["r"] = "{r}"
    question, expression, answer = (values.say(x) for x in r.choice(card.sums))
    return card.names, text, question, expression, answer


def check(rounds):
    """Each card many times: are all its slots there, are there questions?"""
    import tools_twin
    bad = asked = 0
    for card in CARDS + OLD:
        try:
            seen = set()
            for seed in range(rounds):
                r = random.Random(seed)
                V = Val(r)
                text, questions = record(r, V, card)[:2]
                seen |= {q[1] for q in questions}
                for question, answer, _ in questions:
                    if re.search(r"[{}\[\]]|=>", question + answer):
                        raise ValueError(f"a sign that was not filled in: {question} => {answer}")
            if not seen and card.questions:
                raise ValueError("no question can be asked")
            if card.key and not any("{" + card.key + "}" in q for wordings, _ in card.questions for q in wordings):
                raise ValueError(f"of {{{card.key}}}: no question names it")
            if card not in OLD:
                r = random.Random(1)
                values = drawn_slots(r, Val(r), card)
                for line, _ in card.lines:
                    values.say(line)
                values.say(card.title or "")
                for wordings, answer in card.questions:
                    for text in wordings + [answer]:
                        for m in SLOT.finditer(text):
                            if m.group(1) is not None and re.match(r"\w+[:=]", m.group(1)):
                                raise ValueError(f"{text}: a question defines no slot of its own")
                        values.say(text)
                for question, expression, answer in card.sums:
                    tools_twin.calculate({"expression": values.say(expression)})
                    values.values["r"] = "1"
                    values.say(question), values.say(answer)
            asked += sum(len(w) for w, _ in card.questions)
        except Exception as e:
            bad += 1
            print(f"{card.where}: {type(e).__name__}: {e}")
    print(f"{len(CARDS) + len(OLD)} cards, {asked} questions, {bad} wrong")
    return bad


if __name__ == "__main__":
    import sys
    if sys.argv[1:2] == ["show"]:
        r = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
        for _ in range(int(sys.argv[2]) if len(sys.argv) > 2 else 10):
            names, text, questions = draw(r, Val(r))
            print("----", names[0])
            print(text.rstrip("\n"))
            for question, answer in questions:
                print("  ?", question, "=>", answer)
    else:
        raise SystemExit(1 if check(int(sys.argv[1]) if len(sys.argv) > 1 else 40) else 0)
