"""Notes as people keep them, with natural questions: cards.txt, filled with random values."""
import os
import re

from facts import POOL
from phrase import say
from values import CITY, MONTHS, FOODS, Val

HERE = os.path.dirname(os.path.abspath(__file__))


def load():
    cards = []
    with open(os.path.join(HERE, "cards.txt")) as file:
        for line in file:
            sign, rest = line[:1], line[2:].strip()
            if sign == "@":
                cards.append({"names": rest.split("|"), "lines": [], "questions": [], "sums": []})
            elif sign == ":":
                cards[-1]["lines"].append(rest)
            elif sign == "?":
                cards[-1]["questions"].append(rest.split(" => "))
            elif sign == "!":
                cards[-1]["sums"].append(rest.split(" => "))
    return cards


CARDS = load()


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


def draw(r, V):
    """(words for the file's name, text, [(question, answer)]) of one note."""
    card = r.choice(CARDS)
    values = slots(r, V)
    lines = [line.format(**values) for line in card["lines"]]
    here = set(re.findall(r"\{(\w+)\}", " ".join(card["lines"])))
    if len(lines) > 2 and lines[0][0] != "{" and r.random() < .3:  # not everything is there; what is gone is not asked
        gone = r.randrange(len(lines))
        here -= set(re.findall(r"\{(\w+)\}", card["lines"][gone]))
        del lines[gone]
    if r.random() < .15:
        lines.insert(r.randint(0, len(lines)), V.sentence())
    style = r.random()
    if lines[0][0] != "{" and style < .15:
        lines = ["- " + x for x in lines]
    text = ("\n" if style < .85 else "; ").join(lines) + r.choice(("", "\n"))
    questions = []
    for question, answer in card["questions"]:
        needs = {x if x in values and x[0].islower() else x.lower() for x in re.findall(r"\{(\w+)\}", answer + question)}
        if needs <= here:
            questions.append((say(r, question, **values), answer.format(**values)))
    return card["names"], text, questions


def draw_sum(r, V):
    """The same of a note that gives something to calculate: (words for the file's name, text, question, expression, answer with {r})."""
    card = r.choice([c for c in CARDS if c["sums"]])
    values = slots(r, V)
    question, expression, answer = r.choice(card["sums"])
    text = "\n".join(line.format(**values) for line in card["lines"]) + r.choice(("", "\n"))
    return card["names"], text, say(r, question, **values), expression.format(**values), answer.format(**values, r="{r}")
