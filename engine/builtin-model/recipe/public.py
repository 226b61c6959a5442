"""The public data sets as documents: read, thinned, and varied so that schemas have to be read and values to be copied.

Files (made by convert_public.py): public_dialogs, public_chat, public_text, each .jsonl.xz or .jsonl.gz.
"""
import copy
import gzip
import json
import lzma
import os
import re

from unseen import style_name
from values import SYS, Val

# How much of each set is used in one pass. Command lines for a task have many right answers: little can be learned from them.
SHARE = {"sgd": 1.0, "snips": .5, "nl2bash": .2, "clinc": .35, "tldr": .15, "gsm8k": .7, "glaive": 1.0}

SYNONYMS = {"city": "town city_name place location", "location": "place area where city", "date": "day on when", "time": "at hour clock", "number": "count num amount", "name": "title label called",
            "type": "kind category sort", "category": "type kind class", "price": "cost fare rate", "start": "begin from first", "end": "until last finish", "origin": "from departure source",
            "destination": "to target arrival", "from": "origin source start", "to": "destination target end", "departure": "leaving start outbound", "return": "back inbound homeward", "people": "guests persons seats",
            "passengers": "travelers people seats", "restaurant": "venue place diner", "event": "show happening occasion", "genre": "style kind type", "artist": "performer singer by", "track": "song title piece",
            "movie": "film title picture", "hotel": "lodging accommodation place", "rooms": "bedrooms room_count units", "stay": "visit duration nights", "account": "acct deposit wallet", "recipient": "receiver to payee",
            "amount": "sum value total", "appointment": "meeting slot booking", "stylist": "salon hairdresser shop", "dentist": "doctor clinic practice", "therapist": "counselor practitioner doctor", "pickup": "collection start get",
            "dropoff": "return end handover", "car": "vehicle auto ride", "seating": "cabin seat travel", "class": "category tier level", "airline": "carrier company line", "attraction": "sight landmark spot", "song": "track tune piece",
            "property": "home house place", "visit": "viewing tour call", "address": "street location place", "phone": "telephone contact number", "rating": "stars score grade", "language": "tongue lang speech",
            "subtitle": "caption text sub", "ride": "trip journey drive", "shared": "pooled common joint", "device": "speaker player output", "album": "record disc collection", "year": "released when in"}
SYNONYMS = {k: v.split() for k, v in SYNONYMS.items()}


def rows(folder, name):
    for ending, opener in ((".jsonl.xz", lzma.open), (".jsonl.gz", gzip.open)):
        path = os.path.join(folder, name + ending)
        if os.path.exists(path):
            with opener(path, "rt") as file:
                for line in file:
                    yield json.loads(line)
            return
    raise FileNotFoundError(f"{folder}: there is no {name}.jsonl.xz or .jsonl.gz")


def renamed(r, V, name):
    """An argument under another name that means the same."""
    x = r.random()
    if x < .07:
        return V.nonce(2)
    words = name.split("_")
    for i, word in enumerate(words):
        if word in SYNONYMS and r.random() < .45:
            words[i] = r.choice(SYNONYMS[word])
    if len(words) > 1 and r.random() < .1:
        words = words[-1:]
    name = "_".join(words)
    if r.random() < .15:
        name = re.sub(r"_([a-z])", lambda m: m.group(1).upper(), name)
    return name


def rename_tools(r, V, doc):
    tool_names, argument_names = {}, {}
    for tool in doc["tools"]:
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", tool["name"]).replace("_", " ").replace(".", " ").split()
        name = V.nonce() if r.random() < .1 else style_name(words, r)
        while name in tool_names.values():
            name += "2"
        tool_names[tool["name"]] = name
        properties, names = tool["parameters"].get("properties", {}), {}
        heavy = r.random() < .6
        for old in properties:
            new = renamed(r, V, old) if heavy else old
            names[old] = old if new in names.values() or new in properties else new
        argument_names[tool["name"]] = names
        tool["parameters"]["properties"] = {names[k]: v for k, v in properties.items()}
        if "required" in tool["parameters"]:
            tool["parameters"]["required"] = [names.get(k, k) for k in tool["parameters"]["required"]]
    for message in doc["messages"]:
        call = message.get("call")
        if call and isinstance(call["arguments"], dict):
            names = argument_names.get(call["name"], {})
            call["arguments"] = {names.get(k, k): v for k, v in call["arguments"].items()}
            call["name"] = tool_names.get(call["name"], call["name"])
    for tool in doc["tools"]:
        tool["name"] = tool_names[tool["name"]]


def swap_values(r, doc, pool):
    """Puts other values of the same argument, from other dialogues, everywhere in place of some: what is called must be what was said."""
    enums = {v for tool in doc["tools"] for p in tool["parameters"].get("properties", {}).values() for v in p.get("enum", []) if isinstance(v, str)}
    text = "\n".join(m.get("content", "") for m in doc["messages"])
    swaps = {}
    for message in doc["messages"]:
        call = message.get("call")
        if not call or not isinstance(call["arguments"], dict):
            continue
        for name, value in call["arguments"].items():
            if not isinstance(value, str) or len(value) < 5 or value in enums or value in swaps or not re.search(r"[A-Za-z]", value) or re.match(r"\d", value):
                continue
            kind = name.split("_")[-1]
            options = pool.setdefault(kind, [])
            if len(options) < 400:
                options.append(value)
            if value in text and options and r.random() < .6:
                other = r.choice(options)
                if other != value and other not in text and '"' not in other and "\\" not in other:
                    swaps[value] = other
    if not swaps:
        return
    pattern = re.compile("|".join(re.escape(v) for v in sorted(swaps, key=len, reverse=True)))
    put = lambda s: pattern.sub(lambda m: swaps[m.group(0)], s)
    for message in doc["messages"]:
        if "content" in message:
            message["content"] = put(message["content"])
        elif isinstance(message["call"]["arguments"], dict):
            message["call"]["arguments"] = {k: put(v) if isinstance(v, str) else v for k, v in message["call"]["arguments"].items()}


def vary(r, doc, unseen, pool):
    """A copy of a dialogue with other names, values and neighbours."""
    doc, V = copy.deepcopy(doc), Val(r)
    if doc["src"] == "sgd" and r.random() < .55:
        swap_values(r, doc, pool)
    if doc["tools"] and r.random() < .75:
        rename_tools(r, V, doc)
    if doc["tools"] and r.random() < .3:
        doc["tools"] = unseen.distract(doc["tools"], r.randint(1, 3))
    else:
        r.shuffle(doc["tools"])
    if not doc.get("sys"):
        doc["sys"] = unseen.sysmsg()
    elif r.random() < .3:
        doc["sys"] = r.choice(SYS) + " " + doc["sys"]
    messages = doc["messages"]
    if len(messages) > 16 and r.random() < .3:  # a part that ends with an answer
        ends = [i for i, m in enumerate(messages) if m["role"] == "assistant" and "call" not in m and i > 6]
        if ends:
            doc["messages"] = messages[:r.choice(ends) + 1]
    return doc
