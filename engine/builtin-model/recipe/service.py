"""Dialogues with services that are made up: find something, choose, book it, with values given over several turns, relative dates,
times in words, changes of mind and a confirmation before the call. The schema tells what there is; nothing else does.
`Service(r).doc()` makes one.
"""
import datetime
import json

from phrase import say, split
from values import CITY, FIRST, LAST, MONTHS, NUMW, Val

WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
THINGS = ("restaurant|hotel|flight|train|bus|concert|movie|doctor|dentist|apartment|house|car|song|event|museum|tour|salon|therapist|room|table|"
          "boat|bike|cabin|parking spot|gym class|tutor|mechanic|vet|lawyer|photographer|band|course|play|match|exhibition|spa|locker|studio|"
          "cruise|shuttle|taxi|campsite|workshop|babysitter|caterer|florist|hostel|villa|van|scooter|theater ticket|ski pass|court|book|game|"
          "podcast|recipe|cleaner|painter|plumber|gardener|moving truck|desk|meeting room|hall|lesson|ferry|helicopter ride|safari|wine tasting").split("|")
FIND = "Find|Search|Get|Lookup|List|Browse|Discover|Query|Show".split("|")
BOOK = "Book|Reserve|Buy|Schedule|Order|Rent|Request|Make Reservation|Get Tickets|Arrange".split("|")

# name variants, description, kind, question, how a person says it
SLOTS = {
    "city": ("city|location|town|area|place|city_name|where_to", "City where the {t} is|Name of the city|Location of the {t}|City to search in", "city", "[Which|In which] city?|Where should it be?|What city are you looking in?", "in {v}|around {v}|near {v}|somewhere in {v}"),
    "from": ("from_city|origin|from_location|departure_city|from|start_city|leaving_from|origin_city", "City where the journey starts|Starting city|Place of departure", "city", "Where do you [leave|start] from?|From which city?|What is the departure city?", "from {v}|leaving [from|] {v}|starting in {v}|I'm in {v} now"),
    "to": ("to_city|destination|to_location|arrival_city|to|end_city|going_to|destination_city", "City where the journey ends|Destination city|Place of arrival", "city", "Where do you want to go?|To which city?|What is the destination?", "to {v}|going to {v}|heading to {v}|with destination {v}"),
    "date": ("date|day|on_date|visit_date|appointment_date|event_date|reservation_date|booking_date", "Date of the {t}|Day of the booking|Date in YYYY-MM-DD|When it should be", "date", "[For|On] which day?|What date [do you want|works for you]?|When would you like it?", "on {v}|for {v}|{v}"),
    "start": ("start_date|departure_date|pickup_date|check_in|check_in_date|leaving_date|from_date", "First day|Date of departure|Date of check-in|Start date", "date", "When do you want to start?|What is the [first|departure] day?|From when?", "starting [on|] {v}|leaving [on|] {v}|from {v}"),
    "end": ("end_date|return_date|dropoff_date|check_out|check_out_date|until|to_date", "Last day|Date of return|Date of check-out|End date", "date", "Until when?|When do you come back?|What is the last day?", "until {v}|coming back [on|] {v}|returning [on|] {v}|till {v}"),
    "time": ("time|start_time|appointment_time|departure_time|pickup_time|reservation_time|show_time|at", "Time of the {t}|Time in HH:MM|Start time", "time", "[At|For] what time?|What time works for you?|When on that day?", "at {v}|for {v}|around {v}|{v}"),
    "people": ("number_of_people|party_size|group_size|passengers|num_passengers|number_of_seats|guests|number_of_adults|tickets|num_tickets|number_of_tickets|seats|travelers", "Number of people|How many tickets|Number of guests|Number of seats to reserve", "count", "[For|] how many people?|How many [tickets|seats] do you need?|What is the size of your group?", "for {v} [people|persons]|{v} of us|{v} tickets|a group of {v}|{v} people"),
    "nights": ("nights|number_of_days|duration|stay_length|num_nights|days", "Number of nights|How many days", "count", "How many [nights|days]?|How long do you want to stay?", "for {v} [nights|days]|{v} nights"),
    "rooms": ("rooms|number_of_rooms|beds|number_of_beds|bedrooms|num_rooms", "Number of rooms|How many bedrooms", "count", "How many [rooms|bedrooms]?|How many do you need?", "with {v} [rooms|bedrooms]|{v} rooms"),
    "name": ("name|title|{t}_name|item|choice", "Name of the {t}|Title of the {t}", "name", "Which {t} do you mean?|What is the name of the {t}?", "{v}|called {v}|the {t} {v}"),
    "person": ("contact_name|customer|guest_name|passenger|booked_for|full_name|receiver", "Name of the person who books|Full name", "person", "[For|Under] which name?|What is your name?", "under the name {v}|my name is {v}|for {v}|it's {v}"),
    "category": ("category|type|kind|genre|style|class|{t}_type|variety", "Kind of {t}|Category of the {t}|Type", "enum", "[What|Which] kind of {t}?|What type do you prefer?|Do you have a preference for the type?", "{v}|something {v}|the type should be {v}|{v} please|I prefer {v}"),
    "price_range": ("price_range|price_level|budget|price_class|cost_level", "Price range|How expensive it may be", "price", "[Which|What] price range?|How expensive may it be?", "{v}|something {v}|in the {v} price range|it should be {v}"),
    "flag": ("has_wifi|pets_welcome|smoking_allowed|is_refundable|has_parking|outdoor_seating|good_for_kids|free_entry|add_insurance|extra_luggage|has_garage|direct_only|with_breakfast|wheelchair_access|is_unisex|has_vegetarian_options|furnished|live_music", "", "flag", "", ""),
    "subject": ("subject|topic|purpose|reason|about", "What it is about|Purpose", "phrase", "What is it about?|What is the purpose?", "about {v}|it is about {v}|the topic is {v}"),
    "phone": ("phone|contact_number|phone_number|callback", "Phone number", "phone", "What is your phone number?|Under which number can we reach you?", "my number is {v}|{v}|phone {v}"),
    "artist": ("artist|performer|directed_by|cast|author|actor|starring|by", "Name of the artist|Who made it|Performer", "person", "[By|With] whom?|Do you have someone in mind?", "by {v}|with {v}|from {v}|starring {v}"),
    "amount": ("amount|max_price|price_limit|balance|limit", "Highest price|Amount of money", "money", "How much may it cost?|What amount?", "up to {v}|at most {v}|{v}"),
}
FLAG_WORDS = {"has_wifi": "wifi", "pets_welcome": "pets", "smoking_allowed": "smoking", "is_refundable": "a refund", "has_parking": "parking", "outdoor_seating": "outdoor seating", "good_for_kids": "something for kids", "free_entry": "free entry", "add_insurance": "insurance",
              "extra_luggage": "extra luggage", "has_garage": "a garage", "direct_only": "a direct connection", "with_breakfast": "breakfast", "wheelchair_access": "wheelchair access", "is_unisex": "a unisex place", "has_vegetarian_options": "vegetarian food", "furnished": "furniture", "live_music": "live music"}
ENUMS = ("Italian,Chinese,Indian,Mexican,Thai|Economy,Premium Economy,Business|Hatchback,Sedan,SUV|Rock,Pop,Jazz,Country|Comedy,Drama,Horror,Action|Music,Theater,Sports|Museum,Park,Historical Landmark|One-way,Round-trip|Regular,Pool|Standard,Large,Compact|"
         "Family Counselor,Psychologist,Psychiatrist|Single,Double,Suite|Flexible,Value|Day,Evening|Outdoor,Indoor|Beginner,Intermediate,Advanced|Dermatologist,Cardiologist,General Practitioner|Red,White,Sparkling|Kitchen,Living room,Patio").split("|")
ATTRIBUTES = [("street_address", "address", "the address"), ("phone_number", "phone", "the phone number"), ("rating", "rating", "the rating"), ("price", "money", "the price"), ("stops", "int(0,3)", "the number of stops"), ("duration", "int(30,400)", "the duration in minutes"), ("seats_left", "int(1,80)", "how many seats are left"), ("arrival_time", "time", "the arrival time"), ("venue", "venue", "the venue"), ("operator", "company", "the operator"), ("language", "lang", "the language"), ("year", "year", "the year")]


def snake(words):
    return "_".join(w.lower() for w in words.split())


def name_style(r, words):
    x = r.random()
    parts = words.replace("-", " ").split()
    if x < .55:
        return "".join(p.capitalize() for p in parts)
    if x < .85:
        return "_".join(p.lower() for p in parts)
    return parts[0].lower() + "".join(p.capitalize() for p in parts[1:])


class Service:
    def __init__(self, r):
        self.r, self.V = r, Val(r)

    # ---- values and how they are said ----

    def date_value(self):
        r, t = self.r, self.today
        days = r.choices((0, 1, 2, r.randint(3, 13), r.randint(3, 27)), (8, 12, 8, 50, 22))[0]
        d = t + datetime.timedelta(days=days)
        n = d.day
        th = f"{n}" + ("th" if 10 < n < 14 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th"))
        month = MONTHS[d.month - 1]
        ways = [f"{month} {th}", f"the {th} of {month}", f"{month} {n}", f"{n} {month}", f"{month[:3]} {th}", d.isoformat()]
        if d.month == t.month:
            ways += [f"the {th}", f"{th} of this month", f"the {th} of this month"] * 2
        if days == 0:
            ways += ["today"] * 8
        elif days == 1:
            ways += ["tomorrow"] * 8
        elif days == 2:
            ways += ["the day after tomorrow", "in two days"] * 4
        weekday = WEEKDAYS[d.weekday()]
        if 0 < days < 8:
            ways += [f"next {weekday}", f"this {weekday}" if d.weekday() > t.weekday() and days < 7 else f"next {weekday}"] * 3
        monday = t + datetime.timedelta(days=7 - t.weekday())
        if monday <= d < monday + datetime.timedelta(days=7):
            ways += [f"{weekday} next week", f"{weekday} of next week"] * 3
        return d.isoformat(), r.choice(ways), r.choice((f"{month} {th}", d.isoformat(), f"{weekday}, {month} {th}"))

    def time_value(self):
        r = self.r
        h, m = r.randint(6, 22), r.choice((0, 0, 0, 15, 30, 30, 45, r.randint(0, 59)))
        h12, part = (h - 1) % 12 + 1, "morning" if h < 12 else "afternoon" if h < 18 else "evening"
        ap = "am" if h < 12 else "pm"
        ways = [f"{h12}:{m:02d} {ap}", f"{h:02d}:{m:02d}", f"{h12}:{m:02d} in the {part}", f"{part} {h12}:{m:02d}"]
        if m == 0:
            ways += [f"{h12} {ap}", f"{h12} in the {part}", f"{NUMW[h12]} in the {part}", f"{h12} o'clock in the {part}", f"{NUMW[h12]} {ap}", f"{part} {h12}"] + (["noon"] if h == 12 else [])
        if m == 15:
            ways += [f"quarter past {h12} in the {part}", f"a quarter past {NUMW[h12]} {ap}"]
        if m == 30:
            ways += [f"half past {h12} in the {part}", f"half past {NUMW[h12]} {ap}"]
        if m == 45:
            ways += [f"quarter to {h12 % 12 + 1} in the {part if h != 11 else 'day'}"] if h not in (11, 17) else []
        return f"{h:02d}:{m:02d}", r.choice(ways), r.choice((f"{h12}:{m:02d} {ap}", f"{h:02d}:{m:02d}"))

    def value(self, slot):
        """(JSON value, said by the person, said by the assistant)."""
        r, V, kind = self.r, self.V, slot["kind"]
        if kind == "date":
            return self.date_value()
        if kind == "time":
            return self.time_value()
        if kind == "count":
            n = r.choices((1, 2, 3, 4, 5, 6, r.randint(1, 9)), (2, 3, 3, 3, 1, 1, 1))[0]
            return n if slot["schema"]["type"] == "integer" else str(n), r.choice((str(n), NUMW[n])), str(n)
        if kind == "enum":
            v = r.choice(slot["schema"].get("enum") or slot["options"])
            return v, r.choice((v, v.lower(), v)), v
        if kind == "price":
            v = r.choice(slot["options"])
            return v, v, v
        if kind == "city":
            v = r.choice(CITY) if r.random() < .9 else V.nonce().capitalize()
            return v, v if r.random() < .9 else v.lower(), v
        if kind == "name":
            v = r.choice((V.t_company()[0], V.t_title()[0], f"{r.choice(FIRST)}'s {V.word().capitalize()}", f"The {V.word().capitalize()} {V.word().capitalize()}", V.nonce().capitalize(), V.person()))
            return v, v, v
        if kind == "money":
            v = r.randint(10, 900)
            return v, r.choice((f"{v}", f"${v}", f"{v} dollars")), f"${v}"
        if kind == "flag":
            v = r.random() < .6
            return v, "", ""
        v = str(V.v(kind)[0])
        return v, v, v

    def slot(self, key, thing, used):
        names, descriptions, kind, ask, phrases = SLOTS[key]
        for _ in range(8):
            name = self.r.choice(names.split("|")).replace("{t}", snake(thing))
            if name not in used:
                break
        else:
            return None
        used.add(name)
        if self.r.random() < .06:
            name = self.V.nonce(2)
        schema = {"type": "string", "description": self.r.choice(descriptions.split("|")).replace("{t}", thing)}
        slot = {"key": key, "name": name, "kind": kind, "ask": ask.replace("{t}", thing), "phrases": phrases.replace("{t}", thing), "schema": schema}
        if kind == "count":
            schema["type"] = self.r.choice(("integer", "integer", "integer", "string"))
        elif kind == "enum":
            options = self.r.choice(ENUMS).split(",")
            slot["options"] = options
            if self.r.random() < .75:
                schema["enum"] = options
        elif kind == "price":
            slot["options"] = ["cheap", "moderate", "expensive"] if self.r.random() < .6 else ["inexpensive", "moderate", "pricey"]
            schema["enum"] = slot["options"]
        elif kind == "flag":
            slot["word"] = FLAG_WORDS.get(name, "it")
            schema.update(type="boolean", description=self.r.choice((f"Whether {slot['word']} is wanted", f"Flag: {slot['word']}", f"Boolean flag for {slot['word']}", name.replace("_", " ").capitalize())))
        elif kind == "money":
            schema["type"] = self.r.choice(("number", "integer"))
        return slot

    def tool(self, words, description, required, optional):
        defaults = {}
        properties = {s["name"]: dict(s["schema"]) for s in required + optional}
        for s in optional:
            if s["kind"] in ("flag", "count", "enum") and self.r.random() < .35:
                value = False if s["kind"] == "flag" else (1 if s["schema"]["type"] == "integer" else "1") if s["kind"] == "count" else self.r.choice(s["options"])
                properties[s["name"]]["default"] = value
                defaults[s["name"]] = value
        schema = {"name": name_style(self.r, words), "description": description, "parameters": {"type": "object", "properties": properties, "required": [s["name"] for s in required]}}
        return {"schema": schema, "required": required, "optional": optional, "defaults": defaults}

    # ---- a service ----

    def make(self):
        r, thing = self.r, self.r.choice(THINGS)
        if r.random() < .06:
            thing = self.V.nonce()
        used, moving = set(), r.random() < .3
        need = ["from", "to"] if moving else ["city"] if r.random() < .7 else ["category"]
        need += r.sample(["date", "category", "people"], r.choice((0, 0, 1, 1)))
        may = [k for k in r.sample(["category", "price_range", "flag", "artist", "rooms", "people", "amount", "time"], r.randint(1, 3)) if k not in need]
        shared = {}
        make = lambda key: shared.setdefault(key, self.slot(key, thing, used))
        required, optional = [s for s in map(make, dict.fromkeys(need)) if s], [s for s in map(make, may) if s]
        plural = thing + "s"
        find = self.tool(f"{r.choice(FIND)} {thing if r.random() < .4 else plural}", r.choice((f"Find {plural}", f"Search for a {thing} by {required[0]['name'].replace('_', ' ')} and other attributes", f"Look for {plural} that match", f"Discover {plural} in a place")), required, optional)
        need2 = ([] if moving else ["name"]) + (["from", "to"] if moving else []) + r.sample(["date", "time", "people", "person", "start", "end", "nights", "phone", "subject"], r.randint(1, 3))
        if "name" not in need2 and r.random() < .3:
            need2.append("category")
        may2 = [k for k in r.sample(["flag", "category", "people", "price_range"], r.choice((0, 1, 1, 2))) if k not in need2]
        required2, optional2 = [s for s in map(make, dict.fromkeys(need2)) if s], [s for s in map(make, may2) if s]
        book = self.tool(f"{r.choice(BOOK)} {thing}", r.choice((f"Book a {thing}", f"Make a reservation for a {thing}", f"Reserve the selected {thing}", f"Buy or book a {thing}")), required2, optional2)
        return {"thing": thing, "find": find, "book": book, "slots": shared, "moving": moving}

    # ---- the dialogue ----

    def said(self, slot, words):
        return say(self.r, self.r.choice(split(slot["phrases"])), v=words)

    def user(self, text):
        if self.r.random() < .5:
            text = text[0].upper() + text[1:]
        self.messages.append({"role": "user", "content": text + (self.r.choice((".", "")) if text[-1] not in ".?!" else "")})

    def tell(self, text):
        self.messages.append({"role": "assistant", "content": text})

    def give(self, slot):
        """The person decides on a value; the words for it."""
        value, words, shown = self.value(slot)
        self.state[slot["name"]] = value
        self.shown[slot["name"]] = shown
        if slot["kind"] == "flag":
            return say(self.r, f"[with|I need|I want] {slot['word']}" if value else f"[without|no] {slot['word']}")
        return self.said(slot, words)

    def collect(self, tool, first=""):
        """Asks for what is missing; the first message opens the wish."""
        r = self.r
        missing = [s for s in tool["required"] if s["name"] not in self.state]
        extra = [s for s in tool["optional"] if s["name"] not in self.state and r.random() < .4]
        if first:
            now = [s for s in missing + extra if r.random() < .55]
            r.shuffle(now)
            now = now[:3]
            text = first + "".join(r.choice((" ", " ", ", ")) + self.give(s) for s in now)
            self.user(text)
            missing = [s for s in missing if s not in now]
            extra = [s for s in extra if s not in now]
        while missing:
            slot = missing.pop(0)
            self.tell(say(r, r.choice(split(slot["ask"]))))
            text = self.give(slot)
            if r.random() < .35:
                text = r.choice(("", "Hmm, ", "ok, ", "I think ", "it should be ", "let's say ")) + text
            if missing and r.random() < .3:
                text += r.choice((", ", " and ", ". ")) + self.give(missing.pop(0))
            if extra and r.random() < .5:
                text += r.choice((", ", " and ", ". ")) + self.give(extra.pop(0))
            self.user(text)

    def call(self, tool, result):
        arguments = {}
        for name in tool["schema"]["parameters"]["properties"]:
            if name in self.state:
                arguments[name] = self.state[name]
            elif name in tool["defaults"]:
                arguments[name] = tool["defaults"][name]
        self.messages.append({"role": "assistant", "calls": [{"name": tool["schema"]["name"], "arguments": arguments}]})
        self.messages.append({"role": "tool", "content": json.dumps(result(arguments), ensure_ascii=False)})
        return arguments

    def rows(self, service):
        rows = []
        attributes = self.r.sample(ATTRIBUTES, self.r.randint(1, 4))
        name = service["slots"].get("name")
        for _ in range(self.r.randint(1, 3)):
            row = {}
            for slot in service["find"]["required"] + service["find"]["optional"]:
                if slot["name"] in self.state:
                    row[slot["name"]] = self.state[slot["name"]]
            if name:
                row[name["name"]] = self.value(name)[0]
            for key, kind, _ in attributes:
                row[key] = self.V.v(kind)[0]
            if service["slots"].get("time") and service["moving"] and "time" not in [s["key"] for s in service["find"]["required"]]:
                row[service["slots"]["time"]["name"]] = self.time_value()[0]
            rows.append(row)
        return rows, attributes

    def service_part(self, service):
        r, thing = self.r, service["thing"]
        a = "an" if thing[0] in "aeiou" else "a"
        find, book = service["find"], service["book"]
        opening = say(r, f"[I want to find {a} {thing}|I'm looking for {a} {thing}|find me {a} {thing}|can you [find|search] {a} {thing} [for me|]|I need {a} {thing}|help me find {a} {thing}|show me some {thing}s|are there any {thing}s|search for {thing}s|I would like {a} {thing}]")
        direct = r.random() < .25 and not service["moving"]
        chosen = {}
        if not direct:
            self.collect(find, opening)
            for _ in range(3):
                rows, attributes = self.rows(service)
                self.call(find, lambda _: rows)
                name = service["slots"].get("name")
                title = lambda row: row.get(name["name"]) if name else say(r, f"{a} {thing}")
                shown = 0
                key, _, words = attributes[0]
                self.tell(say(r, f"[I found|There is|How about] {{n}}. [{words.capitalize()} is {{x}}.|]", n=title(rows[0]), x=rows[0][key]))
                while True:
                    x = r.random()
                    if x < .3:
                        key, _, words = r.choice(attributes)
                        self.user(say(r, f"[what is|tell me|and] {words}?"))
                        self.tell(say(r, f"[It is|{words.capitalize()} is] {{x}}.", x=rows[shown][key]))
                    elif x < .45 and shown + 1 < len(rows):
                        shown += 1
                        self.user(say(r, "[is there another one?|anything else?|what else is there?|I don't like that one. Others?|show me the next one]"))
                        self.tell(say(r, "[There is also|I also found|How about] {n}?", n=title(rows[shown])))
                    else:
                        break
                if r.random() < .2 and self.changes:
                    slot = r.choice([s for s in find["required"] + find["optional"] if s["name"] in self.state])
                    words = self.give(slot)
                    self.user(say(r, "[no, |Actually, |hmm, ][make it|search|look for something] ") + words)
                    self.changes -= 1
                    continue
                break
            chosen = rows[shown]
            if r.random() < .2:
                self.user(say(r, "[thanks, that's all|that is all I need, thanks|great, thank you|no, thanks. That's enough]"))
                self.tell(say(r, "[You're welcome!|Have a nice day!]"))
                return
            for slot in book["required"] + book["optional"]:
                if slot["name"] in chosen and slot["name"] not in self.state:
                    self.state[slot["name"]] = chosen[slot["name"]]
                    self.shown[slot["name"]] = str(chosen[slot["name"]])
            wish = say(r, "[book it|I'll take it|please book that one|reserve it|that sounds good, book it|ok, make the reservation|yes, I want that one|great, get it for me]")
        else:
            wish = say(r, f"[I want to book {a} {thing}|book {a} {thing}|reserve {a} {thing} for me|I need to book {a} {thing}|please get me {a} {thing}]")
        self.collect(book, wish)
        if r.random() < .8:
            for _ in range(2):
                parts = [f"{s['name'].replace('_', ' ')}: {self.shown.get(s['name'], self.state[s['name']])}" for s in book["required"] + book["optional"] if s["name"] in self.state and s["kind"] != "flag"]
                parts += [f"{n.replace('_', ' ')}: {v}" for n, v in book["defaults"].items() if n not in self.state and r.random() < .5 and not isinstance(v, bool)]
                self.tell(say(r, "[Please confirm|Let me confirm|I will book it as follows. Is that right|So that is] ") + (": " if r.random() < .5 else " - ") + ", ".join(parts) + r.choice((".", "?", ". Correct?")))
                if r.random() < .2:
                    slot = r.choice([s for s in book["required"] + book["optional"] if s["kind"] not in ("name", "flag") and (s["name"] in self.state)] or [None])
                    if slot:
                        words = self.give(slot)
                        self.user(say(r, "[no, |not quite, |wait, |sorry, ][make it|it should be|change it to] ") + words)
                        continue
                break
            if self.messages[-1]["role"] == "assistant":
                self.user(say(r, "[yes|that is right|correct|yes, please|sure|exactly|yes, that works|ok|go ahead|yep|that's correct|sounds good]"))
        ok = r.random() < .88
        code = self.V.t_code()[0]
        self.call(book, lambda arguments: ({"status": "confirmed", "reference": code, **arguments} if r.random() < .6 else [arguments]) if ok else {"status": "failed", "error": r.choice(("not available", "fully booked", "no seats left"))})
        if ok:
            self.tell(say(r, f"[Your {thing} is booked.|The reservation was made.|Done, it is booked.|It is confirmed.]"))
        else:
            self.tell("I'm sorry, that did not work: it is not available.")

    def doc(self):
        r = self.r
        self.today = datetime.date(r.randint(2018, 2028), 1, 1) + datetime.timedelta(days=r.randint(0, 364))
        if r.random() < .25:
            self.today = datetime.date(2019, 3, 1)
        self.messages, self.state, self.shown, self.changes = [], {}, {}, 1
        services = [self.make()]
        if r.random() < .35:
            services.append(self.make())
        tools, names = [], set()
        for service in services:
            for tool in (service["find"], service["book"]):
                if tool["schema"]["name"] not in names:
                    names.add(tool["schema"]["name"])
                    tools.append(tool["schema"])
        if len(tools) < 2 * len(services):
            return self.doc()
        for _ in range(r.choice((0, 0, 1, 2))):
            other = self.make()
            for tool in (other["find"], other["book"]):
                if tool["schema"]["name"] not in names and r.random() < .7:
                    names.add(tool["schema"]["name"])
                    tools.append(tool["schema"])
        r.shuffle(tools)
        for i, service in enumerate(services):
            if i:
                self.user(say(r, "[also, I need something else|one more thing|now something else]"))
                self.tell("Sure, what is it?")
                kept = {s["name"]: self.state[s["name"]] for s in service["slots"].values() if s and s["name"] in self.state and False}
                self.state, self.shown = kept, {}
            self.service_part(service)
        today = f"Today is {WEEKDAYS[self.today.weekday()]}, {MONTHS[self.today.month - 1]} {self.today.day}, {self.today.year}."
        system = today if r.random() < .8 else "You are a helpful assistant. " + today
        return {"sys": system, "tools": tools, "messages": self.messages}


if __name__ == "__main__":
    import random
    import sys
    from render import render
    s = Service(random.Random(int(sys.argv[1]) if len(sys.argv) > 1 else 1))
    for _ in range(4):
        text = "".join(t for t, _ in render(s.doc()))
        print(text, "=" * 60, sep="\n")
