"""Wordings: a template with alternatives becomes one sentence.

  say(r, "[read|open] {f} and [tell me|say] {q}", f="notes.txt", q="the deadline")

`[a|b|]` picks one of its parts (an empty one counts), parts may nest; `{name}` is filled in afterwards, so a value may
hold any character. A template is parsed once.
"""
import functools


@functools.lru_cache(maxsize=None)
def parse(template):
    """The template as a list of texts and lists of alternatives (each such a list again)."""
    def sequence(at, stops):
        parts, text = [], ""
        while at < len(template) and template[at] not in stops:
            if template[at] == "[":
                if text:
                    parts.append(text)
                text, options = "", []
                while True:
                    option, at = sequence(at + 1, "|]")
                    options.append(option)
                    if template[at] == "]":
                        break
                parts.append(options)
            else:
                text += template[at]
            at += 1
        if text:
            parts.append(text)
        return parts, at

    return sequence(0, "")[0]


def choose(r, parts, out):
    for part in parts:
        if isinstance(part, str):
            out.append(part)
        else:
            choose(r, part[int(r.random() * len(part))], out)


def say(r, template, **values):
    """One sentence of the template with the values filled in."""
    out = []
    choose(r, parse(template), out)
    text = "".join(out)
    return text.format(**values) if "{" in text else text


@functools.lru_cache(maxsize=None)
def split(template):
    """The wordings of a template: what stands between | outside brackets."""
    parts, depth, current = [], 0, ""
    for c in template:
        depth += (c == "[") - (c == "]")
        if c == "|" and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += c
    return parts + [current]


QUESTION_WORDS = ("what", "how", "which", "who", "when", "where", "is ", "are ", "do ", "does ", "did ", "has ", "was ",
                  "in which", "if ", "whose", "on which", "until ", "am i", "will ", "can ", "could ", "would ")


def is_question(text):
    return text.lower().startswith(QUESTION_WORDS)


POLITE = ("{}|{}|{}|{}|{}|{}|{}|Please {}|please {}|Can you {}?|can you {}|Could you {}?|Could you please {}?|{} please|{}, please|{}, thanks|"
          "I want you to {}|Hey, {}|Hi! Please {}|I'd like you to {}|{} for me|Would you {}?|Now {}|I need you to {}|ok, {}|"
          "Would you mind: {}|Next: {}|Let's {}|You should {}|I would like you to {}|Quick, {}|Kindly {}").split("|")
LEAD_IN = ("Hi, {}|Hey, {}|Tell me: {}|Quick question: {}|I wonder, {}|One question: {}|Hello! {}|Say, {}|ok, {}|Please tell me, {}").split("|")


def polish(r, text):
    """A bare request or question as a person may type it: polite or terse, with or without capital and full stop."""
    if is_question(text):
        if r.random() < .12:
            text = r.choice(LEAD_IN).format(text)
        if text[-1] not in "?.!" and r.random() < .7:
            text += "?"
    else:
        text = r.choice(POLITE).format(text)
        if text[-1] not in "?.!\"'" and r.random() < .4:
            text += "."
    if r.random() < .6:
        text = text[0].upper() + text[1:]
    return text


def join_list(r, items, word="and"):
    """a, b and c (or a, b, c)."""
    items = [str(x) for x in items]
    if len(items) < 2:
        return items[0] if items else "nothing"
    if r.random() < .25:
        return ", ".join(items)
    return ", ".join(items[:-1]) + f" {word} " + items[-1]
