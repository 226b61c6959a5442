"""Conversations about tools that the model has never seen: a hand-written catalogue of tools under many names, tools
composed of verbs, things and slots, and nonsense names. `Gen(seed, heldout).doc()` makes one conversation.

heldout=True uses catalogue tools, nouns and names that training never sees (for evaluation only).
"""
import datetime
import json
import os
import random
import re

from values import *  # the pools
from values import JT, schema_type

HERE = os.path.dirname(os.path.abspath(__file__))

# ------------------------------------------------------------------------------------------------ catalogue DSL
class Tool:
    pass


def load_catalog(path):
    out = []
    for l in open(path):
        l = l.rstrip("\n")
        if not l or l[0] == "#":
            continue
        k, rest = l[0], l[2:]
        if k == "@":
            n, d = rest.split(" : ", 1)
            t = Tool()
            out.append(t)
            t.names = n.strip().split("|")
            t.descs = [x.strip() for x in d.split(" | ")]
            t.args = []
            t.req = []
            t.res = []
            t.ans = []
        elif k == "-":
            n, ty, d = rest.split(" : ", 2)
            n = n.strip()
            opt = n.endswith("?")
            t.args.append((n.rstrip("?").split("|"), ty.strip(), d.strip(), opt))
        elif k == ">":
            # split optional segments once: list of (text, optional)
            segs = re.split(r"\[([^\]]*)\]", rest)
            t.req.append([(s, i % 2 == 1) for i, s in enumerate(segs)])
        elif k == "=":
            t.res = [tuple(x.split(":", 1)) for x in re.split(r",(?![^()]*\))", rest)]
        elif k == "<":
            t.ans.append(rest)
    return out


CATALOG = load_catalog(os.path.join(HERE, "catalog.txt"))
MORE = load_catalog(os.path.join(HERE, "catalog_more.txt"))  # for training only

# composed tools: verbs x objects with generic slots ------------------------------------------------
OBJECTS = P(
    "order|invoice|ticket|customer|project|task|booking|shipment|device|server|employee|vehicle|article|product|contract|course|student|patient|appointment|room|recipe|playlist|photo|document|campaign|subscription|account|license|sensor|machine|asset|warehouse|supplier|payment|survey|badge|policy|claim|membership|event|tournament|voucher|branch|pipeline|cluster|container|certificate|template|report|experiment|dataset|meter|route|flight|cruise|tenant|lease|property|permit|animal|plant|exhibit|artifact|sample|lab test|prescription|donation|volunteer|job posting|candidate|meeting room|parking spot|locker|bike|scooter|printer|camera|alarm|thermostat profile|garden bed|book|movie|podcast|channel|stream|newsletter|comment|poll|quiz|lesson|webhook|api key|firewall rule|backup|snapshot|virtual machine|print job|gift card|loyalty card|menu item|table reservation|delivery|courier|drone|robot|telescope session|boat|cabin|tent site|ski pass|museum pass|wine bottle|coin|stamp|guitar|piece of furniture|fabric roll|paint color|spare part|tool kit|safety check|inspection|incident|complaint|feature flag|release note|translation job|song|lyric|workout plan|meal plan|blood sample|vaccine|insurance quote|loan application|tax form|grant|patent|trademark|satellite|rocket launch|weather station|buoy|well|solar array|battery pack|charging station"
)
VERBS = [  # (names, request phrases, descriptions, kind)
    (
        ["get", "fetch", "lookup", "show", "read", "retrieve"],
        [
            "show me {o}",
            "get {o}",
            "look up {o}",
            "what do we know about {o}",
            "give me the details of {o}",
            "pull up {o}",
            "check {o}",
        ],
        ["Get the details of a {n}.", "Look up a {n}.", "Returns information about one {n}.", "Fetch a {n} record."],
        "get",
    ),
    (
        ["create", "add", "new", "register", "make"],
        ["create a {n}", "add a new {n}", "register a {n}", "set up a new {n}", "I need a new {n}", "make a {n}"],
        ["Create a new {n}.", "Adds a {n}.", "Register a new {n} in the system."],
        "create",
    ),
    (
        ["update", "modify", "edit", "change", "set"],
        ["update {o}", "change {o}", "edit {o}", "modify {o}", "adjust {o}"],
        ["Update a {n}.", "Change fields of an existing {n}.", "Modify a {n}."],
        "update",
    ),
    (
        ["delete", "remove", "erase", "drop"],
        ["delete {o}", "remove {o}", "get rid of {o}", "erase {o}"],
        ["Delete a {n}.", "Remove a {n} permanently."],
        "delete",
    ),
    (
        ["list", "search", "find", "query", "filter"],
        [
            "list all {ns}",
            "find {ns}",
            "which {ns} are there",
            "search for {ns}",
            "show all {ns}",
            "I'm looking for {ns}",
        ],
        ["List {ns} with optional filters.", "Search for {ns}.", "Find {ns} matching the given criteria."],
        "list",
    ),
    (
        ["approve", "confirm", "activate", "enable", "start"],
        ["{v} {o}", "please {v} {o}", "go ahead and {v} {o}"],
        ["{V} a {n}.", "{V}s the given {n}."],
        "act",
    ),
    (
        ["archive", "suspend", "disable", "pause", "stop", "cancel", "reject"],
        ["{v} {o}", "please {v} {o}", "I want to {v} {o}"],
        ["{V} a {n}.", "{V} the specified {n}."],
        "act",
    ),
    (
        ["export", "print", "download", "share", "send"],
        ["{v} {o}", "can you {v} {o}", "I'd like to {v} {o}"],
        ["{V} a {n}.", "{V} the {n}."],
        "act",
    ),
    (
        ["count"],
        ["how many {ns} are there", "count the {ns}", "number of {ns}"],
        ["Count the {ns}.", "Number of {ns} matching the filters."],
        "count",
    ),
    (["rate", "score", "review"], ["{v} {o}", "please {v} {o}"], ["{V} a {n}."], "act"),
]
SLOTS = [  # names, type, descriptions, phrases
    (
        "status|state",
        "enum(open,closed,pending,active,archived)",
        "Status|Current state",
        "with status {v}|that are {v}|in state {v}|status {v}",
    ),
    (
        "priority|urgency|importance",
        "enum(low,normal,high,urgent)",
        "Priority|How urgent it is",
        "with priority {v}|priority {v}|with {v} priority|marked as {v}",
    ),
    ("city|location|town|site", "city", "City|Location", "in {v}|located in {v}|at the {v} site"),
    ("country|nation", "country", "Country", "in {v}|from {v}"),
    (
        "owner|assignee|responsible|assigned_to",
        "person",
        "Person responsible|Owner",
        "owned by {v}|assigned to {v}|for {v}|responsible person {v}",
    ),
    ("name|title|label", "phrase", "Name|Title", 'called "{v}"|named {v}|with the name {v}|titled {v}'),
    ("date|day|on_date|scheduled_for", "date", "Date (YYYY-MM-DD)|Date in ISO format", "on {v}|for {v}|dated {v}"),
    ("due_date|deadline|due", "date", "Due date (YYYY-MM-DD)", "due {v}|due on {v}|with a deadline of {v}"),
    ("start_date|from_date|since|after", "date", "First day", "since {v}|starting {v}|after {v}|from {v}"),
    ("end_date|until|to_date|before", "date", "Last day", "until {v}|before {v}|ending {v}"),
    (
        "limit|max_results|count|page_size",
        "int(1,50)",
        "Maximum number of results",
        "limit {v}|at most {v}|show {v} results|only the first {v}",
    ),
    ("quantity|amount|units|qty", "int(1,500)", "Quantity|How many", "{v} units|quantity {v}|{v} pieces"),
    ("price|cost|amount|value", "money", "Price|Amount of money", "for {v}|with a price of {v}|at {v}|costing {v}"),
    ("min_price|price_from", "money", "Lowest price", "above {v}|costing at least {v}"),
    ("max_price|price_to|budget", "money", "Highest price", "under {v}|below {v}|up to {v}"),
    ("email|contact_email|mail", "email", "Email address", "with email {v}|email {v}|contact {v}"),
    ("phone|phone_number", "phone", "Phone number", "with phone number {v}|phone {v}"),
    ("color|colour", "color", "Color", "in {v}|colored {v}|with color {v}"),
    ("tags|labels|keywords", "words", "List of tags", "with tags {v}|tagged {v}|labels {v}"),
    (
        "category|type|kind",
        "enum(standard,premium,basic,custom,internal)",
        "Category|Type",
        "of type {v}|category {v}|in the {v} category",
    ),
    (
        "notify|send_notification|alert",
        "flag:and notify everyone|and send a notification|with notification",
        "Whether to send a notification",
        "",
    ),
    ("force|confirm", "flag:and force it|without asking again|forcefully", "Do not ask for confirmation", ""),
    (
        "include_details|verbose|detailed",
        "flag:with all details|including details|in detail",
        "Include details in the output",
        "",
    ),
    (
        "comment|note|message|remark",
        "text",
        "Comment|Free text note",
        'with the comment "{v}"|note: {v}|and add the note "{v}"',
    ),
    ("reason", "phrase", "Reason", "because of {v}|reason: {v}"),
    (
        "format|output_format|file_type",
        "enum(pdf,csv,json,html,xlsx)",
        "Output format",
        "as {v}|in {v} format|as a {v} file",
    ),
    ("path|file|output", "path", "File path", "to {v}|in the file {v}|file {v}"),
    ("recipient|to|send_to", "email", "Recipient email", "to {v}|for {v}"),
    ("weight|weight_kg", "num", "Weight in kg", "weighing {v} kg|with a weight of {v} kg"),
    ("duration|duration_minutes|minutes", "int(5,240)", "Duration in minutes", "for {v} minutes|lasting {v} minutes"),
    ("rating|score|stars", "int(1,5)", "Rating from 1 to 5", "with {v} stars|rating {v}|a score of {v}"),
    ("percentage|percent|discount", "pctint", "Percentage", "with {v} percent|at {v}%"),
    ("time|at|start_time", "time", "Time (HH:MM)", "at {v}"),
    ("sort_by|order_by|sort", "enum(date,name,price,rating)", "Field to sort by", "sorted by {v}|ordered by {v}"),
    (
        "department|team|group",
        "enum(sales,engineering,support,finance,marketing)",
        "Department",
        "from the {v} department|for the {v} team|in {v}",
    ),
    ("url|link|website", "url", "URL", "with the link {v}|at {v}|url {v}"),
    ("version|release", "version", "Version", "version {v}|in version {v}"),
    ("size|dimension", "enum(small,medium,large,xl)", "Size", "in size {v}|size {v}"),
    ("vendor|supplier|manufacturer|brand", "company", "Vendor", "from {v}|made by {v}|by {v}"),
    ("year", "year", "Year", "from {v}|of the year {v}"),
    ("temperature|temp", "int(-20,90)", "Temperature in degrees", "at {v} degrees|with temperature {v}"),
    ("code|reference|ref", "code", "Reference code", "with code {v}|reference {v}"),
    ("address|street", "address", "Street address", "at {v}|with address {v}"),
    ("readings|values|measurements", "nums", "List of numbers", "with values {v}|with readings {v}"),
    ("page|page_number", "int(1,20)", "Page number", "page {v}|on page {v}"),
]
SLOTS = [(n.split("|"), t, d.split("|"), p.split("|")) for n, t, d, p in SLOTS]
FIELDS = [
    ("status", "enum(open,closed,pending,active,shipped,approved,failed)"),
    ("owner", "person"),
    ("city", "city"),
    ("price", "money"),
    ("quantity", "int(1,900)"),
    ("created_at", "date"),
    ("due_date", "date"),
    ("email", "email"),
    ("phone", "phone"),
    ("name", "phrase"),
    ("color", "color"),
    ("weight_kg", "num"),
    ("rating", "rating"),
    ("version", "version"),
    ("location", "address"),
    ("next_check", "date"),
    ("supplier", "company"),
    ("temperature", "temp"),
    ("progress", "pctint"),
    ("category", "word"),
    ("comment", "text"),
    ("start_time", "time"),
    ("battery", "pctint"),
    ("serial", "code"),
    ("language", "lang"),
    ("country", "country"),
    ("balance", "money"),
    ("items", "words"),
    ("score", "rating"),
    ("manager", "person"),
]
TITLES = lambda s: s.replace("_", " ")


def plural(n):
    if n.startswith("piece of "):
        return "pieces of " + n[9:]
    return (
        n[:-1] + "ies"
        if n.endswith("y") and n[-2] not in "aeou"
        else n + "es" if n.endswith(("s", "x", "ch", "sh")) else n + "s"
    )


def style_name(words, r, pre=None):
    w = [re.sub(r"[^a-z0-9]", "", x.lower()) for x in words]
    w = [x for x in w if x]
    x = r.random()
    if x < 0.62:
        n = "_".join(w)
    elif x < 0.78:
        n = w[0] + "".join(y.capitalize() for y in w[1:])
    elif x < 0.84:
        n = "".join(y.capitalize() for y in w)
    elif x < 0.94 and len(w) > 1:
        n = w[0] + "." + "_".join(w[1:]) if r.random() < 0.5 else w[-1] + "." + "_".join(w[:-1])
    elif len(w) > 1:
        n = "-".join(w)
    else:
        n = w[0]
    if pre and r.random() < 0.5:
        n = pre + ("." if "." not in n and r.random() < 0.4 else "_") + n
    return n


class Inst:
    """An instantiated tool: schema + canonical->actual argument names + behaviour."""

    __slots__ = ("schema", "amap", "types", "spec", "kind", "obj", "verb", "slots", "idn", "name", "opt", "desc", "idt")


POLITE = [
    "{}",
    "{}",
    "{}",
    "{}",
    "Please {}",
    "please {}",
    "Can you {}?",
    "Could you {}?",
    "{} please",
    "{}, thanks",
    "I want you to {}",
    "Hey, {}",
    "Hi! {}",
    "I'd like you to {}",
    "{} for me",
    "Would you {}?",
    "Quick: {}",
    "Now {}",
    "I need you to {}",
]


def is_question(u):
    return (
        re.match(r"(what|how|which|who|when|where|is|are|do|does|did|has|any|in which|if|a |my|I |I'|we )", u, re.I)
        is not None
    )


NOTOOL = [
    "I'm sorry, but none of my tools can do that.",
    "I don't have a tool that can {a}.",
    "Sorry, I can't {a} with the tools I have.",
    "None of the available tools can {a}.",
    "I'm afraid I have no tool for that. I can only help with: {l}.",
    "That is not possible with my current tools. Available: {l}.",
    "I can't {a}: there is no suitable tool.",
]
HELLO = [
    (
        P("hi|hello|hey|good morning|hi there|hello!|hey there|good evening|Hi, how are you?|hello, who is there?"),
        P(
            "Hello! How can I help you?|Hi! What can I do for you?|Hello. What would you like me to do?|Hi there! How can I help?"
        ),
    ),
    (
        P("thanks|thank you|thanks a lot|great, thank you|perfect, thanks!|thx|thank you so much"),
        P("You're welcome!|You're welcome. Anything else?|Happy to help.|No problem!|Glad I could help."),
    ),
    (
        P("bye|goodbye|see you|that's all for now|good night"),
        P("Goodbye!|See you!|Bye! Have a nice day.|Goodbye, have a nice day."),
    ),
    (
        P("who are you?|what are you?|tell me about yourself|are you a human?|what's your name?"),
        P(
            "I am a small language model that runs locally and can use tools.|I'm a local assistant: a small language model that can call tools on this machine.|I am an AI assistant running on this machine. I can use tools to help you."
        ),
    ),
    (
        P("how are you?|how is it going?|are you okay?|how do you do?"),
        P(
            "I'm fine, thank you. How can I help you?|All good here. What can I do for you?|I'm doing well, thanks! What do you need?"
        ),
    ),
    (
        P("ok|okay|great|nice|cool|good job|well done|awesome"),
        P(
            "Thanks! Anything else?|Glad to hear it. Is there anything else?|Good. Let me know if you need anything else."
        ),
    ),
]


class Gen:
    def __init__(s, seed=0, heldout=False, ban=()):
        s.r = random.Random(seed)
        s.V = Val(s.r)
        s.ho = heldout
        cut = [i for i in range(len(CATALOG)) if i % 9 == 4]
        s.cat = [c for i, c in enumerate(CATALOG) if (i in cut) == heldout] + ([] if heldout else MORE)
        s.cat_all = s.cat
        s.objs = [o for i, o in enumerate(OBJECTS) if (i % 9 == 4) == heldout]
        s.ban = set(ban)

    def p(s, l):
        return s.V.pick(l)

    def ch(s, x):
        return s.r.random() < x

    # ---- schema helpers
    def mkschema(s, name, desc, props, req):
        r = s.r
        par = {"type": "object", "properties": props}
        if req or s.ch(0.7):
            par["required"] = req
        x = {"name": name, "description": desc, "parameters": par}
        if s.ch(0.03):
            x = {"name": name, "parameters": par}
        return x

    def prop(s, t, desc, opt):
        d = schema_type(t, s.r)
        if s.ch(0.93):
            d["description"] = s.p([desc, desc, desc + ".", desc.lower(), "The " + desc[0].lower() + desc[1:]]) + (
                s.p(["", "", " (optional)", ", optional"]) if opt else ""
            )
        if opt and s.ch(0.2):
            dv, _ = s.V.v(t)
            if s.ch(0.5):
                d["default"] = dv
            elif "description" in d and not isinstance(dv, list):
                d["description"] += f" Default is {dv}."
        return d

    def inst_cat(s, c):
        r = s.r
        t = Inst()
        t.spec = c
        t.kind = "cat"
        words = s.p(c.names).split()
        name = (
            s.V.nonce()
            if s.ch(0.1)
            else style_name(
                words, r, s.p(["api", "my", s.V.nonce(2), words[-1], s.word_lower()]) if s.ch(0.12) else None
            )
        )
        if name in s.ban:
            name = s.V.nonce(2) + "_" + name
        props, req, t.amap, t.types, t.opt = {}, [], {}, {}, set()
        for names, ty, d, opt in c.args:
            if opt and s.ch(0.25):
                continue
            a = names[0] if s.ch(0.45) else s.p(names)
            if s.ch(0.04):
                a = s.V.nonce(2)
            elif s.ch(0.12):
                a = re.sub(r"_([a-z])", lambda m: m.group(1).upper(), a)
            while a in props:
                a = a + "_2"
            props[a] = s.prop(ty, d, opt)
            t.amap[names[0]] = a
            t.types[names[0]] = ty
            if opt:
                t.opt.add(names[0])
            else:
                req.append(a)
        if s.ch(0.08) and len(props) > 1:  # shuffled order
            ks = list(props)
            r.shuffle(ks)
            props = {k: props[k] for k in ks}
        desc = s.p(c.descs)
        if s.ch(0.1):
            desc += s.p(
                [
                    " Returns JSON.",
                    " Use this when the user asks for it.",
                    " Requires network access.",
                    " Fast.",
                    " Read-only.",
                ]
            )
        t.schema = s.mkschema(name, desc, props, req)
        t.name = name
        t.desc = desc
        return t

    def word_lower(s):
        return s.V.word().lower()

    def inst_comp(s, obj=None, verb=None):
        r = s.r
        t = Inst()
        t.kind = "comp"
        t.obj = obj or (s.p(s.objs) if s.ch(0.88) else s.V.nonce())
        t.verb = verb or s.p(VERBS)
        vn = s.p(t.verb[0])
        k = t.verb[3]
        n = t.obj
        ns = plural(n)
        words = [vn] + (ns if k in ("list", "count") else n).split()
        name = (
            s.V.nonce()
            if s.ch(0.12)
            else style_name(words, r, s.p([s.V.nonce(2), "api", "crm", "erp", s.word_lower()]) if s.ch(0.12) else None)
        )
        if name in s.ban:
            name = s.V.nonce(2) + "_" + name
        desc = s.p(t.verb[2]).format(n=n, ns=ns, V=vn.capitalize())
        props, req, t.amap, t.types, t.opt, t.slots = {}, [], {}, {}, set(), {}
        t.idn = None
        if k in ("get", "update", "delete", "act"):
            base = n.split()[-1] if s.ch(0.6) else n.replace(" ", "_")
            x = r.random()
            if x < 0.5:
                a, ty, d = (
                    s.p([base + "_id", "id", base + "_number", base + "Id", base]),
                    s.p(["id", "code", "int(1,99999)", "id"]),
                    f"ID of the {n}",
                )
            elif x < 0.8:
                a, ty, d = s.p([base + "_name", "name", base, "title"]), "phrase", f"Name of the {n}"
            else:
                a, ty, d = s.p([base + "_code", "code", "reference", "serial"]), "code", f"Reference code of the {n}"
            props[a] = s.prop(ty, d, False)
            req.append(a)
            t.idn = a
            t.idt = ty
        ks = {
            "get": (0, 2),
            "create": (1, 4),
            "update": (1, 3),
            "delete": (0, 2),
            "list": (1, 4),
            "act": (0, 2),
            "count": (1, 3),
        }[k]
        for names, ty, ds, ph in r.sample(SLOTS, r.randint(*ks)):
            a = s.p(names)
            if a in props:
                continue
            if s.ch(0.08):
                a = re.sub(r"_([a-z])", lambda m: m.group(1).upper(), a)
            flag = ty.startswith("flag:")
            opt = flag or s.ch(0.45 if k in ("create",) else 0.7)
            props[a] = s.prop(
                "bool" if flag else ty, s.p(ds) if s.ch(0.7) else f"{TITLES(a)} of the {n}".capitalize(), opt
            )
            t.slots[a] = (ty, ph)
            if opt:
                t.opt.add(a)
            else:
                req.append(a)
        t.schema = s.mkschema(name, desc, props, req)
        t.name = name
        t.desc = desc
        return t

    # ---- requests
    def request_cat(s, t, drop_arg=None):
        """-> (utterance, args in schema order, raw nl values)"""
        c = t.spec
        for _ in range(12):
            segs = s.p(c.req)
            txt, vals, nl, ok = "", {}, {}, True
            for seg, optional in segs:
                keys = re.findall(r"\{(\w+)\}", seg)
                if optional and (any(k not in t.amap for k in keys) or s.ch(0.5)):
                    continue
                if any(k not in t.amap for k in keys):
                    ok = False
                    break
                for k in keys:
                    if k not in vals:
                        vals[k], nl[k] = s.V.v(t.types[k])
                txt += seg.format(**nl)
            if not ok:
                continue
            need = [a[0][0] for a in c.args if not a[3]]
            if all(k in vals for k in need):
                break
        # required arguments that the request template does not mention: state them explicitly
        for a in c.args:
            k = a[0][0]
            if not a[3] and k not in vals:
                vals[k], nl[k] = s.V.v(a[1])
                txt += s.p([", {a} {v}", " with {a} {v}", " ({a}: {v})"]).format(a=TITLES(t.amap[k]), v=nl[k])
        # unmentioned optional booleans etc. sometimes stated
        for k in list(t.opt):
            if k not in vals and s.ch(0.15):
                v, n_ = s.V.v(t.types[k])
                if t.types[k] == "bool":
                    v = True if s.ch(0.7) else False
                    txt += (
                        s.p([", with {a}", ", {a} on", " with {a} enabled"])
                        if v
                        else s.p([", without {a}", ", no {a}", " with {a} disabled"])
                    ).format(a=TITLES(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", t.amap[k])).lower())
                else:
                    txt += s.p([", {a} {v}", " with {a} {v}", ", using {v} as {a}"]).format(a=TITLES(t.amap[k]), v=n_)
                    nl[k] = n_
                vals[k] = v
        inv = {v: k for k, v in t.amap.items()}
        args = {a: vals[inv[a]] for a in t.schema["parameters"]["properties"] if inv[a] in vals}
        return s.polish(txt), args, vals

    def polish(s, u):
        if not is_question(u):
            u = s.p(POLITE).format(u)
        elif s.ch(0.12):
            u = s.p(["Hi, {}", "Hey, {}", "Tell me: {}", "Quick question: {}", "I wonder, {}"]).format(u)
        if s.ch(0.6):
            u = u[0].upper() + u[1:]
        if is_question(u) and u[-1] not in "?.!" and s.ch(0.7):
            u += "?"
        elif u[-1] not in '?.!"' and s.ch(0.4):
            u += "."
        if s.ch(0.05):
            u = (
                u.rstrip(".")
                + s.p(
                    [
                        " I need it for a {n}.",
                        " It's for {p}.",
                        " It is {a}.",
                        " My {n} depends on it.",
                        " Thanks!",
                        " Please hurry.",
                    ]
                ).format(n=s.p(NOUN), p=s.p(FIRST), a=s.p(ADJ))
                if u[-1] in "?.!"
                else u
            )
        if s.ch(0.05):
            u = (
                s.p(
                    [
                        "I'm planning a trip. ",
                        "For my homework: ",
                        "My boss wants to know this. ",
                        "We are moving to {c}. ",
                        "I talked to {p} about the {n}. ",
                        "I'm new here. ",
                        "Let's get started. ",
                        "I have a question about the {n}. ",
                    ]
                ).format(c=s.p(CITY), p=s.p(FIRST), n=s.p(NOUN))
                + u
            )
        if s.ch(0.06):
            u = (
                s.p(
                    [
                        "I am working on the {n}. ",
                        "We have a {n} today. ",
                        "{p} asked me about this. ",
                        "Sorry to bother you. ",
                        "One more thing. ",
                    ]
                ).format(n=s.p(NOUN), p=s.p(FIRST))
                + u
            )
        return u

    def request_comp(s, t, idv=None):
        n, ns, k = t.obj, plural(t.obj), t.verb[3]
        args = {}
        v = re.split(r"[_.\-]|(?=[A-Z])", t.name)[0].lower()
        if v not in t.verb[0]:
            v = s.p(t.verb[0])
        if k in ("act",) and v not in t.desc.lower():
            v = t.desc.split()[0].lower().rstrip("s")
        o = "the " + n
        if t.idn:
            val, nl = (idv, str(idv)) if idv is not None else s.V.v(t.idt)
            args[t.idn] = val
            o = (
                s.p(["{n} {i}", "the {n} {i}", "{n} {i}"]).format(n=n, i=nl)
                if t.idt != "phrase"
                else s.p(['the {n} "{i}"', "the {n} called {i}", "{i}", "the {i} {n}"]).format(n=n, i=nl)
            )
            if "number" in t.idn and s.ch(0.5):
                o = f"{n} number {nl}"
        u = s.p(t.verb[1]).format(o=o, n=n, ns=ns, v=v)
        parts = []
        for a, (ty, ph) in t.slots.items():
            if a in t.opt and s.ch(0.45):
                continue
            if ty.startswith("flag:"):
                args[a] = True
                parts.append(s.p(ty[5:].split("|")))
                continue
            val, nl = s.V.v(ty)
            args[a] = val
            parts.append(
                s.p(ph).format(v=nl)
                if s.ch(0.72)
                else s.p(["with {a} {v}", "{a}: {v}", "{a} {v}", "set {a} to {v}", "where {a} is {v}"]).format(
                    a=TITLES(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", a)).lower(), v=nl
                )
            )
        s.r.shuffle(parts)
        if parts and s.ch(0.1) and k != "count":
            u = parts[0][0].upper() + parts[0][1:] + ": " + u if s.ch(0.3) else u + " " + parts[0]
            parts = parts[1:] if True else parts
        u = u + "".join(
            (s.p([" ", " ", ", "]) if i == 0 else s.p([", ", " and ", " "])) + p_ for i, p_ in enumerate(parts)
        )
        args = {a: args[a] for a in t.schema["parameters"]["properties"] if a in args}
        return s.polish(u), args

    # ---- results and answers
    def fmt(s, v):
        if isinstance(v, list):
            return s.V.seq(v) if v else "nothing"
        if v is True:
            return "yes"
        if v is False:
            return "no"
        return str(v)

    def result_cat(s, t, vals):
        res = {}
        for k, ty in t.spec.res:
            res[k] = True if ty == "true" else s.V.v(ty)[0]
        if s.ch(0.1):
            res["source"] = s.V.word()
        # the answer may only mention what the result and the request contain
        a = s.p(t.spec.ans)
        keys = re.findall(r"\{(\w+)\}", a)
        try:
            ans = a.format(**{k: s.fmt(x) for k, x in {**vals, **res}.items()})
        except KeyError:
            ans = "Done."
        if s.ch(.22):  # as small tools of one's own answer: in words
            plain = {k: s.fmt(x) for k, x in res.items() if x is not True}
            named = ", ".join(f"{TITLES(k)} {x}" for k, x in plain.items())
            if not plain:
                return s.p(["done", "ok", "Done.", ans]), ans
            return s.p([named, ans, ans[0].lower() + ans[1:].rstrip("."), "\n".join(f"{TITLES(k)}: {x}" for k, x in plain.items())]), ans
        return s.enc(res), ans

    def enc(s, res):
        x = s.r.random()
        if x < 0.85 or not isinstance(res, dict):
            return json.dumps(res, ensure_ascii=False)
        if x < 0.93:
            return json.dumps(res, ensure_ascii=False, separators=(",", ":"))
        return "\n".join(f"{k}: {s.fmt(v)}" for k, v in res.items())

    def result_comp(s, t, args, ask=None):
        k, n, ns = t.verb[3], t.obj, plural(t.obj)
        r = s.r
        idv = args.get(t.idn) if t.idn else None
        if k == "get":
            fs = r.sample(FIELDS, r.randint(2, 5))
            if ask and ask not in [f[0] for f in fs]:
                fs[r.randrange(len(fs))] = next(f for f in FIELDS if f[0] == ask)
            res = {t.idn: idv} if s.ch(0.5) else {}
            for f, ty in fs:
                res[f] = s.V.v(ty)[0]
            sel = [ask] if ask else [f[0] for f in fs][: r.randint(1, 3)]
            desc = s.V.seq(
                [f"{TITLES(f)} {s.fmt(res[f])}" if not ask else f"{TITLES(f)}: {s.fmt(res[f])}" for f in sel]
            )
            if ask:
                ans = s.p(
                    [
                        f"The {TITLES(ask)} of {n} {idv} is {s.fmt(res[ask])}.",
                        f"{s.fmt(res[ask])}.",
                        f"It is {s.fmt(res[ask])}.",
                        f"The {TITLES(ask)} is {s.fmt(res[ask])}.",
                    ]
                )
            else:
                ans = s.p(
                    [
                        f"Here are the details of {n} {idv}: {desc}.",
                        f"{n.capitalize()} {idv}: {desc}.",
                        f"I found {n} {idv}: {desc}.",
                    ]
                )
            return s.enc(res), ans
        if k == "create":
            i = s.V.t_id()[0]
            key = s.p(["id", n.split()[-1] + "_id", "reference"])
            res = {key: i, "status": s.p(["created", "ok"])} if s.ch(0.6) else {"success": True, key: i}
            return s.enc(res), s.p(
                [
                    f"Done. The {n} was created with ID {i}.",
                    f"I created the {n} (ID {i}).",
                    f"The new {n} has the ID {i}.",
                ]
            )
        if k in ("update", "delete", "act"):
            past = {"update": "updated", "delete": "deleted"}.get(k)
            v0 = t.desc.split()[0].lower().rstrip("s")
            past = past or {
                "stop": "stopped",
                "start": "started",
                "send": "sent",
                "cancel": "cancelled",
                "print": "printed",
                "export": "exported",
            }.get(v0, v0 + ("d" if v0.endswith("e") else "ed"))
            res = s.p(
                [
                    {"success": True},
                    {"status": "ok"},
                    {"ok": True, "id": idv},
                    {"result": past},
                    "OK",
                    {"status": "done", t.idn or "id": idv},
                ]
            )
            return (s.enc(res) if isinstance(res, dict) else res), s.p(
                [
                    f"The {n} {idv} was {past}.",
                    f"Done. {n.capitalize()} {idv} has been {past}.",
                    f"I {past} {n} {idv}." if past not in ("stopped",) else f"{n.capitalize()} {idv} was stopped.",
                    f"Okay, {n} {idv} is {past}.",
                ]
            )
        if k == "count":
            c = r.randint(0, 400)
            return s.enc({s.p(["count", "total", "n"]): c}), s.p(
                [f"There are {c} {ns}.", f"I counted {c} {ns}.", f"{c} {ns} match." if c != 1 else f"One {n} matches."]
            )
        m = r.choice([0, 1, 2, 2, 3, 3, 4])
        fs = r.sample(FIELDS, r.randint(1, 3))
        rows = []
        for _ in range(m):
            row = {s.p(["id"]): s.V.t_id()[0], "name": s.V.phrase()} if s.ch(1) else {}
            for f, ty in fs:
                row[f] = s.V.v(ty)[0]
            rows.append(row)
        names = [x["name"] for x in rows]
        ans = (
            s.p([f"I found no {ns}.", f"There are no matching {ns}."])
            if m == 0
            else (
                s.p([f"I found one {n}: {names[0]}.", f"There is one matching {n}: {names[0]}."])
                if m == 1
                else s.p(
                    [
                        f"I found {m} {ns}: {s.V.seq(names)}.",
                        f"There are {m} matching {ns}: {s.V.seq(names)}.",
                        f"Here are the {ns}: {s.V.seq(names)}.",
                    ]
                )
            )
        )
        return json.dumps(rows if s.ch(0.6) else {"results": rows}, ensure_ascii=False), ans

    # ---- documents
    def anytool(s):
        x = s.r.random()
        if x < 0.45:
            return s.inst_cat(s.p(s.cat))
        if x < 0.9:
            return s.inst_comp()
        return None

    def distract(s, tools, k, near=None):
        """add k distractor schemas (unique names), some close to the target"""
        names = {x["name"] for x in tools}
        tries = 0
        while k > 0 and tries < 30:
            tries += 1
            x = s.r.random()
            if near is not None and near.kind == "comp" and x < 0.4:
                t = s.inst_comp(obj=near.obj, verb=s.p([v for v in VERBS if v is not near.verb])).schema
            elif near is not None and near.kind == "comp" and x < 0.55:
                t = s.inst_comp(verb=near.verb).schema
            elif x < 0.5:
                t = s.inst_cat(s.p(s.cat)).schema
            elif x < 0.8:
                t = s.inst_comp().schema
            else:
                t = s.core_schema()
            if t["name"] in names:
                continue
            if near is not None and near.kind == "cat" and t.get("description") in near.spec.descs:
                continue
            names.add(t["name"])
            tools.append(t)
            k -= 1
        s.r.shuffle(tools)
        return tools

    def nd(s):
        return s.r.choice([0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 8]) if s.r.random() < 0.96 else s.r.randint(9, 20)

    def sysmsg(s):
        return None if s.ch(0.25) else s.p(SYS) + (f" Today is {s.V.date()[1]}." if s.ch(0.08) else "")

    def call(s, name, args):
        return {"role": "assistant", "call": {"name": name, "arguments": args}}

    def error(s):
        return s.p(
            [
                "not found",
                "permission denied",
                "timeout",
                "invalid argument",
                "service unavailable",
                "connection refused",
                "rate limit exceeded",
                "internal error",
                "unauthorized",
            ]
        )

    def single(s):
        """one request -> call -> result -> answer; returns (instance, messages)"""
        if s.ch(0.5):
            t = s.inst_cat(s.p(s.cat))
            u, args, vals = s.request_cat(t)
            if s.ch(0.07):
                res, ans = s.fail()
            else:
                res, ans = s.result_cat(t, {k: v for k, v in vals.items()})
        else:
            t = s.inst_comp()
            ask = None
            if t.verb[3] == "get" and s.ch(0.5):
                ask = s.p(FIELDS)[0]
                u, args = s.request_comp(t)
                if t.idn:
                    i = args[t.idn]
                    u = s.polish(
                        s.p(
                            [
                                "what is the {f} of {n} {i}",
                                "tell me the {f} of {n} {i}",
                                "{f} of {n} {i}",
                                "I need the {f} for {n} {i}",
                                "which {f} does {n} {i} have",
                            ]
                        ).format(f=TITLES(ask), n=t.obj, i=i)
                    )
                    args = {t.idn: i}
                    # required extra slots are stated
                    for a, (ty, ph) in t.slots.items():
                        if a not in t.opt and not ty.startswith("flag"):
                            v, nl = s.V.v(ty)
                            args[a] = v
                            u = u.rstrip("?.") + ", " + TITLES(a) + " " + nl
                    args = {a: args[a] for a in t.schema["parameters"]["properties"] if a in args}
            else:
                u, args = s.request_comp(t)
            if s.ch(0.07):
                res, ans = s.fail()
            else:
                res, ans = s.result_comp(t, args, ask)
        return t, [
            {"role": "user", "content": u},
            s.call(t.name, args),
            {"role": "tool", "content": res},
            {"role": "assistant", "content": ans},
        ]

    def fail(s):
        e = s.error()
        return s.p(
            [
                json.dumps({"error": e}),
                "Error: " + e,
                json.dumps({"success": False, "error": e}),
                json.dumps({"status": "error", "message": e}),
            ]
        ), s.p(
            [
                f"That did not work: {e}.",
                f"The tool returned an error: {e}.",
                f"I couldn't do that ({e}).",
                f"Sorry, the request failed: {e}.",
            ]
        )

    def doc(s):
        kinds = (s.d_single, s.d_multi, s.d_core, s.d_chain, s.d_twice, s.d_parallel, s.d_both, s.d_notool, s.d_ask, s.d_ask_for, s.d_retry, s.d_small, s.d_whattools)
        return s.r.choices(kinds, (40, 9, 21, 6, 3, 3, 3, 6, 2.5, 4, 4, 1.5, 1))[0]()

    def d_parallel(s):
        """one request about several things: a call for each, all in one message"""
        for _ in range(40):
            t = s.inst_cat(s.p(s.cat))
            u, args, vals = s.request_cat(t)
            keys = [
                k
                for k, v in vals.items()
                if t.types[k] in ("city", "country", "person", "company", "ticker", "id", "code", "word", "lang", "product", "email", "title", "host", "service", "domain", "animal", "plant", "element", "medicine", "room", "team", "username", "path")
                and u.count(str(v)) == 1
            ]
            if keys:
                break
        else:
            return s.d_single()
        k = s.p(keys)
        values = [vals[k]]
        for _ in range(s.r.choice([1, 1, 2, 3])):
            v = s.V.v(t.types[k])[0]
            if v not in values:
                values.append(v)
        if len(values) < 2:
            return s.d_single()
        calls, results, answers = [], [], []
        for v in values:
            vals, args = {**vals, k: v}, {**args, t.amap[k]: v}
            res, ans = s.result_cat(t, vals)
            calls.append({"name": t.name, "arguments": args})
            results.append({"role": "tool", "content": res})
            answers.append(ans)
        ms = [{"role": "user", "content": u.replace(str(values[0]), s.V.seq(values))}, {"role": "assistant", "calls": calls}]
        ms += results + [{"role": "assistant", "content": " ".join(answers)}]
        return {"sys": s.sysmsg(), "tools": s.distract([t.schema], s.nd(), t), "messages": ms}

    def d_both(s):
        """two requests for two tools in one sentence: two calls in one message"""
        (t1, m1), (t2, m2) = s.single(), s.single()
        if t1.name == t2.name or len(m1) != 4 or len(m2) != 4:
            return s.d_single()
        a, b = m1[0]["content"].rstrip("?.! "), m2[0]["content"]
        if s.ch(0.7) and b[:2] != "I ":
            b = b[0].lower() + b[1:]
        u = a + s.p([" and ", ", and also ", ". Also, ", "? And ", " and then ", ". And "]) + b
        ms = [{"role": "user", "content": u}, {"role": "assistant", "calls": [m1[1]["call"], m2[1]["call"]]}, m1[2], m2[2]]
        ms.append({"role": "assistant", "content": m1[3]["content"] + " " + m2[3]["content"]})
        return {"sys": s.sysmsg(), "tools": s.distract([t1.schema, t2.schema], s.r.randint(0, 4)), "messages": ms}

    def d_single(s):
        t, m = s.single()
        return {"sys": s.sysmsg(), "tools": s.distract([t.schema], s.nd(), t), "messages": m}

    def d_multi(s):
        ms, tools, names = [], [], set()
        for _ in range(s.r.randint(2, 4)):
            if s.ch(0.12):
                q, a = s.p(HELLO)
                ms += [{"role": "user", "content": s.p(q)}, {"role": "assistant", "content": s.p(a)}]
                continue
            t, m = s.single()
            if t.name in names:
                continue
            names.add(t.name)
            tools.append(t.schema)
            ms += m
        if not ms:
            return s.d_single()
        return {"sys": s.sysmsg(), "tools": s.distract(tools, s.r.randint(0, 3)), "messages": ms}

    def d_twice(s):
        """the same tool for two or three items, or the user changes one argument in a follow-up"""
        for _ in range(20):
            c = s.p(s.cat)
            if sum(not a[3] for a in c.args) <= 2:
                break
        t = s.inst_cat(c)
        u, args, vals = s.request_cat(t)
        ms = [{"role": "user", "content": u}, s.call(t.name, args)]
        res, ans = s.result_cat(t, vals)
        ms += [{"role": "tool", "content": res}, {"role": "assistant", "content": ans}]
        keys = [k for k in vals if t.types[k] not in ("text", "bool")]
        if not keys:
            return {"sys": s.sysmsg(), "tools": s.distract([t.schema], s.nd(), t), "messages": ms}
        if s.ch(0.5):
            for _ in range(s.r.randint(1, 2)):
                k = s.p(keys)
                v, nl = s.V.v(t.types[k])
                vals = dict(vals)
                vals[k] = v
                args = dict(args)
                args[t.amap[k]] = v
                res, ans = s.result_cat(t, vals)
                ms += [
                    {
                        "role": "user",
                        "content": s.p(
                            [
                                "and {v}?",
                                "what about {v}?",
                                "now with {v}",
                                "same for {v}",
                                "And with {a} {v}?",
                                "do it again with {a} {v}",
                            ]
                        ).format(v=nl, a=TITLES(t.amap[k])),
                    },
                    s.call(t.name, args),
                    {"role": "tool", "content": res},
                    {"role": "assistant", "content": ans},
                ]
        else:
            k = s.p(keys)
            n = s.r.choice([2, 2, 3])
            nls, vs = [vals[k]], [vals[k]]
            for _ in range(n - 1):
                v, nl = s.V.v(t.types[k])
                nls.append(nl)
                vs.append(v)
            ms = [
                {
                    "role": "user",
                    "content": u.rstrip("?.!")
                    + s.p([". Do the same for {}.", ", and also for {}", ". Also for {}."]).format(s.V.seq(nls[1:])),
                }
            ]
            answers = []
            for v in vs:
                vals = dict(vals)
                vals[k] = v
                args = dict(args)
                args[t.amap[k]] = v
                res, ans = s.result_cat(t, vals)
                answers.append(ans)
                ms += [s.call(t.name, args), {"role": "tool", "content": res}]
            ms.append({"role": "assistant", "content": " ".join(answers)})
        return {"sys": s.sysmsg(), "tools": s.distract([t.schema], s.nd(), t), "messages": ms}

    def d_notool(s):
        t, m = s.single()
        u = m[0]["content"]
        tools = s.distract([], s.r.randint(1, 5))
        tools = [x for x in tools if x["name"] != t.name and x.get("description") != t.desc]
        if t.kind == "comp":
            tools = [x for x in tools if t.obj not in x.get("description", "")]
        if not tools:
            tools = [s.core_schema()]
        act = (
            re.sub(r"^(get|compute|estimate|returns?)\b", "", t.desc.rstrip(".").lower()).strip()
            if s.ch(0.2)
            else t.desc.rstrip(".")[0].lower() + t.desc.rstrip(".")[1:]
        )
        act = re.sub(r"\s*\(.*\)|\. .*", "", act)
        l = s.V.seq([x.get("description", x["name"]).split(". ")[0].rstrip(".").lower() for x in tools[:4]])
        return {
            "sys": s.sysmsg(),
            "tools": tools,
            "messages": [
                {"role": "user", "content": u},
                {"role": "assistant", "content": s.p(NOTOOL).format(a=act, l=l)},
            ],
        }

    def d_ask(s):
        """a required argument is missing: ask, get it, call"""
        t = s.inst_comp(verb=s.p([v for v in VERBS if v[3] in ("get", "update", "delete", "act")]))
        n = t.obj
        args = {}
        u = s.polish(
            s.p(["{v} a {n}", "I want to {v} a {n}", "{v} the {n}"]).format(
                v=t.verb[0][0] if t.verb[3] != "act" else t.desc.split()[0].lower().rstrip("s"), n=n
            )
        )
        req = [a for a in t.schema["parameters"]["properties"] if a == t.idn or (a in t.slots and a not in t.opt)]
        vals, nls = {}, []
        for a in req:
            ty = t.idt if a == t.idn else t.slots[a][0]
            v, nl = s.V.v(ty)
            vals[a] = v
            nls.append((a, nl))
        q = s.p(
            [
                "Which {n} do you mean? Please give me the {a}.",
                "What is the {a}?",
                "Please tell me the {a}.",
                "I need the {a} for that.",
            ]
        ).format(n=n, a=s.V.seq([TITLES(a) for a in req]))
        a2 = (
            s.p(["{}", "It's {}", "{} please", "the {}"]).format(nls[0][1])
            if len(nls) == 1
            else s.V.seq([f"{TITLES(a)} {nl}" for a, nl in nls])
        )
        res, ans = s.result_comp(t, vals)
        return {
            "sys": s.sysmsg(),
            "tools": s.distract([t.schema], s.nd(), t),
            "messages": [
                {"role": "user", "content": u},
                {"role": "assistant", "content": q},
                {"role": "user", "content": a2},
                s.call(t.name, vals),
                {"role": "tool", "content": res},
                {"role": "assistant", "content": ans},
            ],
        }

    def without(s, t):
        """A request for the catalogue tool in which one required argument is missing: (request, its canonical name, values), or None."""
        need = [a[0][0] for a in t.spec.args if not a[3]]
        for _ in range(8):
            template = "".join(text for text, optional in s.p(t.spec.req) if not optional)
            keys = re.findall(r"\{(\w+)\}", template)
            if any(k not in t.amap for k in keys) or not set(need) <= set(keys):
                continue
            cut = {}
            for k in need:
                if template.count("{" + k + "}") == 1:
                    rest = re.sub(r",? ?\b(?:to|for|in|at|from|on|with|by|over|of|until|about|into|as)(?: the| a)? \{" + k + r"\}(?=$|[,.?]| (?:to|for|in|at|from|on|with|by|over|and|into)\b)", "", template)
                    if "{" + k + "}" not in rest and len(rest) > 6:
                        cut[k] = rest
            if cut:
                k = s.p(list(cut))
                values = {x: s.V.v(t.types[x]) for x in keys}
                return cut[k].format(**{x: nl for x, (_, nl) in values.items()}), k, values
        return None

    def d_ask_for(s):
        """a catalogue tool, one required argument missing: ask for that one, get it, call with what was said before, too"""
        for _ in range(40):
            t = s.inst_cat(s.p(s.cat))
            made = s.without(t)
            if made:
                break
        else:
            return s.d_ask()
        u, k, values = made
        inv = {v: c for c, v in t.amap.items()}
        args = {a: values[inv[a]][0] for a in t.schema["parameters"]["properties"] if inv[a] in values}
        title = TITLES(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", t.amap[k])).lower()
        res, ans = s.result_cat(t, {c: v for c, (v, _) in values.items()})
        return {"sys": s.sysmsg(), "tools": s.distract([t.schema], s.nd(), t), "messages": [
            {"role": "user", "content": s.polish(u)},
            {"role": "assistant", "content": s.p(["What is the {a}?", "Which {a}?", "Please tell me the {a}.", "What {a} should I use?", "I need the {a} for that."]).format(a=title)},
            {"role": "user", "content": s.p(["{}", "{}", "It's {}", "{} please", "{}.", "Take {}", "the {a} is {}"]).format(values[k][1], a=title)},
            s.call(t.name, args), {"role": "tool", "content": res}, {"role": "assistant", "content": ans}]}

    def d_retry(s):
        """the first call is refused because a name is not quite right; what is known is told, and the second call is right"""
        for _ in range(40):
            t = s.inst_cat(s.p(s.cat))
            u, args, vals = s.request_cat(t)
            keys = [k for k, v in vals.items() if t.types[k] in ("city", "country", "person", "company", "product", "title", "host", "service", "room", "team", "place", "word", "plant", "animal", "username")
                    and isinstance(v, str) and len(v) > 4 and u.count(v) == 1]
            if keys:
                break
        else:
            return s.d_single()
        k = s.p(keys)
        right = vals[k]
        parts = right.split()
        if len(parts) > 1 and s.ch(.6):
            said = s.p(parts)
            if len(said) < 4:
                said = parts[0]
        elif s.ch(.4):
            i = s.r.randrange(1, len(right) - 1)
            said = right[:i] + right[i + 1:]
        else:
            right = s.p([f"{s.V.word().capitalize()} {right}", f"{right} {s.V.word().capitalize()}", f"{right}-{s.r.randint(1, 99)}"])
            said = vals[k]
        others = [s.V.v(t.types[k])[0] for _ in range(s.r.choice((1, 1, 2, 3)))]
        if said == right or any(said.lower() in x.lower() for x in others):
            return s.d_single()
        known = others + [right]
        s.r.shuffle(known)
        a = t.amap[k]
        error = s.p(["unknown {a}; known are: {l}", "{a}: no \"{v}\"; there is: {l}", "there is no {t} {v}; the {t}s are: {l}", "not found: {v}. Did you mean {r}?", '{{"error": "unknown {a}", "known": [{j}]}}',
                     "Error: {a} must be one of {l}", "no such {t}: {v} (known: {l})", "{v} is not known. Known: {l}"]).format(a=a, t=TITLES(a), v=said, r=right, l=", ".join(known), j=", ".join(json.dumps(x) for x in known))
        res, ans = s.result_cat(t, {**vals, k: right})
        return {"sys": s.sysmsg(), "tools": s.distract([t.schema], s.nd(), t), "messages": [
            {"role": "user", "content": u.replace(vals[k], said)}, s.call(t.name, {**args, a: said}), {"role": "tool", "content": error},
            s.call(t.name, {**args, a: right}), {"role": "tool", "content": res}, {"role": "assistant", "content": ans}]}

    def d_small(s):
        tools = s.distract([], s.r.randint(0, 5))
        ms = []
        for _ in range(s.r.randint(1, 2)):
            if s.ch(0.75):
                q, a = s.p(HELLO)
                ms += [
                    {"role": "user", "content": s.p(q).capitalize() if s.ch(0.5) else s.p(q)},
                    {"role": "assistant", "content": s.p(a)},
                ]
            else:
                k, v = s.fact()
                ms += [
                    {
                        "role": "user",
                        "content": f"{k[0].upper() + k[1:]} is {v}. {s.p(['What is ' + k + '?', 'So, what is ' + k + '?', 'Can you repeat ' + k + '?'])}",
                    },
                    {
                        "role": "assistant",
                        "content": s.p([f"{k[0].upper() + k[1:]} is {v}.", f"It is {v}."])
                        .replace("My ", "Your ")
                        .replace("Our ", "Your "),
                    },
                ]
        return {"sys": s.sysmsg(), "tools": tools, "messages": ms}

    def d_whattools(s):
        tools = s.distract([], s.r.randint(1, 6))
        ds = [x.get("description", x["name"]).split(". ")[0].rstrip(".") for x in tools]
        ds = [d[0].lower() + d[1:] for d in ds]
        ans = s.p(
            ["I can help with the following: {}.", "With my tools I can: {}.", "Here is what I can do: {}."]
        ).format("; ".join(ds))
        return {
            "sys": s.sysmsg(),
            "tools": tools,
            "messages": [
                {
                    "role": "user",
                    "content": s.p(
                        [
                            "what can you do?",
                            "Which tools do you have?",
                            "how can you help me",
                            "What are your tools?",
                            "help",
                            "list your functions",
                        ]
                    ),
                },
                {"role": "assistant", "content": ans},
            ],
        }

    def fact(s):
        k = s.p(
            [
                "my {a} {n}",
                "the {n} code",
                "my favorite {w}",
                "our {n} deadline",
                "the {n} password",
                "my {w} number",
                "the wifi password",
                "my birthday",
                "my boss's email",
                "my sister's phone number",
                "the {n} budget",
                "my address",
                "the meeting room",
                "my dog's name",
                "my flight number",
                "the {n} contact",
            ]
        ).format(a=s.p(ADJ), n=s.p(NOUN), w=s.p(["color", "food", "city", "book", "song", "team"]))
        ty = (
            "date"
            if "deadline" in k or "birthday" in k
            else (
                "email"
                if "email" in k
                else (
                    "phone"
                    if "number" in k and "flight" not in k
                    else (
                        "money"
                        if "budget" in k
                        else (
                            "address"
                            if "address" in k
                            else (
                                "person"
                                if "contact" in k or "dog" in k
                                else (
                                    "city"
                                    if "city" in k
                                    else (
                                        "color"
                                        if "color" in k
                                        else "product" if "food" in k else s.p(["code", "word", "hash", "phrase"])
                                    )
                                )
                            )
                        )
                    )
                )
            )
        )
        return k, s.V.v(ty)[1]

    def d_chain(s):
        """find -> id -> act on it"""
        r = s.r
        obj = s.p(s.objs) if s.ch(0.9) else s.V.nonce()
        find = s.inst_comp(obj, next(v for v in VERBS if v[3] == "list"))
        act = s.inst_comp(obj, s.p([v for v in VERBS if v[3] in ("get", "update", "delete", "act")]))
        if find.name == act.name or act.idt == "phrase":
            return s.d_single()
        # give the search tool a name/query argument
        a, ty = s.p(
            [("name", "phrase"), ("query", "phrase"), ("owner", "person"), ("customer", "person"), ("title", "phrase")]
        )
        find.schema["parameters"]["properties"] = {
            a: s.prop(ty, f"{a.capitalize()} to search for", False),
            **{k: v for k, v in list(find.schema["parameters"]["properties"].items())[:1] if k != a and k in find.opt},
        }
        find.schema["parameters"]["required"] = [a]
        who, _ = s.V.v(ty)
        idv = s.V.v(act.idt)[0]
        u, args = s.request_comp(act, idv=idv)
        ref = f"the {obj} of {who}" if ty == "person" else s.p([f'the {obj} "{who}"', f"the {obj} called {who}"])
        i = str(idv)
        k0 = u
        u2 = None
        for pat in (f"the {obj} {i}", f"{obj} {i}", f"{obj} number {i}"):
            if pat in u:
                u2 = u.replace(pat, ref)
                break
        if not u2:
            return s.d_single()
        row = {act.idn: idv, (a if a != "query" else "name"): who}
        for f, t2 in r.sample(FIELDS, r.randint(0, 2)):
            row.setdefault(f, s.V.v(t2)[0])
        ms = [{"role": "user", "content": u2}, s.call(find.name, {a: who})]
        if s.ch(0.12):
            ms += [
                {"role": "tool", "content": s.p(["[]", '{"results": []}'])},
                {"role": "assistant", "content": s.p([f"I couldn't find {ref}.", f"There is no match for {who}."])},
            ]
        else:
            res, ans = s.result_comp(act, args)
            ms += [
                {"role": "tool", "content": json.dumps([row] if s.ch(0.7) else {"results": [row]}, ensure_ascii=False)},
                s.call(act.name, args),
                {"role": "tool", "content": res},
                {"role": "assistant", "content": ans},
            ]
        return {"sys": s.sysmsg(), "tools": s.distract([find.schema, act.schema], s.r.randint(0, 4)), "messages": ms}

    # ------------------------------------------------------------------------------------------- core tools
    CORE = {  # key: (names, descriptions, [(arg names, type schema, description, optional)])
        "calc": (
            ["calculator", "calculate", "calc", "math", "evaluate", "math_eval"],
            [
                "Evaluate an arithmetic expression.",
                "Calculate a mathematical expression and return the result.",
                "A calculator for arithmetic. Supports + - * / ^ and parentheses.",
            ],
            [
                (
                    ["expression", "expr", "input", "formula"],
                    {"type": "string"},
                    "The expression to evaluate, e.g. 2*(3+4)",
                    0,
                )
            ],
        ),
        "read": (
            ["read_file", "file_read", "fs_read", "open_file", "cat_file", "files.read"],
            ["Read a text file and return its content.", "Return the contents of a file.", "Reads a file from disk."],
            [(["path", "file", "filename", "file_path"], {"type": "string"}, "Path of the file", 0)],
        ),
        "write": (
            ["write_file", "file_write", "fs_write", "save_file", "create_file", "files.write"],
            [
                "Write text to a file.",
                "Create or overwrite a file with the given content.",
                "Save text to a file on disk.",
            ],
            [
                (["path", "file", "filename", "file_path"], {"type": "string"}, "Path of the file", 0),
                (["content", "text", "data", "contents"], {"type": "string"}, "Text to write", 0),
            ],
        ),
        "append": (
            ["append_file", "file_append", "append_to_file", "files.append"],
            ["Append text to the end of a file."],
            [
                (["path", "file", "filename"], {"type": "string"}, "Path of the file", 0),
                (["content", "text", "line"], {"type": "string"}, "Text to append", 0),
            ],
        ),
        "ls": (
            ["list_files", "list_dir", "ls", "list_directory", "dir", "files.list"],
            ["List the files in a directory.", "Return the names of the entries of a directory."],
            [(["path", "dir", "directory", "folder"], {"type": "string"}, "Directory path", 0)],
        ),
        "rm": (
            ["delete_file", "remove_file", "rm", "files.delete"],
            ["Delete a file."],
            [(["path", "file", "filename"], {"type": "string"}, "File to delete", 0)],
        ),
        "mv": (
            ["move_file", "rename_file", "mv", "files.move"],
            ["Move or rename a file."],
            [
                (["source", "from", "src", "old_path"], {"type": "string"}, "Current path", 0),
                (["destination", "to", "dst", "new_path"], {"type": "string"}, "New path", 0),
            ],
        ),
        "grep": (
            ["search_files", "grep", "find_in_files", "search_text"],
            ["Search for a text in files.", "Find lines that contain a pattern."],
            [
                (["pattern", "query", "text", "needle"], {"type": "string"}, "Text to look for", 0),
                (["path", "dir", "file", "directory"], {"type": "string"}, "File or directory to search", 0),
            ],
        ),
        "http": (
            ["http_get", "fetch_url", "http_request", "get_url", "web_fetch", "http.get"],
            [
                "Fetch a URL with HTTP GET and return the body.",
                "Make an HTTP GET request.",
                "Download the content of a URL.",
            ],
            [(["url", "uri", "link"], {"type": "string"}, "URL to fetch", 0)],
        ),
        "sql": (
            ["sql_query", "sqlite_query", "query_database", "db_query", "run_sql", "sqlite"],
            [
                "Run an SQL query on the database and return the rows.",
                "Execute a SQLite query.",
                "Query the local SQLite database.",
            ],
            [(["query", "sql", "statement"], {"type": "string"}, "SQL statement", 0)],
        ),
        "remember": (
            ["remember", "memory_save", "save_memory", "store_fact", "memory_remember", "memory.store"],
            ["Remember a fact for later.", "Store information in long-term memory.", "Save a fact to memory."],
            [(["text", "fact", "content", "note"], {"type": "string"}, "What to remember", 0)],
        ),
        "rememberkv": (
            ["remember", "memory_set", "save_fact", "store_value", "memory_put"],
            ["Store a value under a key in memory.", "Save a key/value pair to memory."],
            [
                (["key", "name"], {"type": "string"}, "Key", 0),
                (["value", "content", "text"], {"type": "string"}, "Value", 0),
            ],
        ),
        "recall": (
            ["recall", "memory_search", "search_memory", "memory_recall", "memory.search", "lookup_memory"],
            [
                "Search the memory for something that was remembered.",
                "Recall stored facts.",
                "Look up facts saved earlier.",
            ],
            [(["query", "key", "text", "topic"], {"type": "string"}, "What to look for", 0)],
        ),
        "now": (
            ["get_time", "current_time", "now", "get_datetime", "date_time", "clock", "time_now"],
            ["Get the current date and time.", "Returns the current local time."],
            [],
        ),
        "nowtz": (
            ["get_time", "current_time", "time_now", "world_time"],
            ["Get the current time in a time zone."],
            [(["timezone", "tz", "zone"], {"type": "string"}, "IANA time zone, e.g. Europe/Paris", 0)],
        ),
        "dateadd": (
            ["date_add", "add_days", "date_offset", "date_plus"],
            ["Add days to a date.", "Compute the date some days after a date."],
            [
                (["date", "start", "from"], {"type": "string"}, "Date (YYYY-MM-DD)", 0),
                (["days", "offset", "n"], {"type": "integer"}, "Number of days, may be negative", 0),
            ],
        ),
        "datediff": (
            ["days_between", "date_diff", "date_difference"],
            ["Number of days between two dates."],
            [
                (["start", "from", "date1"], {"type": "string"}, "First date (YYYY-MM-DD)", 0),
                (["end", "to", "date2"], {"type": "string"}, "Second date (YYYY-MM-DD)", 0),
            ],
        ),
        "wc": (
            ["count_words", "word_count", "text_stats", "wc"],
            ["Count the words in a text.", "Word and character count of a text."],
            [(["text", "input", "content"], {"type": "string"}, "The text", 0)],
        ),
        "upper": (
            ["uppercase", "to_upper", "text_upper"],
            ["Convert a text to upper case."],
            [(["text", "input", "s"], {"type": "string"}, "The text", 0)],
        ),
        "reverse": (
            ["reverse_text", "reverse_string", "text_reverse"],
            ["Reverse a text."],
            [(["text", "input", "s"], {"type": "string"}, "The text", 0)],
        ),
        "replace": (
            ["replace_text", "text_replace", "find_replace"],
            ["Replace a word in a text."],
            [
                (["text", "input"], {"type": "string"}, "The text", 0),
                (["find", "old", "search"], {"type": "string"}, "Text to find", 0),
                (["replace", "new", "with"], {"type": "string"}, "Replacement", 0),
            ],
        ),
        "shell": (
            ["shell", "run_command", "bash", "execute_command", "run_shell", "exec", "terminal"],
            [
                "Run a shell command and return its output.",
                "Execute a command in the shell.",
                "Run a bash command line.",
            ],
            [(["command", "cmd", "command_line"], {"type": "string"}, "Command to run", 0)],
        ),
        "note": (
            ["add_note", "create_note", "note_add", "save_note", "notes.add", "new_note"],
            ["Save a note.", "Create a note with a title and a text.", "Add a note to the notebook."],
            [
                (["title", "name", "heading"], {"type": "string"}, "Title", 0),
                (["text", "content", "body"], {"type": "string"}, "Note text", 0),
            ],
        ),
        "note1": (
            ["add_note", "take_note", "jot_down", "notes.add"],
            ["Save a note.", "Write down a note."],
            [(["text", "content", "note"], {"type": "string"}, "Text of the note", 0)],
        ),
        "notes": (
            ["list_notes", "notes", "show_notes", "notes.list"],
            ["List all notes.", "Show the titles of all notes."],
            [],
        ),
        "findnote": (
            ["search_notes", "find_note", "notes.search"],
            ["Search the notes."],
            [(["query", "text", "keyword"], {"type": "string"}, "Search text", 0)],
        ),
        "delnote": (
            ["delete_note", "remove_note", "notes.delete"],
            ["Delete a note by title."],
            [(["title", "name"], {"type": "string"}, "Title of the note", 0)],
        ),
        "todo": (
            ["add_todo", "todo_add", "add_task", "create_task"],
            ["Add a task to the to-do list."],
            [(["task", "text", "title", "item"], {"type": "string"}, "The task", 0)],
        ),
        "hash": (
            ["hash_text", "compute_hash", "hash"],
            ["Compute the hash of a text."],
            [
                (["text", "data", "input"], {"type": "string"}, "Text", 0),
                (
                    ["algorithm", "algo", "method"],
                    {"type": "string", "enum": ["md5", "sha1", "sha256"]},
                    "Hash algorithm",
                    0,
                ),
            ],
        ),
        "sysinfo": (
            ["system_info", "sysinfo", "get_system_info"],
            ["Get information about this machine: CPU, memory, disk and GPU."],
            [],
        ),
        "json": (
            ["json_get", "json_path", "extract_json"],
            ["Extract a value from a JSON text."],
            [
                (["json", "data", "text"], {"type": "string"}, "JSON text", 0),
                (["path", "key", "field"], {"type": "string"}, "Field to extract", 0),
            ],
        ),
    }

    def core(s, key):
        """-> (schema, name, [arg names])"""
        names, ds, args = s.CORE[key]
        name = s.p(names) if s.ch(0.93) else s.V.nonce()
        props, an = {}, []
        for ns, ty, d, _ in args:
            a = ns[0] if s.ch(0.5) else s.p(ns)
            props[a] = {**ty, "description": d} if s.ch(0.93) else dict(ty)
            an.append(a)
        return s.mkschema(name, s.p(ds), props, list(props)), name, an

    def core_schema(s):
        return s.core(s.p(list(s.CORE)))[0]

    def num(s, v):
        if isinstance(v, float):
            v = round(v, 4)
            return str(int(v)) if v == int(v) else str(v)
        return str(v)

    def arith(s):
        r = s.r
        x = r.random()
        a, b, c = r.randint(2, 999), r.randint(2, 99), r.randint(2, 99)
        if x < 0.2:
            op = s.p("+-*/")
            w = {
                "+": ["plus", "+"],
                "-": ["minus", "-"],
                "*": ["times", "*", "x", "multiplied by"],
                "/": ["divided by", "/"],
            }[op]
            e = s.p([f"{a} {op} {b}", f"{a}{op}{b}"])
            return (
                s.p(["what is {}", "how much is {}", "calculate {}", "{}", "compute {}"]).format(f"{a} {s.p(w)} {b}"),
                e,
            )
        if x < 0.3:
            e = f"{a} * {b} + {c}"
            return s.p(["what is {}", "calculate {}", "evaluate {}", "{} = ?"]).format(e), e
        if x < 0.38:
            e = f"({a} + {b}) * {c}"
            return s.p(["what is {}", "calculate {}", "evaluate {}"]).format(e), e
        if x < 0.5:
            p = r.randint(1, 95)
            return (
                s.p(["what is {p}% of {a}", "how much is {p} percent of {a}", "calculate {p}% of {a}"]).format(
                    p=p, a=a
                ),
                f"{a} * {p} / 100",
            )
        if x < 0.62:
            it = s.p(FOODS)
            pr = round(r.uniform(1, 99), 2)
            return (
                s.p(
                    [
                        "I buy {b} {i} at {pr} each. What do I pay?",
                        "{b} times {i} for {pr} each, what's the total?",
                        "what do {b} {i} cost at {pr} per piece",
                    ]
                ).format(b=b, i=it, pr=pr),
                f"{b} * {pr}",
            )
        if x < 0.7:
            return (
                s.p(
                    [
                        "split {a} among {b} people",
                        "if {b} people share {a}, how much does each one get",
                        "divide {a} equally by {b}",
                    ]
                ).format(a=a, b=b),
                f"{a} / {b}",
            )
        if x < 0.78:
            l = [r.randint(1, 300) if s.ch(0.6) else round(r.uniform(1, 99), 2) for _ in range(r.randint(3, 6))]
            return s.p(["add up {}", "sum of {}", "what is the total of {}", "add {}"]).format(s.V.seq(l)), " + ".join(
                map(str, l)
            )
        if x < 0.84:
            l = [r.randint(1, 100) for _ in range(r.randint(3, 5))]
            return (
                s.p(["average of {}", "what's the mean of {}"]).format(s.V.seq(l)),
                "(" + " + ".join(map(str, l)) + f") / {len(l)}",
            )
        if x < 0.88:
            return s.p(["what is {b} squared", "square of {b}"]).format(b=b), f"{b} * {b}"
        if x < 0.94:
            p = r.randint(5, 60)
            return (
                s.p(
                    [
                        "a price of {a} is reduced by {p}%. What's the new price?",
                        "{a} minus a {p}% discount",
                        "what do I pay for {a} with {p} percent off",
                    ]
                ).format(a=a, p=p),
                f"{a} * (1 - {p} / 100)",
            )
        h = r.randint(2, 60)
        return (
            s.p(["I work {h} hours for {b} per hour, what do I earn", "how much is {h} hours at {b} an hour"]).format(
                h=h, b=b
            ),
            f"{h} * {b}",
        )

    def ev(s, e):
        try:
            return s.num(eval(e))
        except Exception:
            return "0"

    def factline(s):
        """(question, answer value, sentence)"""
        V = s.V
        n = s.p(NOUN)
        k = s.p(
            [
                "deadline",
                "budget",
                "owner",
                "location",
                "status",
                "contact",
                "code",
                "date",
                "version",
                "phone",
                "price",
                "name",
                "size",
                "color",
                "password",
                "address",
                "url",
                "port",
            ]
        )
        ty = {
            "deadline": "date",
            "budget": "money",
            "owner": "person",
            "location": "city",
            "status": "enum(open,closed,late,done,blocked,green)",
            "contact": "email",
            "code": "code",
            "date": "date",
            "version": "version",
            "phone": "phone",
            "price": "money",
            "name": "title",
            "size": "int(1,900)",
            "color": "color",
            "password": "hash",
            "address": "address",
            "url": "url",
            "port": "int(80,9999)",
        }[k]
        v = V.v(ty)[0]
        adj = s.p([s.p(ADJ) + " ", "", "", V.word() + " "])
        return (
            f"the {k} of the {adj}{n}",
            str(v),
            s.p(
                [f"The {k} of the {adj}{n} is {v}.", f"{adj}{n} {k}: {v}".strip(), f"{k.capitalize()} ({adj}{n}) = {v}"]
            ),
            k,
        )

    def content(s, lines=None):
        fs = [s.factline() for _ in range(s.r.randint(1, 4))]
        body = [f[2] for f in fs]
        if s.ch(0.4):
            body.insert(0, s.V.text() + ".")
        if s.ch(0.2):
            body.append(s.V.text() + ".")
        return fs, s.p(["\n", "\n", " "]).join(body)

    def sqltask(s):
        r = s.r
        V = s.V
        T = {
            "users": [("name", "person"), ("email", "email"), ("city", "city"), ("age", "int(18,90)")],
            "orders": [
                ("customer", "person"),
                ("total", "money"),
                ("status", "enum(open,shipped,paid)"),
                ("date", "date"),
            ],
            "products": [("name", "product"), ("price", "money"), ("stock", "int(0,500)"), ("category", "word")],
            "employees": [
                ("name", "person"),
                ("salary", "bigmoney"),
                ("department", "enum(sales,engineering,finance)"),
                ("city", "city"),
            ],
            "books": [("title", "title"), ("author", "person"), ("year", "year"), ("price", "money")],
            "expenses": [("category", "enum(food,travel,rent,fun)"), ("amount", "money"), ("date", "date")],
            "tasks": [("title", "phrase"), ("owner", "person"), ("done", "int(0,1)"), ("due", "date")],
            "sensors": [("name", "host"), ("value", "num"), ("room", "room")],
        }
        tb = s.p(list(T))
        cols = T[tb]
        if s.ch(0.25):
            tb = V.nonce(2) + "s"
        numc = [c for c in cols if c[1].startswith("int") or c[1] in ("money", "bigmoney", "num", "year")]
        strc = [c for c in cols if c not in numc]
        x = r.random()
        c = s.p(strc)
        v = V.v(c[1])[0]
        cc = s.p(numc)
        k = r.randint(1, 500)
        q = lambda z: "'" + str(z).replace("'", "''") + "'"
        if x < 0.18:
            return (
                tb,
                cols,
                s.p(["how many {t} are there", "how many rows does the table {t} have", "count the {t}"]).format(t=tb),
                f"SELECT COUNT(*) FROM {tb}",
                [{"COUNT(*)": k}],
                f"There are {k} {tb}.",
            )
        if x < 0.36:
            return (
                tb,
                cols,
                s.p(
                    ["how many {t} have {c} {v}", "count the {t} with {c} {v}", "number of {t} where {c} is {v}"]
                ).format(t=tb, c=c[0], v=v),
                f"SELECT COUNT(*) FROM {tb} WHERE {c[0]} = {q(v)}",
                [{"COUNT(*)": k}],
                s.p([f"{k} {tb} have {c[0]} {v}.", f"There are {k}."]),
            )
        if x < 0.5:
            f = s.p([z for z in cols if z != c])
            w = V.v(f[1])[0]
            return (
                tb,
                cols,
                s.p(
                    [
                        "what is the {f} of the {t} entry with {c} {v}",
                        "show the {f} in {t} where {c} is {v}",
                        "get the {f} from {t} for {c} {v}",
                    ]
                ).format(f=f[0], t=tb, c=c[0], v=v),
                f"SELECT {f[0]} FROM {tb} WHERE {c[0]} = {q(v)}",
                [{f[0]: w}],
                s.p([f"The {f[0]} is {w}.", f"{v} has the {f[0]} {w}."]),
            )
        if x < 0.66:
            ag, wd = s.p(
                [("SUM", "total"), ("AVG", "average"), ("MAX", "highest"), ("MAX", "maximum"), ("MIN", "lowest")]
            )
            w = V.v(cc[1])[0]
            return (
                tb,
                cols,
                s.p(["what's the {w} {c} in {t}", "{w} {c} of all {t}", "find the {w} {c} in the {t} table"]).format(
                    w=wd, c=cc[0], t=tb
                ),
                f"SELECT {ag}({cc[0]}) FROM {tb}",
                [{f"{ag}({cc[0]})": w}],
                f"The {wd} {cc[0]} is {w}.",
            )
        if x < 0.8:
            n = r.randint(1, 3)
            rows = [{z[0]: V.v(z[1])[0] for z in (strc[0], cc)} for _ in range(n)]
            return (
                tb,
                cols,
                s.p(
                    [
                        "show the top {n} {t} by {c}",
                        "which {n} {t} have the highest {c}",
                        "list the {n} {t} with the largest {c}",
                    ]
                ).format(n=n, t=tb, c=cc[0]),
                f"SELECT {strc[0][0]}, {cc[0]} FROM {tb} ORDER BY {cc[0]} DESC LIMIT {n}",
                rows,
                "The top " + tb + ": " + V.seq([f"{x_[strc[0][0]]} ({x_[cc[0]]})" for x_ in rows]) + ".",
            )
        lim = r.randint(1, 900)
        op, wd = s.p([(">", "more than"), (">", "above"), ("<", "less than"), ("<", "below"), (">=", "at least")])
        rows = [{strc[0][0]: V.v(strc[0][1])[0]} for _ in range(r.randint(0, 3))]
        return (
            tb,
            cols,
            s.p(
                ["which {t} have a {c} {w} {l}", "list the {t} with {c} {w} {l}", "show {t} where {c} is {w} {l}"]
            ).format(t=tb, c=cc[0], w=wd, l=lim),
            f"SELECT {strc[0][0]} FROM {tb} WHERE {cc[0]} {op} {lim}",
            rows,
            ("No rows match." if not rows else "These match: " + V.seq([x_[strc[0][0]] for x_ in rows]) + "."),
        )

    def d_core(s):
        r, V, p, U = s.r, s.V, s.p, lambda u: {"role": "user", "content": s.polish(u)}
        A = lambda t: {"role": "assistant", "content": t}
        T = lambda t: {"role": "tool", "content": t}
        k = r.choices(
            [
                "calc",
                "read",
                "readq",
                "write",
                "append",
                "ls",
                "lsread",
                "rm",
                "mv",
                "grep",
                "http",
                "sql",
                "sqlschema",
                "remember",
                "recall",
                "remrec",
                "now",
                "nowtz",
                "date",
                "text",
                "shell",
                "note",
                "notes",
                "delnote",
                "todo",
                "hash",
                "sysinfo",
                "readcalc",
                "calcsave",
                "httpmem",
                "recalluse",
                "retry",
                "nowuse",
                "chat_ctx",
                "extwrite",
            ],
            [9, 4, 7, 5, 3, 4, 4, 2, 2, 3, 5, 6, 3, 5, 5, 3, 3, 2, 4, 5, 7, 4, 3, 1, 2, 1, 1, 5, 4, 3, 4, 4, 2, 2, 3],
        )[0]
        tools = []

        def C(key):
            for _ in range(9):
                sc, n, a = s.core(key)
                if all(n != x["name"] for x in tools):
                    break
            tools.append(sc)
            return n, a

        cl = s.call
        if k == "calc":
            n, a = C("calc")
            u, e = s.arith()
            v = s.ev(e)
            ms = [
                U(u),
                cl(n, {a[0]: e}),
                T(p([v, json.dumps({"result": float(v) if "." in v else int(v)})])),
                A(p([f"The result is {v}.", f"{v}", f"It is {v}.", f"That is {v}.", f"{e} = {v}."])),
            ]
            if s.ch(0.3):
                op, w = p([("*", "times"), ("+", "plus"), ("-", "minus"), ("/", "divided by")])
                b = r.randint(2, 50)
                e2 = f"{v} {op} {b}"
                v2 = s.ev(e2)
                ms += [
                    {"role": "user", "content": p(["and that {w} {b}?", "now {w} {b}", "{w} {b}"]).format(w=w, b=b)},
                    cl(n, {a[0]: e2}),
                    T(v2),
                    A(p([f"That is {v2}.", f"{v2}"])),
                ]
        elif k == "read":
            n, a = C("read")
            f = V.path()
            _, c = s.content()
            ms = [
                U(
                    p(
                        [
                            "read {f}",
                            "show me the content of {f}",
                            "what's in {f}",
                            "open {f}",
                            "print the file {f}",
                            "what does {f} say",
                        ]
                    ).format(f=f)
                ),
                cl(n, {a[0]: f}),
                T(c),
                A(p([f"The file {f} contains:\n{c}", f"Here is the content of {f}:\n{c}", c])),
            ]
        elif k == "readq":
            n, a = C("read")
            f = V.path()
            fs, c = s.content()
            q, v, l, kk = p(fs)
            ms = [
                U(
                    p(
                        [
                            "according to {f}, what is {q}",
                            "read {f} and tell me {q}",
                            "look into {f}: what is {q}",
                            "what is {q}? It is in {f}",
                            "find {q} in the file {f}",
                        ]
                    ).format(f=f, q=q)
                ),
                cl(n, {a[0]: f}),
                T(c),
                A(p([f"{q[0].upper() + q[1:]} is {v}.", f"It is {v}.", f"According to {f}, {q} is {v}."])),
            ]
            if len(fs) > 1 and s.ch(0.35):
                q, v, l, kk = p(fs)
                ms += [
                    {"role": "user", "content": p([f"and {q}?", f"What is {q}?", f"And what about {q}?"])},
                    A(p([f"{q[0].upper() + q[1:]} is {v}.", f"It is {v}."])),
                ]
        elif k == "write":
            n, a = C("write")
            f = V.path()
            c = V.text()
            ms = [
                U(
                    p(
                        [
                            'write "{c}" to {f}',
                            'create a file {f} with the text "{c}"',
                            'save "{c}" in {f}',
                            "create {f} containing: {c}",
                            'make a new file named {f} that says "{c}"',
                            "put the text '{c}' into {f}",
                        ]
                    ).format(c=c, f=f)
                ),
                cl(n, {a[0]: f, a[1]: c}),
                T(p(["OK", json.dumps({"written": len(c)}), f"wrote {len(c)} bytes to {f}"])),
                A(p([f"I wrote the text to {f}.", f"Done. {f} was saved.", f"The file {f} has been created."])),
            ]
        elif k == "append":
            n, a = C("append")
            f = V.path()
            c = V.text()
            ms = [
                U(
                    p(['append "{c}" to {f}', 'add the line "{c}" to {f}', 'add "{c}" at the end of {f}']).format(
                        c=c, f=f
                    )
                ),
                cl(n, {a[0]: f, a[1]: c}),
                T(p(["OK", '{"ok": true}'])),
                A(p([f"I added the line to {f}.", f"Done, {f} was updated."])),
            ]
        elif k == "ls":
            n, a = C("ls")
            d = p([V.dir_(), ".", "/tmp", V.dir_()])
            fl = [V.fname() for _ in range(r.randint(0, 6))]
            ms = [
                U(
                    p(
                        [
                            "list the files in {d}",
                            "what files are in {d}",
                            "show the directory {d}",
                            "ls {d}",
                            "which files does {d} contain",
                        ]
                    ).format(d=d if d != "." else p(["the current directory", "this folder", "."]))
                ),
                cl(n, {a[0]: d}),
                T(p(["\n".join(fl) if fl else "(empty)", json.dumps(fl)])),
                A(
                    f"The directory {d} is empty."
                    if not fl
                    else (
                        p([f"There are {len(fl)} files: {V.seq(fl)}.", f"{d} contains {V.seq(fl)}."])
                        if len(fl) > 1
                        else f"There is one file: {fl[0]}."
                    )
                ),
            ]
        elif k == "lsread":
            n, a = C("ls")
            n2, a2 = C("read")
            d = V.dir_()
            fl = list({V.fname() for _ in range(r.randint(2, 5))})
            f = p(fl)
            ext = f.rsplit(".", 1)[1]
            _, c = s.content()
            if sum(x.endswith("." + ext) for x in fl) > 1:
                return s.d_core()
            full = d.rstrip("/") + "/" + f
            ms = [
                U(
                    p(
                        [
                            "find the {e} file in {d} and show me its content",
                            "read the .{e} file in {d}",
                            "look in {d} for a {e} file and tell me what it says",
                        ]
                    ).format(e=ext, d=d)
                ),
                cl(n, {a[0]: d}),
                T(p(["\n".join(fl), json.dumps(fl)])),
                cl(n2, {a2[0]: full}),
                T(c),
                A(p([f"{full} contains:\n{c}", f"The file {f} says:\n{c}"])),
            ]
        elif k == "rm":
            n, a = C("rm")
            f = V.path()
            ms = [
                U(p(["delete {f}", "remove the file {f}", "get rid of {f}", "please erase {f}"]).format(f=f)),
                cl(n, {a[0]: f}),
                T(p(["OK", '{"deleted": true}'])),
                A(p([f"I deleted {f}.", f"{f} was removed."])),
            ]
        elif k == "mv":
            n, a = C("mv")
            f, g = V.path(), V.path()
            ms = [
                U(p(["rename {f} to {g}", "move {f} to {g}", "change the name of {f} to {g}"]).format(f=f, g=g)),
                cl(n, {a[0]: f, a[1]: g}),
                T(p(["OK", '{"ok": true}'])),
                A(p([f"{f} is now {g}.", f"I moved {f} to {g}."])),
            ]
        elif k == "grep":
            n, a = C("grep")
            w = p([V.word(), "TODO", V.nonce(), p(FIRST)])
            d = p([V.dir_(), V.path()])
            hits = [f"{V.fname()}:{r.randint(1, 300)}: {V.text()} {w}" for _ in range(r.randint(0, 3))]
            ms = [
                U(
                    p(
                        [
                            'search for "{w}" in {d}',
                            "where does {w} appear in {d}",
                            "find {w} in {d}",
                            "which lines in {d} contain {w}",
                        ]
                    ).format(w=w, d=d)
                ),
                cl(n, {a[0]: w, a[1]: d}),
                T("\n".join(hits) or "no matches"),
                A(
                    f'I found no match for "{w}" in {d}.'
                    if not hits
                    else f"I found {len(hits)} match{'es' if len(hits) > 1 else ''}:\n" + "\n".join(hits)
                ),
            ]
        elif k == "http":
            n, a = C("http")
            u = V.t_url()[0]
            fs = r.sample(FIELDS, r.randint(2, 4))
            res = {f: V.v(t)[0] for f, t in fs}
            f = p(fs)[0]
            if s.ch(0.15):
                e = p(["404 Not Found", "500 Internal Server Error", "timeout"])
                ms = [
                    U(p(["fetch {u}", "get {u}"]).format(u=u)),
                    cl(n, {a[0]: u}),
                    T(f"Error: {e}"),
                    A(p([f"I could not fetch {u}: {e}.", f"The request failed with {e}."])),
                ]
            elif s.ch(0.7):
                ms = [
                    U(
                        p(
                            [
                                "fetch {u} and tell me the {f}",
                                "what {f} does {u} return",
                                "get the {f} from {u}",
                                "call {u} and give me the {f}",
                            ]
                        ).format(u=u, f=TITLES(f))
                    ),
                    cl(n, {a[0]: u}),
                    T(s.enc(res)),
                    A(p([f"The {TITLES(f)} is {s.fmt(res[f])}.", f"{u} returns the {TITLES(f)} {s.fmt(res[f])}."])),
                ]
            else:
                _, c = s.content()
                ms = [
                    U(p(["fetch {u}", "what's on {u}", "get the page {u}"]).format(u=u)),
                    cl(n, {a[0]: u}),
                    T(c),
                    A(p([f"The page says:\n{c}", c])),
                ]
        elif k in ("sql", "sqlschema"):
            n, a = C("sql")
            tb, cols, q, sql, rows, ans = s.sqltask()
            ddl = f"CREATE TABLE {tb} ({', '.join(c[0] + ' ' + ('TEXT' if not (c[1].startswith('int') or c[1] in ('money', 'bigmoney', 'num', 'year')) else 'REAL' if c[1] in ('money', 'num') else 'INTEGER') for c in cols)})"
            out = (
                json.dumps(rows, ensure_ascii=False)
                if s.ch(0.7)
                else "\n".join("|".join(str(v) for v in x.values()) for x in rows) or "(no rows)"
            )
            if k == "sql":
                if s.ch(0.5):
                    tools[0]["description"] = (
                        tools[0].get("description", "") + f" Tables: {tb}({', '.join(c[0] for c in cols)})"
                    )
                elif s.ch(0.6):
                    q = f"Table {tb}({', '.join(c[0] for c in cols)}). {q}"
                ms = [U(q), cl(n, {a[0]: sql}), T(out), A(ans)]
            else:
                sc = "SELECT sql FROM sqlite_master WHERE type = 'table'"
                ms = [
                    U(q + p([" in the database", "", " (look at the schema first)"])),
                    cl(n, {a[0]: sc}),
                    T(json.dumps([{"sql": ddl}])),
                    cl(n, {a[0]: sql}),
                    T(out),
                    A(ans),
                ]
        elif k in ("remember", "remrec", "recall"):
            key, v = s.fact()
            your = lambda z: re.sub(r"^(my|our) ", "your ", z)
            kv = s.ch(0.35)
            n, a = C("rememberkv" if kv else "remember") if k != "recall" else (None, None)
            ms = []
            if k != "recall":
                args = (
                    {a[0]: re.sub(r"^(my|our|the) ", "", key) if True else key, a[1]: v}
                    if kv
                    else {a[0]: f"{key} is {v}"}
                )
                ms = [
                    {
                        "role": "user",
                        "content": p(
                            [
                                "remember that {k} is {v}",
                                "{k} is {v}, remember that",
                                "please remember: {k} is {v}",
                                "Save to memory that {k} is {v}.",
                                "Don't forget that {k} is {v}.",
                                "keep in mind that {k} is {v}",
                                "note for later: {k} is {v}",
                            ]
                        ).format(k=key, v=v),
                    },
                    cl(n, args),
                    T(p(["OK", "saved", '{"stored": true}'])),
                    A(
                        p(
                            [
                                f"I will remember that {your(key)} is {v}.",
                                "Okay, I'll remember that.",
                                f"Noted: {your(key)} is {v}.",
                            ]
                        )
                    ),
                ]
            if k != "remember":
                n2, a2 = C("recall")
                found = s.ch(0.88)
                q = re.sub(r"^(my|our|the) ", "", key)
                ms += [
                    {
                        "role": "user",
                        "content": p(
                            [
                                "what is {k}?",
                                "what's {k}",
                                "do you remember {k}?",
                                "Tell me {k}",
                                "I forgot {k}. What was it?",
                                "can you look up {k} in your memory?",
                            ]
                        ).format(k=key),
                    },
                    cl(n2, {a2[0]: q}),
                    T(
                        p(
                            [
                                f"{key} is {v}",
                                json.dumps([f"{key} is {v}"]),
                                json.dumps(
                                    {"results": [{"text": f"{key} is {v}", "score": round(r.uniform(0.5, 1), 2)}]}
                                ),
                            ]
                        )
                        if found
                        else p(["[]", "no results", "nothing found"])
                    ),
                    A(
                        p([f"{your(key)[0].upper() + your(key)[1:]} is {v}.", f"It is {v}."])
                        if found
                        else p(
                            [f"I have nothing stored about {your(key)}.", f"I couldn't find {your(key)} in my memory."]
                        )
                    ),
                ]
        elif k == "now":
            n, a = C("now")
            d = V.date()[0]
            t = V.time()[0]
            wd = datetime.date.fromisoformat(d).strftime("%A")
            full = f"{d} {t}"
            q, ans = p(
                [
                    (p(["what time is it", "what's the time", "tell me the time"]), f"It is {t}."),
                    (
                        p(["what's today's date", "what day is it today", "which date is today"]),
                        p([f"Today is {wd}, {d}.", f"Today is {d}."]),
                    ),
                    (p(["what's the current date and time", "date and time please"]), f"It is {wd}, {d}, {t}."),
                ]
            )
            ms = [
                U(q),
                cl(n, {}),
                T(p([f"{wd}, {full}", json.dumps({"date": d, "time": t, "weekday": wd}), f"{d}T{t}:00 ({wd})"])),
                A(ans),
            ]
        elif k == "nowtz":
            n, a = C("nowtz")
            c, z = p(
                [
                    ("Paris", "Europe/Paris"),
                    ("London", "Europe/London"),
                    ("Tokyo", "Asia/Tokyo"),
                    ("New York", "America/New_York"),
                    ("Los Angeles", "America/Los_Angeles"),
                    ("Sydney", "Australia/Sydney"),
                    ("Berlin", "Europe/Berlin"),
                    ("Dubai", "Asia/Dubai"),
                    ("Singapore", "Asia/Singapore"),
                    ("Chicago", "America/Chicago"),
                    ("Cairo", "Africa/Cairo"),
                    ("Madrid", "Europe/Madrid"),
                ]
            )
            t = V.time()[0]
            ms = [
                U(p(["what time is it in {c}", "current time in {c}", "tell me the time in {c}"]).format(c=c)),
                cl(n, {a[0]: z}),
                T(p([t, json.dumps({"time": t, "timezone": z})])),
                A(p([f"It is {t} in {c}.", f"The time in {c} is {t}."])),
            ]
        elif k == "date":
            d, nl = V.date()
            d0 = datetime.date.fromisoformat(d)
            if s.ch(0.5):
                n, a = C("dateadd")
                x = r.randint(1, 120)
                neg = s.ch(0.3)
                wk = s.ch(0.25)
                dd = x * 7 if wk else x
                un = "week" if wk else "day"
                un += "s" if x > 1 else ""
                e = (d0 + datetime.timedelta(days=-dd if neg else dd)).isoformat()
                ms = [
                    U(
                        p(
                            [
                                "what date is {x} {un} {w} {d}",
                                "which day is {x} {un} {w} {d}",
                                "{x} {un} {w} {d}, which date is that",
                            ]
                        ).format(x=x, d=nl, un=un, w="before" if neg else p(["after", "from"]))
                    ),
                    cl(n, {a[0]: d, a[1]: -dd if neg else dd}),
                    T(e),
                    A(p([f"That is {e}.", f"It is {e}."])),
                ]
            else:
                n, a = C("datediff")
                d2, nl2 = V.date()
                x = abs((datetime.date.fromisoformat(d2) - d0).days)
                ms = [
                    U(
                        p(
                            [
                                "how many days are between {a} and {b}",
                                "days from {a} to {b}",
                                "how long is it from {a} until {b}",
                            ]
                        ).format(a=nl, b=nl2)
                    ),
                    cl(n, {a[0]: d, a[1]: d2}),
                    T(p([str(x), json.dumps({"days": x})])),
                    A(p([f"There are {x} days between them.", f"It is {x} days."])),
                ]
        elif k == "text":
            t = V.text()
            w = p(["wc", "upper", "reverse", "replace", "wc"])
            n, a = C(w)
            if w == "wc":
                c = len(t.split())
                ms = [
                    U(p(['how many words are in "{t}"', 'count the words in "{t}"', "word count of: {t}"]).format(t=t)),
                    cl(n, {a[0]: t}),
                    T(p([str(c), json.dumps({"words": c, "chars": len(t)})])),
                    A(p([f"The text has {c} words.", f"{c} words."])),
                ]
            elif w == "upper":
                ms = [
                    U(
                        p(
                            [
                                'convert "{t}" to uppercase',
                                'write "{t}" in capital letters',
                                "make this upper case: {t}",
                            ]
                        ).format(t=t)
                    ),
                    cl(n, {a[0]: t}),
                    T(t.upper()),
                    A(t.upper()),
                ]
            elif w == "reverse":
                z = V.word()
                t = z if s.ch(0.6) else t
                ms = [
                    U(p(['reverse "{t}"', "write {t} backwards", 'spell "{t}" in reverse']).format(t=t)),
                    cl(n, {a[0]: t}),
                    T(t[::-1]),
                    A(p([t[::-1], f"Reversed: {t[::-1]}"])),
                ]
            else:
                o = p(t.split()).strip(".,")
                nw = V.word()
                ms = [
                    U(
                        p(['replace "{o}" with "{n}" in "{t}"', 'in the text "{t}" change {o} to {n}']).format(
                            o=o, n=nw, t=t
                        )
                    ),
                    cl(n, {a[0]: t, a[1]: o, a[2]: nw}),
                    T(t.replace(o, nw)),
                    A(p([t.replace(o, nw), "The new text: " + t.replace(o, nw)])),
                ]
        elif k == "shell":
            n, a = C("shell")
            d = V.dir_()
            f = V.path()
            e = p(EXT)
            x = r.randint(1, 50)
            out = ""
            u, c, out, ans = p(
                [
                    (
                        "list all files in {d} with details",
                        "ls -la {d}",
                        "total 8\n-rw-r--r-- 1 root root 120 a.txt",
                        None,
                    ),
                    (
                        "how much disk space is free",
                        "df -h",
                        "Filesystem Size Used Avail Use%\n/dev/sda1 100G 40G {x}G 60%",
                        "There are {x}G available on /dev/sda1.",
                    ),
                    ("how big is the folder {d}", "du -sh {d}", "{x}M\t{d}", "{d} uses {x}M."),
                    ("count the lines of {f}", "wc -l {f}", "{x} {f}", "{f} has {x} lines."),
                    ("show the first {x} lines of {f}", "head -n {x} {f}", None, None),
                    ("show the last {x} lines of {f}", "tail -n {x} {f}", None, None),
                    (
                        "find all .{e} files in {d}",
                        "find {d} -name '*.{e}'",
                        "{d}/a.{e}\n{d}/b.{e}",
                        "I found {d}/a.{e} and {d}/b.{e}.",
                    ),
                    ("create the directory {d}", "mkdir -p {d}", "", "The directory {d} was created."),
                    ("which processes are running", "ps aux", None, None),
                    (
                        "how much memory is free",
                        "free -h",
                        "Mem: 128Gi used 20Gi free {x}Gi",
                        "{x}Gi of memory are free.",
                    ),
                    ("show the current directory", "pwd", "{d}", "The current directory is {d}."),
                    ("who am I logged in as", "whoami", "root", "You are logged in as root."),
                    ("copy {f} to {d}", "cp {f} {d}", "", "I copied {f} to {d}."),
                    ("make {f} executable", "chmod +x {f}", "", "{f} is executable now."),
                    ("what is the kernel version", "uname -r", "6.{x}.0", "The kernel version is 6.{x}.0."),
                    (
                        "show the uptime of this machine",
                        "uptime",
                        "up {x} days",
                        "The machine has been up for {x} days.",
                    ),
                    (
                        "show the GPU status",
                        "nvidia-smi",
                        "GPU 0: NVIDIA GB10, {x}% utilization",
                        "The GPU (NVIDIA GB10) is at {x}% utilization.",
                    ),
                    ("run {f}", "./{f}", "done", "The program printed: done"),
                    ("count the files in {d}", "ls {d} | wc -l", "{x}", "There are {x} files in {d}."),
                    ("search for error in {f}", "grep -i error {f}", "line {x}: error", "I found: line {x}: error"),
                    ("what is the hostname", "hostname", "spark-{x}", "The hostname is spark-{x}."),
                    ("kill the process {x}", "kill {x}", "", "I killed process {x}."),
                    ("delete all .{e} files in {d}", "rm {d}/*.{e}", "", "I deleted the .{e} files in {d}."),
                    (
                        "show git status",
                        "git status",
                        "On branch main\nnothing to commit",
                        "On branch main, nothing to commit.",
                    ),
                ]
            )
            F = lambda z: z.format(d=d, f=f, e=e, x=x)
            if out is None:
                _, out = s.content()
                ans = out
            if ans is None:
                ans = F(out)
            if u == "run {f}":
                c = f"./{f}" if not f.startswith(("/", "~", ".")) else f
            ms = [
                U(F(u)),
                cl(n, {a[0]: F(c) if u != "run {f}" else c}),
                T(F(out) if out else p(["", "(no output)", "exit code 0"])),
                A(F(ans)),
            ]
        elif k == "note":
            if s.ch(0.6):
                n, a = C("note")
                t, c = V.phrase(), V.text()
                ms = [
                    U(
                        p(
                            [
                                'make a note titled "{t}": {c}',
                                'add a note "{t}" with the text "{c}"',
                                "create a note called {t} that says {c}",
                                "note {t}: {c}",
                            ]
                        ).format(t=t, c=c)
                    ),
                    cl(n, {a[0]: t, a[1]: c}),
                    T(p(["OK", '{"id": %d}' % r.randint(1, 99)])),
                    A(p([f'I saved the note "{t}".', "The note was saved."])),
                ]
            else:
                n, a = C("note1")
                c = V.text()
                ms = [
                    U(
                        p(
                            ["take a note: {c}", 'note down "{c}"', "write this down: {c}", "make a note that {c}"]
                        ).format(c=c)
                    ),
                    cl(n, {a[0]: c}),
                    T("OK"),
                    A(p(["Noted.", "I saved the note."])),
                ]
        elif k == "notes":
            l = [V.phrase() for _ in range(r.randint(0, 4))]
            if s.ch(0.5):
                n, a = C("notes")
                ms = [
                    U(p(["list my notes", "what notes do I have", "show all notes"])),
                    cl(n, {}),
                    T(json.dumps(l)),
                    A(
                        "You have no notes."
                        if not l
                        else f"You have {len(l)} note{'s' if len(l) > 1 else ''}: {V.seq(l)}."
                    ),
                ]
            else:
                n, a = C("findnote")
                w = V.word()
                c = f"{V.phrase()}: {V.text()} {w}"
                ms = [
                    U(
                        p(["find my notes about {w}", "search the notes for {w}", "do I have a note about {w}"]).format(
                            w=w
                        )
                    ),
                    cl(n, {a[0]: w}),
                    T(json.dumps([c]) if l else "[]"),
                    A(f"I found this note: {c}" if l else f"There are no notes about {w}."),
                ]
        elif k == "delnote":
            n, a = C("delnote")
            t = V.phrase()
            ms = [
                U(p(['delete the note "{t}"', "remove my note {t}"]).format(t=t)),
                cl(n, {a[0]: t}),
                T("OK"),
                A(f'The note "{t}" was deleted.'),
            ]
        elif k == "todo":
            n, a = C("todo")
            t = V.t_task()[0]
            ms = [
                U(
                    p(
                        ["add {t} to my to-do list", "put {t} on my todo list", "new task: {t}", 'add the task "{t}"']
                    ).format(t=t)
                ),
                cl(n, {a[0]: t}),
                T(p(["OK", '{"id": %d}' % r.randint(1, 99)])),
                A(p([f'I added "{t}" to your list.', "The task was added."])),
            ]
        elif k == "hash":
            n, a = C("hash")
            t = p([V.word(), V.text()])
            al = p(["md5", "sha1", "sha256"])
            h = V.hexs(32)
            ms = [
                U(p(['what is the {al} of "{t}"', 'compute the {al} hash of "{t}"']).format(al=al, t=t)),
                cl(n, {a[0]: t, a[1]: al}),
                T(h),
                A(p([f"The {al} hash is {h}.", h])),
            ]
        elif k == "sysinfo":
            n, a = C("sysinfo")
            m = r.randint(8, 256)
            c = r.randint(2, 128)
            g = p(["NVIDIA GB10", "NVIDIA H200", "none", "RTX 4090"])
            q, ans = p(
                [
                    ("how many CPU cores does this machine have", f"This machine has {c} CPU cores."),
                    ("how much memory is installed", f"There are {m} GB of memory."),
                    ("which GPU is in this computer", f"The GPU is {g}."),
                    (
                        "tell me about this machine",
                        f"This machine has {c} CPU cores, {m} GB of memory and the GPU {g}.",
                    ),
                ]
            )
            ms = [U(q), cl(n, {}), T(json.dumps({"cpus": c, "memory_gb": m, "gpu": g})), A(ans)]
        elif k == "readcalc":
            n, a = C("read")
            n2, a2 = C("calc")
            f = V.path()
            its = r.sample(FOODS, r.randint(2, 5))
            pr = [round(r.uniform(1, 90), 2) if s.ch(0.6) else r.randint(1, 90) for _ in its]
            e = " + ".join(map(str, pr))
            v = s.ev(e)
            sep = p([": ", ",", " = ", " "])
            ms = [
                U(
                    p(
                        [
                            "what is the total of the items in {f}",
                            "read {f} and add up the prices",
                            "sum the numbers in {f}",
                            "how much do the things in {f} cost together",
                        ]
                    ).format(f=f)
                ),
                cl(n, {a[0]: f}),
                T("\n".join(f"{i}{sep}{x}" for i, x in zip(its, pr))),
                cl(n2, {a2[0]: e}),
                T(v),
                A(p([f"The total is {v}.", f"Together they cost {v}."])),
            ]
        elif k == "calcsave":
            n, a = C("calc")
            u, e = s.arith()
            v = s.ev(e)
            u = u.rstrip("?.")
            if s.ch(0.6):
                n2, a2 = C("write")
                f = V.path()
                ms = [
                    U(
                        u
                        + p(
                            [" and write the result to {f}", ", then save the answer in {f}", "? Store it in {f}"]
                        ).format(f=f)
                    ),
                    cl(n, {a[0]: e}),
                    T(v),
                    cl(n2, {a2[0]: f, a2[1]: v}),
                    T("OK"),
                    A(p([f"The result is {v}. I saved it in {f}.", f"{v} was written to {f}."])),
                ]
            else:
                n2, a2 = C("remember")
                ms = [
                    U(u + p([" and remember the result", ", and keep the result in memory"])),
                    cl(n, {a[0]: e}),
                    T(v),
                    cl(n2, {a2[0]: f"the result is {v}"}),
                    T("OK"),
                    A(f"The result is {v}. I will remember it."),
                ]
        elif k == "httpmem":
            n, a = C("http")
            u = V.t_url()[0]
            fs = r.sample(FIELDS, r.randint(2, 3))
            res = {f: V.v(t)[0] for f, t in fs}
            f = p(fs)[0]
            v = s.fmt(res[f])
            w = p(["write", "note1", "remember"])
            n2, a2 = C(w)
            fn = V.path()
            tail, args = {
                "write": (f" and save the {TITLES(f)} in {fn}", {a2[0]: fn, a2[-1]: v}),
                "note1": (f" and take a note of the {TITLES(f)}", {a2[0]: f"{TITLES(f)}: {v}"}),
                "remember": (f" and remember the {TITLES(f)}", {a2[0]: f"the {TITLES(f)} is {v}"}),
            }[w]
            ms = [
                U(p(["fetch {u}", "get {u}", "call {u}"]).format(u=u) + tail),
                cl(n, {a[0]: u}),
                T(s.enc(res)),
                cl(n2, args),
                T("OK"),
                A(p([f"The {TITLES(f)} is {v}. It is saved.", f"Done: the {TITLES(f)} is {v}."])),
            ]
        elif k == "recalluse":
            n, a = C("recall")
            who = p(["my boss", "my sister", p(FIRST), "the landlord", "my doctor", p(FIRST)])
            em = V.t_email()[0]
            t = s.inst_cat(next(c for c in CATALOG if c.names[0] == "send email"))
            tools.append(t.schema)
            if t.name == n:
                return s.d_core()
            body = V.text()
            q = re.sub("^my ", "", who) + "'s email"
            args = {t.amap["to"]: em, t.amap["body"]: body}
            args = {z: args[z] for z in t.schema["parameters"]["properties"] if z in args}
            ms = [
                U(
                    p(
                        ['email {w}: "{b}"', 'send an email to {w} saying "{b}"', 'write {w} an email that says "{b}"']
                    ).format(w=who, b=body)
                ),
                cl(n, {a[0]: q}),
                T(p([f"{who}'s email is {em}", json.dumps([f"{who}'s email address is {em}"])])),
                cl(t.name, args),
                T(p(["sent", '{"status": "sent"}'])),
                A(p([f"I sent the email to {who.replace('my ', 'your ')} ({em}).", f"The email to {em} was sent."])),
            ]
        elif k == "retry":
            n, a = C("read")
            n2, a2 = C("ls")
            d = V.dir_().rstrip("/")
            f = V.fname()
            b, e = f.rsplit(".", 1)
            g = p(
                [
                    b.capitalize() + "." + e,
                    b + "_v2." + e,
                    b + "." + p(EXT),
                    "old_" + f,
                    b + "-" + V.digits(2) + "." + e,
                ]
            )
            oth = [V.fname() for _ in range(r.randint(1, 3))] + [g]
            r.shuffle(oth)
            _, c = s.content()
            er = p(
                [
                    "Error: file not found",
                    json.dumps({"error": "no such file"}),
                    f"Error: {d}/{f}: No such file or directory",
                ]
            )
            ms = [
                U(p(["read {d}/{f}", "what's in {d}/{f}", "show {d}/{f}"]).format(d=d, f=f)),
                cl(n, {a[0]: f"{d}/{f}"}),
                T(er),
            ]
            if s.ch(0.3):
                ms += [A(p([f"The file {d}/{f} does not exist.", f"I couldn't find {d}/{f}."]))]
            else:
                ms += [
                    cl(n2, {a2[0]: d}),
                    T(p(["\n".join(oth), json.dumps(oth)])),
                    cl(n, {a[0]: f"{d}/{g}"}),
                    T(c),
                    A(p([f"{f} does not exist, but {g} contains:\n{c}", f"I found {g} instead of {f}. It says:\n{c}"])),
                ]
        elif k == "nowuse":
            n, a = C("now")
            n2, a2 = C("dateadd")
            d = V.date()[0]
            x = r.randint(1, 90)
            e = (datetime.date.fromisoformat(d) + datetime.timedelta(days=x)).isoformat()
            ms = [
                U(
                    p(
                        [
                            "what date is it in {x} days",
                            "which date will it be {x} days from now",
                            "what's the date {x} days from today",
                        ]
                    ).format(x=x)
                ),
                cl(n, {}),
                T(p([d + " " + V.time()[0], json.dumps({"date": d})])),
                cl(n2, {a2[0]: d, a2[1]: x}),
                T(e),
                A(p([f"In {x} days it will be {e}.", f"That will be {e}."])),
            ]
        elif k == "extwrite":
            n, a = C("read")
            f = V.path()
            fs, c = s.content()
            q, v, l, kk = p(fs)
            w = p(["write", "note1", "remember"])
            n2, a2 = C(w)
            g = V.path()
            tail, args = {
                "write": (f" and write it to {g}", {a2[0]: g, a2[-1]: v}),
                "note1": (" and make a note of it", {a2[0]: f"{q} is {v}"}),
                "remember": (" and remember it", {a2[0]: f"{q} is {v}"}),
            }[w]
            ms = [
                U(p(["find {q} in {f}", "look up {q} in {f}", "get {q} from the file {f}"]).format(q=q, f=f) + tail),
                cl(n, {a[0]: f}),
                T(c),
                cl(n2, args),
                T("OK"),
                A(p([f"{q[0].upper() + q[1:]} is {v}. It is saved.", f"Done. It is {v}."])),
            ]
        else:  # chat_ctx: answer from the conversation, no tool needed
            key, v = s.fact()
            tools.append(s.core_schema())
            ms = [
                {"role": "user", "content": f"Hi, {key} is {v}."},
                A(p(["Okay.", "Got it.", "Thanks for telling me.", "Good to know."])),
                {
                    "role": "user",
                    "content": p(["What did I say {k} is?", "What was {k} again?", "What is {k}?"]).format(k=key),
                },
                A(p([f"You said it is {v}.", f"It is {v}."])),
            ]
        tools = s.distract(tools, s.nd() if s.ch(0.6) else s.r.randint(3, 7))
        # never offer a second core tool with the same purpose
        return {"sys": s.sysmsg(), "tools": tools, "messages": ms}


