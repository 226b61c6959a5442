"""Conversations about things, people and places at tools of the user's own: frames.txt and frames_more.txt say what can be done and who takes part, here a
small world of such tools is made (names in every style, arguments by their role, near relatives among them), and people talk about it:
straight, leaving something out, going on with "and bed 4 too", with "it" for what was named before, taking it back, running into errors
that say what would be right, asking for what no tool can do. Who does what to whom must be understood; no tool is like another.

`Frames(r, unseen).doc()` makes one conversation.
"""
import json
import os
import re

from phrase import is_question, polish, say
from values import CITY

HERE = os.path.dirname(os.path.abspath(__file__))


def words(text):
    return text.split("|")


NUMBERED = words("pallet|crate|box|rack|locker|machine|room|desk|bay|pump|gate|lane|tank|kiln|ticket|order|case|bus|bike|boat|trolley|container|cabinet|drawer|"
                 "printer|camera|turbine|lift|cage|barrel|folder|parcel|plot|cabin|tent|bench|generator|scanner|terminal|reel|wagon|trailer|stall|booth|keg|van")
NAMED = words("lamp|speaker|camera|heater|blind|fan|sensor|thermostat|door|valve|window|sprinkler|freezer|oven|projector|screen|pump|curtain|radio|gate|light|hatch|boiler|shutter")
PLACES = words("kitchen|hall|cellar|attic|garage|yard|porch|office|lab|barn|workshop|nursery|studio|chapel|gym|library|canteen|greenhouse|archive|stable|lobby|sauna|"
               "laundry|east wing|north tower|boat house|tool shed|waiting room|roof|pantry|server room|reading room|loading dock|bike shed")
GROUPS = words("the hikers|the choir|the parents|the board|the night shift|the juniors|the volunteers|the tenants|the crew|the ops team|the band|the gardeners|the sailors|"
               "the book club|the drivers|the nurses|the chess club|the kids|the runners|the bakers|team blue|team red|class 4b|class 7a|the alumni|the cleaners")
TASKS = words("water the plants|call the bank|feed the cats|sign the contract|clean the filters|bring the keys|check the tyres|buy stamps|order paper|fix the gutter|"
              "empty the bins|sort the letters|pick up the parcel|write the minutes|close the shutters|test the pumps|paint the fence|charge the batteries|"
              "take the pills|move the car|print the posters|pay the rent|oil the hinges|copy the plans|tidy the shed|book the hall|defrost the freezer|label the jars")
SERVICES = words("brake check|haircut|massage|tyre change|boiler check|eye test|piano lesson|oil change|dental check|fitting|tuning|cleaning|ski service|key cutting|tasting")
ARTICLES = words("screws|filters|batteries|candles|gloves|bulbs|pens|folders|ropes|cups|plates|brushes|seals|hinges|stickers|towels|envelopes|cables|fuses|nails|jars|"
                 "lids|blankets|whistles|helmets|buckets|straws|napkins|corks|magnets|zips|buttons|tiles|bricks|sponges|labels|masks|bolts")
EVENTS = words("party|meeting|picnic|rehearsal|dinner|wedding|workshop|opening|barbecue|concert|training|tasting|lecture|excursion|quiz night|reunion")
PLANTS = words("leeks|beans|kale|carrots|radishes|onions|lettuce|dill|spinach|peas|beets|garlic|chard|basil|turnips|celery|mint|pumpkins|parsley|fennel")
ITEMS = words("red|blue|white|black|ochre|umber|rum|milk|honey|lime|ginger|sugar|sand|lime juice|cement|gravel|flour|salt|oil|yeast|cream|mint|tea|cocoa|water|syrup")
TAGS = words("beach|snow|party|garden|trip|kids|dog|boat|sunset|funny|blurred|old|draft|urgent|paid|private|red|fragile|spare|heavy|new|broken|sold|blue|winter|family")
TROUBLE = words("leaks|makes noise|does not start|is stuck|smells of smoke|is too loud|flickers|has a crack|is dirty|drips|does not close|is out of paper|beeps|is broken|wobbles|rattles")
STATES = words("open|closed|idle|running|cold|hot|half full|empty|charging|offline|jammed|ready|asleep|warming up|dusty|locked|in use|clean")
OPTIONS = words("the newsletter|dark mode|beta features|reminders|the sms service|home delivery|paper bills|two-step login|early access|parking|the meal plan|night mode")
DOCS = words("the budget|the floor plan|the roster|the minutes|report.pdf|plan_b.md|the menu|the seating plan|draft2.txt|the map|notes.txt|the price list|slides.odp")
ANIMALS = words("cat|dog|parrot|horse|goat|rabbit|turtle|hamster|snake|donkey|hens|fish|pony|geese|lizard|owl")
LIQUIDS = words("water|oil|acid|milk|syrup|ethanol|ink|glue|paint|vinegar|coffee|cleaner|fuel|bleach")
CATEGORIES = words("food|travel|books|fuel|rent|tools|clothes|gifts|repairs|office|toys|health|music|garden")
JOBS = words("cook|driver|gardener|nurse|caretaker|librarian|welder|clerk|teacher|pilot|guard|baker|tailor|plumber")
CHOICES = words("pizza|the lake|plan B|Friday|green|the museum|option 2|no change|the blue logo|the boat trip|soup|the early train|tea|the old name")
MOODS = words("warm|dim|bright|festive|calm|cosy|cold|romantic|working|quiet")
UNITS = words("km|miles|kg|pounds|litres|gallons|feet|metres|cm|inches|grams|ounces|cups|knots")
MONTHS = words("January|February|March|April|May|June|July|August|September|October|November|December")
DAYS = words("Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday")

# role: (names of the argument, descriptions, question when it is missing, ways to add it to a request)
ROLES = {
    "thing": ("id|no|unit|which|item|obj|{n}|{n}_id|nr|target|ref", "Number of the {n}|Which {n}|The {n}", "Which {n}?", ""),
    "thing2": ("id2|other|second|b|to_id|partner", "The other {n}|The second {n}", "With which {n}?", ""),
    "the": ("name|which|place|where|{n}|loc|dev|at", "Which {n}|Place of the {n}|Name of the {n}", "Which {n}?", ""),
    "goal": ("to|dest|target|goal|where|place|into|new_place", "Where it goes|The new place|Target", "Where to?", "into {v}"),
    "place": ("place|where|loc|area|spot|rm|location", "The place|Which place|Where", "Where?", "in {v}"),
    "person": ("who|person|name|user|p|whom|member|to|nm", "The person|Name of the person|Who", "Who?", "for {v}"),
    "person2": ("with|other|who2|b|second|name2", "The other person|Second person", "With whom?", ""),
    "group": ("group|grp|team|list|g|to|circle", "The group|Which group|Name of the group", "Which group?", ""),
    "text": ("text|msg|body|message|txt|content|words|T", "The text|What is said|The message", "What is the text?", ""),
    "task": ("task|what|todo|job|text|t", "What is to be done|The task", "What is to be done?", ""),
    "day": ("day|on|date|d|when|wday", "The day|On which day|Day", "On which day?", "on {v}"),
    "time": ("time|at|t|hh_mm|when|clock", "Time of the day, hh:mm|At what time|Time", "At what time?", "at {v}"),
    "hour": ("hour|h|hr|at_hour", "Hour of the day, 0 to 23|The hour", "At which hour?", "at {v} o'clock"),
    "level": ("level|lvl|pct|percent|v|value|amount", "Percent, 0 to 100|The level in percent|New level", "To what level?", ""),
    "minutes": ("minutes|mins|min|for_min|duration|m", "For how many minutes|Minutes|Duration in minutes", "For how many minutes?", "for {v} minutes"),
    "hours": ("hours|hrs|h|n_hours|duration_h", "Number of hours|Hours", "For how many hours?", ""),
    "urgent": ("urgent|asap|important|prio|now", "Whether it is urgent|true if it cannot wait", "", "it is urgent|urgent|this is urgent|it can't wait"),
    "article": ("article|item|sku|what|good|art|prod", "The article|What|Name of the article", "Which article?", ""),
    "article2": ("other|item2|b|versus|second", "The other article|Compared with", "Compared with what?", ""),
    "size": ("size|sz|format|SIZE", "Size of it|The size", "Which size?", "in {v}|size {v}|make it {v}"),
    "copies": ("copies|n|count|times|cnt", "How many|Number of copies", "How many?", "{v} copies|{v} times|{v} of them"),
    "tags": ("tags|labels|kw|keys|words", "The tags|List of tags", "Which tags?", ""),
    "items": ("items|parts|what|names|ingredients|list", "What is mixed|The ingredients|List of things", "What shall I mix?", ""),
    "plants": ("plants|crops|sorts|what|list", "The plants|What grows there", "Which plants?", ""),
    "people": ("people|names|who|guests|list|users|persons", "The people|Names|List of names", "Who?", ""),
    "nums": ("nums|values|seq|ys|data|numbers|list", "The numbers|List of numbers|In this order", "Which numbers?", ""),
    "ml": ("ml|vol|millis|amount_ml|volume", "Millilitres|Volume in ml", "How many millilitres?", "{v} ml altogether|{v} ml in all"),
    "event": ("event|ev|what|occasion|for", "The event|Which event", "To which event?", ""),
    "n": ("n|qty|amount|count|value|num|x|quantity", "How many|The amount|The number", "How many?", "for {v} pieces"),
    "shop": ("shop|from|supplier|vendor|store", "Where it is bought|Supplier", "From whom?", "from {v}|at {v}"),
    "newname": ("new|to|name|new_name|as|title", "The new name|Its name from now on", "What is the new name?", ""),
    "title": ("title|name|what|work|book", "Title of it|What is rated|Its name", "What do you want to rate?", ""),
    "stars": ("stars|rating|points|s|score", "One to five|Number of stars", "How many stars?", ""),
    "comment": ("comment|why|note|remark|txt", "A comment|A remark, if any", "", "comment: \"{v}\"|and the comment is \"{v}\""),
    "project": ("project|proj|on|cost_unit|job", "The project|Which project", "On which project?", "on project {v}|for project {v}"),
    "money": ("amount|sum|money|eur|value|cash", "The amount|How much", "How much?", ""),
    "purpose": ("purpose|for|reason|what_for|memo", "What it is for|The purpose", "", "for {v}"),
    "service": ("service|svc|kind|what|type", "The service|What for", "What kind of service?", ""),
    "trouble": ("problem|what|trouble|text|fault|desc", "What is wrong|The fault", "What is wrong with it?", ""),
    "meter": ("meter|kind|which|m|type", "Which meter|The meter", "Which meter?", ""),
    "style": ("style|kind|as|look|mode", "How it is drawn|The style", "", "as {v}|with {v}"),
    "door": ("door|lock|of|which", "Which door|The lock", "Which door?", "on the {v}"),
    "city": ("from|start|origin|a|city1", "Where it begins|From", "From where?", ""),
    "city2": ("to|end|dest|b|city2", "Where it ends|To", "To where?", ""),
    "by": ("by|mode|means|how|vehicle", "How one travels|Means of travel", "", "by {v}"),
    "doc": ("doc|file|what|document|d", "The document|Which document", "Which document?", ""),
    "animal": ("animal|pet|who|which|a", "Which animal|The animal", "Which animal?", ""),
    "grams": ("grams|g|amount|gr|weight", "How many grams|Grams of food", "How many grams?", "{v} grams"),
    "bed": ("bed|no|plot|b|which", "Number of the bed|Which bed", "Which bed?", ""),
    "option": ("option|flag|pref|key|o", "Which option|The option", "Which option?", ""),
    "on": ("on|value|enabled|state|v", "true for on|On or off", "", ""),
    "locked": ("locked|lock|closed|state|v", "true to lock, false to unlock|Whether it is locked", "", ""),
    "choice": ("choice|for|option|vote|c", "What is voted for|The choice", "For what?", ""),
    "unit": ("from|unit|src|a|in_unit", "Unit of the amount|From this unit", "In which unit?", ""),
    "unit2": ("to|out|dst|b|target_unit", "Unit of the answer|To this unit", "Into which unit?", ""),
    "row": ("row|r|line|rw", "Number of the row|The row", "Which row?", ""),
    "seatno": ("seat|no|s|place_no", "Number of the seat|Seat", "Which seat?", "seat {v}|on seat {v}"),
    "mood": ("mood|preset|m|look|programme", "The mood|Which programme", "Which mood?", ""),
    "category": ("category|cat|kind|under|c", "The category|What it was for", "For what?", ""),
    "liquid": ("liquid|what|fluid|of|stuff", "Which liquid|The liquid", "Which liquid?", ""),
}
ENUMS = {"size": "small|medium|large", "style": "dots|bars|lines", "by": "car|train|bike|bus", "meter": "water|gas|power|heat", "mood": "", "door": "safe|locker|gate"}
TYPES = {**dict.fromkeys("level minutes hours hour copies ml n stars grams bed row seatno".split(), "integer"), "money": "number",
         **dict.fromkeys(("urgent", "on", "locked"), "boolean"), **dict.fromkeys(("tags", "items", "plants", "people"), "strings"), "nums": "integers"}
AGAIN = "thing the person article place bed animal meter group people tags items".split()  # roles that "and X too" may change
DECLINE = ("I have no tool to {a}.|I have no tool to {a}.|I have no tool for that.|I can't {a} with the tools I have.|None of my tools can {a}.").split("|")
VERBS = set(("move put take get swap let add make remove send tell write keep give lend hand return bring set turn switch start stop reserve free cancel find count tag mix "
             "blend invite ask order buy rename call connect link rate log pay plot draw chart dial open try sum remind share show feed water plant plan lock unlock compare "
             "convert pick choose post draft report check weigh repair have pour note book arm guard enter "
             "tilt dim raise lower rent hire split divide spell encode stamp wrap lend park dry bake heat cool clean sweep dose sample inspect read fetch collect deliver steer "
             "translate reverse render round abbreviate scale extend renew hang fold sharpen charge mount admit measure schedule close press iron sew cut mow prune").split())
YES = words("yes|ok|fine|do it|yes please|sure|all right|yes, do that|go ahead|why not")
NO = words("no|no, leave it|better not|no thanks|never mind|then not")
# tools without arguments: names, descriptions, requests, results, answers
BARE = [
    ("undo|revert|take_back|back|oops", "Takes back the last change.|Undoes what was done last.", "undo that|take that back|no, that was wrong, undo it|back, please|forget the last one|revert it", "ok|undone", "It is undone.|The last change is taken back."),
    ("all_off|everything_off|night|shutdown_all", "Switches everything off.|All devices off.", "everything off|switch all of it off|I leave, all off please|we go to bed, turn everything off", "off|ok", "Everything is off."),
    ("who_on_duty|duty|onCall|today_shift", "Who is on duty today.|Name of the one on duty.", "who is on duty|whose shift is it|who can I ask today, who is on duty|on duty today?", "{person}", "{r} is on duty."),
    ("headcount|ppl|how_many_here|visitors", "How many people are in the house.|Number of visitors at the moment.", "how many people are here|is it crowded? how many are in|number of visitors|how full is the house", "{n}", "There are {r} people here."),
    ("next_no|newNumber|draw_no|ticket_no", "The next free number.|Draws a new number.", "give me a new number|next number please|I need a number|which number is free", "{n}", "The next number is {r}."),
    ("ping|alive|hello_srv|is_up", "Whether the server answers.|Checks that the server is up.", "is the server up|does the server answer|ping|check the server", "up|no answer", "The server says: {r}."),
    ("last_msg|inbox_top|newest|latest", "The newest message.|Reads the last message.", "what is the newest message|who wrote to me|any news? read the last message|last message please", "{person}: {text}", "The newest message is: {r}"),
    ("sync|refresh|pull_now|reload", "Loads everything anew.|Refreshes the data.", "refresh|load it anew|sync now|the data is old, refresh it", "ok|refreshed", "The data is fresh now."),
    ("open_tasks|todo_left|pending|backlog_n", "How many tasks are open.|Number of open tasks.", "how many tasks are open|what is left to do, the number|open tasks?|how long is the list of tasks", "{n}", "{r} tasks are open."),
    ("battery|charge_left|power_left|accu", "Charge of the battery in percent.|How full the battery is.", "how full is the battery|battery?|do we need to charge it|charge of the battery", "{level} %", "The battery is at {r}."),
]


VAGUE = {"thing": "the {n}|one of the {n}s|a {n}", "the": "the {n}|one of the {n}s", "thing2": "another {n}", "person": "somebody|someone", "group": "one of the groups|a group",
         "bed": "one of the beds|a bed", "animal": "pets"}  # what stands for a role that is not said
TWINS = ({"set heights", "raise and lower things"}, {"set levels", "change the volume", "change the light", "colour lights"}, {"find things", "find ships"})  # one might do the other's work
VALUES = {}  # role of the files: (its values, how they are said)


MORSE = dict(zip("abcdefghijklmnopqrstuvwxyz", ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --..".split()))
RADIO = "Alfa Bravo Charlie Delta Echo Foxtrot Golf Hotel India Juliett Kilo Lima Mike November Oscar Papa Quebec Romeo Sierra Tango Uniform Victor Whiskey X-ray Yankee Zulu".split()


def roman(n):
    out = ""
    for value, sign in zip((1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1), "M CM D CD C XC L XL X IX V IV I".split()):
        out, n = out + sign * (n // value), n % value
    return out


def in_base(n, base):
    return in_base(n // base, base).lstrip("0") + "0123456789abcdef"[n % base] if n else "0"


def degrees(x, source, target):
    celsius = {"celsius": x, "fahrenheit": (x - 32) / 1.8, "kelvin": x - 273.15}[source]
    return {"celsius": celsius, "fahrenheit": celsius * 1.8 + 32, "kelvin": celsius + 273.15}[target]


def cased(text, form):
    return {"upper": text.upper(), "lower": text.lower(), "title": text.title(), "snake": text.lower().replace(" ", "_"), "kebab": text.lower().replace(" ", "-")}[form]


# The other forms are calculated: a tool does not tell what is wrong. From {role: value}.
FORMS = {
    "roman": lambda v: roman(v["numeral"]),
    "digits": lambda v: in_base(v["numeral"], v["base"]),
    "spelt": lambda v: " ".join(RADIO[ord(c) - 97] for c in v["phrase"].lower() if "a" <= c <= "z"),
    "morse": lambda v: " ".join(MORSE.get(c, "/") for c in v["phrase"].lower()),
    "rounded": lambda v: f"{v['exact']:.{v['places']}f}",
    "degrees": lambda v: f"{degrees(v['temperature'], v['scale_from'], v['scale_to']):.1f}",
    "cased": lambda v: cased(v["phrase"], v["shape"]),
    "share": lambda v: f"{v['money'] / v['parts']:.2f}",
    "short": lambda v: "".join(x[0] for x in v["phrase"].split()).upper() if " " in v["phrase"] else v["phrase"][:3],
}


class Frame:
    def __init__(self, names, descriptions, roles):
        self.names, self.descriptions = words(names), words(descriptions)
        self.roles = [(x[:-1], x[-1] == "!") for x in roles.split()]
        self.requests, self.results, self.answers, self.decline = [], [], [], ""
        self.own, self.finds = {}, {}  # the answer to one request alone; how a role is called that the result tells

    @property
    def looks_up(self):
        return self.results[0][:3] == "{x:" or "=" in self.results[0]


def apart(text):
    """What stands between | outside braces."""
    return re.split(r"\|(?![^{}]*\})", text)


def add_role(text, key):
    """A role of the files: its name and type, and what ROLES says of one."""
    head, names, descriptions, question, ways, values, vague, said = ([x.strip() for x in text.split(";")] + [""] * 7)[:8]
    role, _, kind = head.partition(" ")
    ROLES[role], VALUES[role] = (names, descriptions, question, ways), (values, said or "{v}")
    if vague:
        VAGUE[role] = vague
    if kind == "enum":
        ENUMS[role] = values
    elif kind:
        TYPES[role] = kind
    if key:
        AGAIN.append(role)


def load():
    frames, lines = [], []
    for name in ("frames.txt", "frames_more.txt"):
        with open(os.path.join(HERE, name)) as file:
            lines += file.read().split("\n")
    for line in lines:
        if not line or line[0] == "#":
            continue
        sign, rest = line[0], line[2:]
        if sign in "%+":
            add_role(rest, sign == "+")
        elif sign == "@":
            frames.append(Frame(*(x.strip() for x in rest.split(" : "))))
        elif sign == ">":
            request, _, own = rest.partition(" >> ")
            frames[-1].requests.append(request)
            if own:
                frames[-1].own[request] = own
        elif sign == "=":
            frames[-1].results = apart(rest)
        elif sign == "<":
            frames[-1].answers.append(rest)
        elif sign == "*":
            role, called = rest.split(" : ")
            frames[-1].finds[role] = words(called)
        elif sign == "-":
            frames[-1].decline = rest
    return frames


FRAMES = load()


def shorten(word):
    """cellar -> cllr, as people who hate typing name things."""
    return word[0] + "".join(c for c in word[1:] if c not in "aeiou") if len(word) > 3 else word


class Frames:
    def __init__(self, r, unseen):
        self.r, self.unseen, self.V = r, unseen, unseen.V

    def pick(self, items):
        return items[int(self.r.random() * len(items))]

    def chance(self, p):
        return self.r.random() < p

    # ---- tools ----

    def style(self, parts, plain=False):
        """A name of these words."""
        r = self.r
        parts = [p for x in parts for p in re.split(r"[_ ]", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", x)) if p]
        if self.chance(.15):
            parts = [shorten(p) for p in parts]
        x = r.random()
        if x < .5 or plain and x < .8:
            return "_".join(p.lower() for p in parts)
        if x < .68:
            return parts[0].lower() + "".join(p.capitalize() for p in parts[1:])
        if x < .76:
            return "".join(p.capitalize() for p in parts)
        if x < .84 and not plain:
            return parts[0].lower() + "." + "_".join(p.lower() for p in parts[1:]) if len(parts) > 1 else parts[0].lower()
        if x < .9:
            return "-".join(p.lower() for p in parts)
        if x < .94:
            return "_".join(p.upper() for p in parts)
        return "_".join(p.lower() for p in parts) + ("" if plain else self.pick(("2", "3", "_", "X", "_v2", "9", "_now", "Do")))

    def tool(self, frame, noun=None):
        """A tool of this frame, for one kind of thing."""
        r, t = self.r, {}
        named = any(role == "the" for role, _ in frame.roles)
        n = noun or self.pick(NAMED if named else NUMBERED)
        t["frame"], t["n"], t["kind"] = frame, n, self.pick(("int", "int", "code", "letter"))
        name = [self.pick(frame.names)]
        about_noun = any(role in ("thing", "the") for role, _ in frame.roles)
        if about_noun and self.chance(.45):
            name = [n] + name if self.chance(.4) else name + [n]
        elif self.chance(.1):
            name = [self.V.nonce()] + name[:self.chance(.5)]
        t["name"] = self.style(name)
        t["args"], properties, required, taken = {}, {}, [], set()
        # What the request has to say has to be what the tool takes: a needed role of the frame is always an argument.
        for role, needed in frame.roles:
            if not needed and self.chance(.3):
                continue
            names, descriptions = ROLES[role][:2]
            for _ in range(10):
                arg = self.style([self.pick(words(names)).format(n=n)], plain=True) if self.chance(.8) else self.pick(words(names)).format(n=n)
                if arg not in taken:
                    break
            else:
                arg = role
            taken.add(arg)
            t["args"][role] = arg
            kind = TYPES.get(role, "string")
            if role == "thing" or role == "thing2":
                kind = "integer" if t["kind"] == "int" else "string"
            schema = {"type": "array", "items": {"type": kind[:-1]}} if kind[-1] == "s" else {"type": kind}
            if ENUMS.get(role):
                schema["enum"] = words(ENUMS[role])
            if self.chance(.75):
                schema["description"] = self.pick(words(descriptions)).format(n=n) + self.pick(("", "", "."))
            properties[arg] = schema
            if needed:
                required.append(arg)
        if self.chance(.25):
            order = list(properties)
            r.shuffle(order)
            properties = {k: properties[k] for k in order}
        t["schema"] = {"name": t["name"], "parameters": {"type": "object", "properties": properties}}
        description = self.pick(frame.descriptions)
        if self.chance(.93) or any(x["frame"] is frame for x in self.tools):
            t["schema"] = {"name": t["name"], "description": re.sub(r"\{\w+\.n\}", n, description).replace(" a o", " an o"), "parameters": t["schema"]["parameters"]}
        if required or self.chance(.5):
            t["schema"]["parameters"]["required"] = required
        return t

    def bare(self, spec):
        names, descriptions = words(spec[0]), words(spec[1])
        name = self.style([self.pick(names)])
        return {"name": name, "bare": spec, "schema": {"name": name, "description": self.pick(descriptions), "parameters": {"type": "object", "properties": {}}}, "frame": None}

    # ---- values ----

    def several(self, items, low=2, high=4):
        return self.r.sample(items, self.r.randint(low, min(high, len(items))))

    def seq(self, items):
        items = [str(x) for x in items]
        if len(items) == 1:
            return items[0]
        x = self.r.random()
        if x < .5:
            return ", ".join(items[:-1]) + self.pick((" and ", " and ", ", and ")) + items[-1]
        return self.pick((", ", ", ", " and ", "; ", " / ", " + ", ",")).join(items)

    def number(self, low, high):
        return self.r.randint(low, high)

    def made(self, spec):
        """A value of a|b|{1-9}-b: numbers from-to (with as many decimals), @kinds of names, texts with such in braces."""
        option, V = self.pick(apart(spec)), self.V
        m = re.fullmatch(r"(-?\d+(?:\.(\d+))?)-(-?\d+(?:\.\d+)?)", option)
        if m and m.group(2):
            return round(self.r.uniform(float(m.group(1)), float(m.group(3))), len(m.group(2)))
        if m:
            return self.number(int(m.group(1)), int(m.group(3)))
        if option[:1] == "@":
            return {"first": V.first, "person": V.person, "word": lambda: V.word().capitalize(), "company": lambda: V.t_company()[1], "title": lambda: V.t_title()[1], "code": lambda: V.t_code()[1],
                    "city": lambda: self.pick(CITY), "place": lambda: "the " + self.pick(PLACES), "letter": lambda: self.pick("ABCDEFGHKLMNPRSTVXZ"), "day": lambda: self.draw(None, "day")[0],
                    "time": lambda: self.draw(None, "time")[0], "date": lambda: f"{self.number(1, 28)} {self.pick(MONTHS)} {self.number(2015, 2029)}",
                    "tel": lambda: f"0{self.number(20, 99)} {self.number(100000, 9999999)}", "nonce": lambda: V.nonce().capitalize()}[option[1:]]()
        return re.sub(r"\{([^{}]+)\}", lambda m: str(self.made(m.group(1))), option)

    def draw(self, t, role):
        """(value, as it is said)"""
        r, V = self.r, self.V
        if role in VALUES:
            values, said = VALUES[role]
            v = values == "true" or self.chance(.5) if TYPES.get(role) == "boolean" else self.made(values)
            return v, "" if TYPES.get(role) == "boolean" else said.replace("{v}", str(v))
        if role in ("thing", "thing2"):
            if t["kind"] == "int":
                v = self.number(1, 99) if self.chance(.7) else self.number(100, 9999)
            elif t["kind"] == "code":
                v = V.t_code()[1]
            else:
                v = self.pick("ABCDEFGHKLMNPRSTXYZ") + str(self.number(1, 40))
            return v, f"{t['n']} {v}"
        if role == "the":
            v = self.pick(PLACES)
            return v, f"the {v} {t['n']}"
        if role in ("goal", "place"):
            x = r.random()
            v = self.pick(PLACES)
            if x < .6:
                return v, "the " + v
            v = f"{self.pick(words('hall|bay|rack|shelf|zone|aisle|cell|dock|row'))} {self.pick((self.number(1, 60), self.pick('ABCDEFGH'), self.pick('ABCDEFGH') + str(self.number(1, 9))))}"
            return v, v
        if role in ("person", "person2"):
            v = V.first() if self.chance(.8) else V.person()
            return v, v
        if role == "group":
            v = self.pick(GROUPS)
            return v.removeprefix("the "), v
        if role in ("text", "comment"):
            v = V.sentence() if self.chance(.5) else V.t_phrase()[1]
            v = v.rstrip(".")
            return v, v
        lists = {"task": TASKS, "service": SERVICES, "article": ARTICLES, "article2": ARTICLES, "event": EVENTS, "trouble": TROUBLE, "option": OPTIONS, "doc": DOCS,
                 "animal": ANIMALS, "liquid": LIQUIDS, "category": CATEGORIES, "choice": CHOICES, "mood": MOODS, "unit": UNITS, "unit2": UNITS}
        if role in lists:
            v = self.pick(lists[role])
            if role in ("option", "doc", "choice"):
                return v.removeprefix("the "), v
            return v, v
        if ENUMS.get(role):
            v = self.pick(words(ENUMS[role]))
            return v, v
        if role == "day":
            v = self.pick(DAYS) if self.chance(.6) else f"{self.number(1, 28)} {self.pick(MONTHS)}"
            return v, v
        if role == "time":
            v = f"{self.number(6, 22)}:{self.pick(('00', '15', '30', '45', '20', '05'))}"
            return v, v
        if role == "bed" or role == "row":
            v = self.number(1, 40)
            return v, f"{role} {v}"
        ranges = {"level": (0, 100), "minutes": (1, 90), "hours": (1, 12), "hour": (0, 23), "copies": (2, 30), "stars": (1, 5), "seatno": (1, 40), "grams": (10, 400), "n": (2, 999)}
        if role in ranges:
            v = self.number(*ranges[role])
            return v, str(v)
        if role == "ml":
            v = self.number(1, 40) * 25
            return v, str(v)
        if role == "money":
            v = self.number(2, 400) if self.chance(.5) else round(r.uniform(2, 90), 2)
            return v, str(v)
        if role in ("urgent",):
            return True, ""
        if role in ("on", "locked"):
            return self.chance(.5), ""
        pools = {"tags": TAGS, "items": ITEMS, "plants": PLANTS}
        if role in pools:
            v = self.several(pools[role])
        elif role == "people":
            v = []
            while len(v) < 2 or len(v) < 4 and self.chance(.5):
                name = V.first()
                if name not in v:
                    v.append(name)
        elif role == "nums":
            v = [self.number(0, 99) for _ in range(self.number(2, 6))]
        else:
            v = {"city": lambda: self.pick(CITY), "city2": lambda: self.pick(CITY), "shop": lambda: V.t_company()[1], "project": lambda: V.word().capitalize(), "purpose": lambda: "the " + V.pick_noun(),
                 "newname": lambda: V.word() if self.chance(.5) else V.nonce().capitalize(), "title": lambda: V.t_title()[1]}[role]()
            return v, v
        return v, self.seq(v)

    def values(self, t, optional=.35):
        """{role: (value, said)} of all needed roles and some of the others, all different."""
        out = {}
        for role, needed in t["frame"].roles:
            if role not in t["args"] or not needed and not self.chance(optional):
                continue
            for _ in range(20):
                got = self.draw(t, role)
                if got[1] == "" or all(got[1] != x[1] for x in out.values()):
                    break
            out[role] = got
        return out

    # ---- words ----

    def fill(self, text, values):
        def one(m):
            role, _, forms = m.group(1).partition(":")
            if forms:
                return words(forms)[0 if values[role][0] else 1]
            return values[role][1]
        return re.sub(r"\{([a-z]\w*(?::[^{}]*)?)\}", one, text)

    def core(self, t, values, templates=None):
        """A request that says these values."""
        template = self.pick(templates or t["frame"].requests)
        t["own"] = t["frame"].own.get(template)
        template = say(self.r, re.sub(r"\{([^{}]*)\}", lambda m: "\1" + m.group(1).replace("|", "\3") + "\2", template))
        template = template.replace("\1", "{").replace("\2", "}").replace("\3", "|")
        text = self.fill(template, values)
        said = re.findall(r"\{(\w+)", template)
        more = [r for r in values if r not in said and not dict(t["frame"].roles)[r]]
        self.r.shuffle(more)
        loose = re.search(r"\{(text|task|trouble|comment)\}", template) and not re.search(r"\"\{(text|task)\}\"", template)
        for role in more:
            way = self.pick(words(ROLES[role][3]))
            if role == "day" and values[role][1] not in DAYS and self.chance(.4):
                way = "{v}"
            phrase = way.replace("{v}", values[role][1])
            if loose or self.chance(.2):
                text = f"{phrase}{self.pick((', ', ': ', ', '))}{text}" if loose or role in ("day", "time", "urgent", "place") else f"{text}, {phrase}"
            else:
                text += (", " if role in ("urgent", "comment", "size", "copies", "ml", "grams") or self.chance(.25) else " ") + phrase
        return text

    def start(self, text):
        """With a capital where that changes no value."""
        first = text.split(" ")[0]
        return text[0].upper() + text[1:] if first.isalpha() and first.islower() else text

    def ask(self, text):
        text = re.sub(" +", " ", text)
        if self.chance(.6) and (is_question(text) or text.split(" ")[0] in VERBS):
            text = polish(self.r, text)
        else:
            text = self.pick(("{}", "{}", "{}", "{}", "{}", "{}", "{}, please", "{} please", "hi, {}", "hey! {}", "{}, thanks", "so: {}", "{} if you can")).format(text)
            text = self.start(text) if self.chance(.5) else text
            text += "" if text[-1] in "?!" else self.pick(("", "", ".", "!" if self.chance(.2) else "."))
        self.messages.append({"role": "user", "content": text})

    def tell(self, text):
        self.messages.append({"role": "assistant", "content": text})

    def arguments(self, t, values):
        return {arg: values[role][0] for role, arg in t["args"].items() if role in values}

    def call(self, calls):
        self.messages.append({"role": "assistant", "calls": [{"name": t["name"], "arguments": self.arguments(t, v) if t["frame"] else {}} for t, v in calls]})

    def result(self, text):
        self.messages.append({"role": "tool", "content": text})

    def outcome(self, t, values):
        """What the tool says and what is told of it."""
        text = self.pick(t["frame"].results)
        facts = {"n": lambda: str(sum(values["nums"][0]) if "nums" in values else self.number(1, 900)), "deg": lambda: f"{self.r.uniform(-5, 30):.1f}",
                 "time": lambda: f"{self.pick(DAYS)} at {self.draw(t, 'time')[1]}", "state": lambda: self.pick(STATES), "money": lambda: f"{self.r.uniform(1, 60):.2f}",
                 "tel": lambda: f"0{self.number(20, 99)} {self.number(100000, 9999999)}", "job": lambda: "a " + self.pick(JOBS), "kg": lambda: f"{self.r.uniform(.5, 90):.1f} kg",
                 "dec": lambda: f"{self.r.uniform(.1, 900):.1f}", "road": lambda: f"road {self.number(1, 90)}", "of_people": lambda: self.pick(values["people"][0])}
        r = ""
        m = re.fullmatch(r"\{x:(\w+)\}", text)
        self.found = {}

        def tell(m):
            name, spec = m.groups()
            if name not in self.found:
                v = self.made(spec) if spec else ""
                self.found[name] = (v, str(v)) if spec else self.draw(t, name)
            return self.found[name][1]

        if m and m.group(1) in facts:
            r = text = facts[m.group(1)]()
        elif m and m.group(1) in FORMS:
            r = text = FORMS[m.group(1)]({k: v[0] for k, v in values.items()})
        elif m:
            self.found[m.group(1)] = self.draw(t, m.group(1))
            r = text = self.found[m.group(1)][1]
        else:
            text = re.sub(r"\{(\w+)=([^{}]*)\}", tell, text)
            text = re.sub(r"\{([nk])\}", lambda _: str(self.number(2, 99)), text)
            r = text = self.fill(text, values)
        answer = say(self.r, re.sub(r"\{([^{}]*)\}", lambda m: "\1" + m.group(1).replace("|", "\3") + "\2", t.get("own") or self.pick(t["frame"].answers))).replace("\1", "{").replace("\2", "}").replace("\3", "|")
        shown = {k: (v[0], ", ".join(map(str, v[0][:-1])) + " and " + str(v[0][-1]) if isinstance(v[0], list) and len(v[0]) > 1 else v[1]) for k, v in values.items()}
        answer = self.start(self.fill(answer.replace("{r}", r.replace("{", "(")), {**shown, **self.found}))
        if not m and self.found and self.chance(.3):
            text = json.dumps({k: v[0] for k, v in self.found.items()})
        elif self.chance(.25):
            key = self.pick(("result", "status", "value", "answer", "res")) if not m else self.pick(("result", "value", m.group(1), "answer"))
            text = json.dumps({key: text})
        return text, answer

    def do(self, t, values, ask=True, text=None):
        """Request, call, result, answer."""
        if ask:
            self.ask(text or self.core(t, values))
        self.call([(t, values)])
        text, answer = self.outcome(t, values)
        self.result(text)
        self.tell(answer)
        self.last = (t, values)

    # ---- what happens ----

    def straight(self):
        t = self.pick(self.full)
        self.do(t, self.values(t))

    def again(self):
        """And the same for another one."""
        if not self.last or not self.last[0]["frame"]:
            return self.straight()
        t, values = self.last
        roles = [r for r in AGAIN if r in values]
        if not roles or any(not dict(t["frame"].roles)[r] for r in values) or "person2" in values or "thing2" in values or "nums" in values:
            return self.straight()
        role = self.pick(roles)
        value = self.draw(t, role)
        if isinstance(value[0], list):
            value = ([value[0][0]], str(value[0][0]))
        if value[1] in [v[1] for v in values.values()]:
            return self.straight()
        x = value[1]
        form = self.pick(("and {x}|{x} too|{x} as well|the same for {x}|also {x}|now {x}|and {x} too|oh and {x} as well|same with {x}|and what about {x}|then {x}|{x} next").split("|"))
        self.do(t, {**values, role: value}, text=form.format(x=x))

    def pronoun(self):
        """Another tool for the same thing, which is called it."""
        if not self.last or not self.last[0]["frame"]:
            return self.straight()
        t, values = self.last
        role = next((r for r in ("thing", "the") if r in values), None)
        others = [o for o in self.full if o is not t and role in o["args"] and o["n"] == t["n"] and o["kind"] == t["kind"]]
        if not role or not others:
            return self.again()
        o = self.pick(others)
        new = {**self.values(o, .2), role: values[role]}
        text = self.core(o, {**new, role: (new[role][0], "it")})
        self.do(o, new, text=text)

    def missing(self):
        """Something needed is not said: one question, then the call."""
        t = self.pick(self.full)
        options = []
        for source in t["frame"].requests:
            m = re.fullmatch(r"(.*\{.*?)(?:,? (?:to|into|in|with|for|from|of|by|on|at|over to|between|as|does not want)|:|,| ->)? \"?\{(\w+)\}\"?", re.sub(r"\[[^\[\]]*\]", "", source))
            if m and m.group(2) in t["args"] and ROLES[m.group(2)][2] and "{" + m.group(2) not in m.group(1) and not m.group(1).endswith((" or", " and", "->", " a", " the", " our", " from", " of", " in", " base", " channel")):
                options.append((m.group(1).strip(), m.group(2), source))
            for role in VAGUE:
                if "{" + role + "}" in source and role in t["args"] and ROLES[role][2]:
                    options.append((source.replace("{" + role + "}", self.pick(words(VAGUE[role])).replace("{n}", t["n"])), role, source))
        if not options:
            return self.straight()
        template, role, source = self.pick(options)
        values = self.values(t, .15)
        said = set(re.findall(r"\{(\w+)", template))
        if any(needed and r not in said and r != role for r, needed in t["frame"].roles):
            return self.straight()
        self.ask(self.core(t, {k: v for k, v in values.items() if k != role}, [template]))
        t["own"] = t["frame"].own.get(source)
        self.tell(ROLES[role][2].format(n=t["n"]))
        x = values[role][1]
        self.messages.append({"role": "user", "content": self.pick(("{x}", "{x}", "{x} please", "{x}.", "{x}, please", "ah sorry, {x}", "let's say {x}", "{x} of course")).format(x=x)})
        self.do(t, values, ask=False)

    def pair(self):
        """The same for two in one request: two calls in one message."""
        t = self.pick(self.full)
        values = self.values(t, 0)
        role = next((r for r in AGAIN if r in values), None)
        if not role or "person2" in values or "thing2" in values or "article2" in values or any(isinstance(v[0], list) for v in values.values()):
            return self.straight()
        other = self.draw(t, role)
        if other[1] == values[role][1]:
            return self.straight()
        both = f"{values[role][1]} and {other[1]}" if role != "thing" or self.chance(.6) else f"{t['n']}s {values[role][0]} and {other[0]}"
        self.ask(self.core(t, {**values, role: (None, both)}))
        second = {**values, role: other}
        self.call([(t, values), (t, second)])
        texts, answers = zip(self.outcome(t, values), self.outcome(t, second))
        for text in texts:
            self.result(text)
        self.tell(" ".join(a if a[-1] in ".?!" else a + "." for a in answers))
        self.last = None

    def both(self):
        """Two different things in one request."""
        if len(self.full) < 2:
            return self.pair()
        a, b = self.r.sample(self.full, 2)
        va, vb = self.values(a, 0), self.values(b, 0)
        if any(k in v for v in (va, vb) for k in ("text", "task", "trouble", "comment")):
            return self.straight()
        self.ask(self.core(a, va) + self.pick((" and ", ", and ", ". ", "; ", ", then ")) + self.core(b, vb))
        if self.chance(.5):
            self.call([(a, va), (b, vb)])
            results = self.outcome(a, va), self.outcome(b, vb)
            for text, _ in results:
                self.result(text)
        else:
            results = []
            for t, v in ((a, va), (b, vb)):
                self.call([(t, v)])
                results.append(self.outcome(t, v))
                self.result(results[-1][0])
        self.tell(" ".join(x if x[-1] in ".?!" else x + "." for _, x in results))
        self.last = None

    def taken_back(self):
        undo = next((t for t in self.tools if t["frame"] is None and t["bare"] is BARE[0]), None)
        if not undo or not self.last:
            return self.without_arguments()
        self.use_bare(undo)

    def use_bare(self, t):
        spec = t["bare"]
        self.ask(self.pick(words(spec[2])))
        self.call([(t, {})])
        text = self.pick(words(spec[3]))
        text = text.replace("{person}", self.V.first()).replace("{n}", str(self.number(2, 200))).replace("{level}", str(self.number(1, 100))).replace("{text}", self.V.sentence())
        self.result(text)
        self.tell(self.pick(words(spec[4])).replace("{r}", text))
        self.last = None

    def without_arguments(self):
        bare = [t for t in self.tools if t["frame"] is None]
        if not bare:
            return self.straight()
        self.use_bare(self.pick(bare))

    def refused(self):
        """An error that says what would be right."""
        t = self.pick(self.full)
        values = self.values(t, .2)
        number = next((r for r in ("level", "minutes", "hours", "copies", "grams", "ml") if r in values), None)
        place = next((r for r in ("goal", "the", "place", "group", "service", "option", "mood", "category") if r in values and isinstance(values[r][0], str)), None)
        x = self.r.random()
        if number and x < .5:
            v = values[number][0]
            top = max(1, v - self.number(1, 30)) if v > 1 else 0
            if top < 1:
                return self.straight()
            self.ask(self.core(t, values))
            self.call([(t, values)])
            what = t["args"][number]
            self.result(self.pick((f"error: {what} must be between 0 and {top}", f"error: {what} is at most {top}", f"error: {what}: {v} is more than {top}")))
            self.tell(f"At most {top} is possible; which number do you want?")
            new = self.number(1, top) if self.chance(.6) else top
            self.messages.append({"role": "user", "content": self.pick((f"{new}", f"then {new}", f"ok, {new}", f"{new} then", f"take {new}"))})
            self.do(t, {**values, number: (new, str(new))}, ask=False)
        elif place and x < .55:
            right = values[place][0]
            wrong = self.pick((right + "s", right + " 1", "main " + right, right[:-1], right[0] + right[2:], right + " room", "old " + right))
            others = [self.draw(t, place)[0] for _ in range(self.number(1, 3))]
            known = list(dict.fromkeys(others + [right]))
            self.r.shuffle(known)
            asked = {**values, place: (wrong, values[place][1].replace(right, wrong))}
            self.ask(self.core(t, asked))
            self.call([(t, asked)])
            what = t["args"][place]
            self.result(self.pick((f"error: unknown {what}: {wrong}; known: {', '.join(known)}", f"error: no {what} {wrong}; there are {', '.join(known)}", f"error: {what} must be one of {', '.join(known)}")))
            self.do(t, values, ask=False)
        elif t["frame"].looks_up and self.chance(.7) and any(k in values for k in AGAIN):
            said = values[next(k for k in AGAIN if k in values)][1]
            self.ask(self.core(t, values))
            self.call([(t, values)])
            self.result(self.pick(("not found", "error: not found", "error: unknown", "nothing found", "[]", "no entry")))
            self.tell(self.pick((f"Nothing was found for {said}.", f"There is no entry for {said}.", f"I found nothing about {said}.")))
            self.last = None
        elif "goal" in values or "thing" in values:
            role = "goal" if "goal" in values else "thing"
            other = self.draw(t, role)
            name, free = values[role][1], other[1]
            why = self.pick(("full", "occupied", "locked", "taken", "closed", "out of order", "not there"))
            self.ask(self.core(t, values))
            self.call([(t, values)])
            self.result(self.pick((f"error: {name} is {why}; free: {other[0]}", f"error: {values[role][0]} {why}, free is {other[0]}")))
            self.tell(self.start(f"{name} is {why}, but {free} is free; shall I take {free}?"))
            if self.chance(.75):
                self.messages.append({"role": "user", "content": self.pick(YES)})
                self.do(t, {**values, role: other}, ask=False)
            else:
                self.messages.append({"role": "user", "content": self.pick(NO)})
                self.tell(self.pick(("Okay, I leave it.", "Fine, nothing is changed.", "All right, I do nothing.")))
                self.last = None
        else:
            why = self.pick(("offline", "timeout", "no connection", "not allowed", "the service is down", "busy", "wrong key", "disk full"))
            self.ask(self.core(t, values))
            self.call([(t, values)])
            self.result(f"error: {why}")
            self.tell(self.pick((f"That did not work: {why}.", f"It failed: {why}.", f"The tool says: {why}.")))
            self.last = None

    def decline(self):
        have = {t["frame"] for t in self.tools}
        near = {f.decline for f in have if f}
        frame = self.pick([f for f in FRAMES if f not in have and not any(f.decline in twins and twins & near for twins in TWINS)])
        state = self.tools
        t = self.tool(frame)
        self.tools = state
        self.ask(self.core(t, self.values(t, .2)))
        self.tell(self.pick(DECLINE).format(a=frame.decline))
        self.last = None

    def looked_up(self):
        """One tool finds what another needs."""
        pairs = [(a, b, role) for a in self.full for b in self.full for role in a["frame"].finds if a is not b and role in b["args"] and dict(b["frame"].roles)[role]]
        if not pairs:
            return self.straight()
        a, b, role = self.pick(pairs)
        va, vb = self.values(a, 0), self.values(b, 0)
        called = self.fill(self.pick(a["frame"].finds[role]), va)
        self.ask(self.core(b, {**vb, role: (None, called)}))
        self.call([(a, va)])
        a["own"] = None
        self.result(self.outcome(a, va)[0])
        self.do(b, {**vb, role: self.found.get(role) or next(iter(self.found.values()))}, ask=False)

    EVENTS = (("straight", 34), ("missing", 14), ("pair", 7), ("both", 7), ("refused", 14), ("decline", 8), ("without_arguments", 6), ("looked_up", 5), ("again", 3), ("pronoun", 2))
    LATER = (("straight", 20), ("again", 26), ("pronoun", 22), ("taken_back", 8), ("missing", 6), ("refused", 6), ("decline", 6), ("without_arguments", 6))

    def world(self):
        """Two to seven tools, several of them for the same kind of thing."""
        r = self.r
        self.tools = []
        noun, kind = self.pick(NUMBERED), self.pick(("int", "int", "code", "letter"))
        device = self.pick(NAMED)
        frames = r.sample(FRAMES, r.choice((1, 1, 2, 2, 3, 3, 4, 5, 6)))
        if self.chance(.5):  # relatives
            key = self.pick(("thing", "the", "person", "text", "day", "place"))
            frames += r.sample([f for f in FRAMES if key in dict(f.roles)], 2)
        self.linked = self.chance(.11)
        if self.linked:
            find = self.pick([f for f in FRAMES if f.finds])
            role = self.pick(list(find.finds))
            takers = [f for f in FRAMES if f is not find and dict(f.roles).get(role)]
            lookups = [f for f in takers if f.looks_up]
            frames += [find, self.pick(lookups if lookups and self.chance(.75) else takers)]
        for frame in dict.fromkeys(frames):
            t = self.tool(frame, device if any(role == "the" for role, _ in frame.roles) else noun)
            if any(role == "thing" for role, _ in frame.roles):
                t["kind"] = kind
                for role in ("thing", "thing2"):
                    if role in t["args"]:
                        t["schema"]["parameters"]["properties"][t["args"][role]]["type"] = "integer" if kind == "int" else "string"
            if all(t["name"] != o["name"] for o in self.tools):
                self.tools.append(t)
        self.full = list(self.tools)
        for spec in r.sample(BARE, r.choice((0, 0, 0, 1, 1, 2))) + ([BARE[0]] if self.chance(.2) else []):
            t = self.bare(spec)
            if all(t["name"] != o["name"] and o.get("bare") is not spec for o in self.tools):
                self.tools.append(t)

    def doc(self):
        r = self.r
        self.world()
        self.messages, self.last = [], None
        names, weights = zip(*self.EVENTS)
        getattr(self, "looked_up" if self.linked and self.chance(.65) else r.choices(names, weights)[0])()
        names, weights = zip(*self.LATER)
        for _ in range(r.choice((0, 0, 1, 1, 1, 2, 3))):
            getattr(self, r.choices(names, weights)[0])()
        tools = [t["schema"] for t in self.tools]
        r.shuffle(tools)
        if self.chance(.35) and len(tools) < 8:
            told = {t["description"] for t in tools if "description" in t}
            tools += [t for t in self.unseen.distract([], r.randint(1, 3)) if t["name"] not in {x["name"] for x in tools} and t.get("description") not in told]
            r.shuffle(tools)
        return {"sys": self.unseen.sysmsg(), "tools": tools, "messages": self.messages}


if __name__ == "__main__":
    import random
    import sys
    import unseen as catalogue
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    frames = Frames(random.Random(seed), catalogue.Gen(seed))
    for _ in range(int(sys.argv[2]) if len(sys.argv) > 2 else 10):
        document = frames.doc()
        print("\n".join(json.dumps(t) for t in document["tools"]))
        for m in document["messages"]:
            print(" ", {"user": ">", "assistant": "<", "tool": "="}[m["role"]], m.get("content") or json.dumps(m["calls"]))
        print()
