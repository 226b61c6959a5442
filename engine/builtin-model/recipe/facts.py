"""Facts that a person wants kept, with questions and paraphrases: for the tools `remember` and `recall`, and for the
contrastive phase that makes the model's pooled states useful for finding facts by meaning.

`Facts(r).draw()` gives one fact; `pair(r)` a text and the fact it belongs to. With heldout=True only relations, wordings
and names are used that training never sees.
"""
import os
import random

from phrase import say
from values import Val, CITY, FIRST, MONTHS, PLANTS

HERE = os.path.dirname(os.path.abspath(__file__))


class Relation:
    def __init__(self, head):
        self.name, subjects, self.value = (x.strip() for x in head.split(";"))
        self.reserved = False  # nothing of it is used in training
        self.whole = False  # no wording of it is set aside: it is for training alone, or for evaluation alone
        self.subjects = subjects.split("|")
        self.statements, self.questions, self.answer, self.search = [], [], "", ""


def load(name):
    relations = []
    with open(os.path.join(HERE, name)) as file:
        for line in file:
            sign, rest = line[:1], line[2:].strip()
            if sign == "@":
                relations.append(Relation(rest))
            elif sign == "=":
                relations[-1].statements.append(rest)
            elif sign == "?":
                relations[-1].questions.append(rest)
            elif sign == "<":
                relations[-1].answer = rest
            elif sign == "~":
                relations[-1].search = rest
    return relations


JUDGED, FURTHER = load("facts.txt"), load("facts_more.txt")
for relation in JUDGED[5::8]:
    relation.reserved = relation.whole = True
for relation in FURTHER:
    relation.whole = True
KIN = ("my sister|my brother|my mother|my father|my wife|my husband|my boss|my neighbor|my aunt|my uncle|my grandmother|"
       "my grandfather|my cousin|my best friend|my landlord|my colleague|my son|my daughter|my roommate|our accountant").split("|")
THINGS = ("washing machine|laptop|bike|coffee machine|drill|lawn mower|phone|camera|microwave|dishwasher|kettle|printer|guitar|tent|"
          "headphones|monitor|fridge|tablet|watch|projector|sewing machine|heat pump|toaster|suitcase|router|e-reader|grill|chainsaw|"
          "air conditioner|game console|stroller|kayak|telescope|keyboard|sofa|desk|ladder|blender|power bank|bicycle pump").split("|")
FAVORITE = {
    "color": "red|blue|green|yellow|turquoise|purple|orange|black|crimson|navy|olive|violet|teal", "season": "spring|summer|autumn|winter",
    "food": "pizza|sushi|lasagna|green curry|pancakes|ramen|paella|falafel|dumplings|goulash|tacos|fish and chips",
    "drink": "green tea|black coffee|lemonade|apple juice|hot chocolate|ginger beer|mint tea|sparkling water",
    "sport": "tennis|football|swimming|climbing|rowing|badminton|fencing|volleyball|skiing|cycling",
    "fruit": "mango|apple|cherry|pear|papaya|strawberry|fig|plum|kiwi|peach", "flower": "rose|tulip|lily|sunflower|daisy|orchid|peony",
    "dessert": "tiramisu|apple pie|cheesecake|baklava|chocolate cake|panna cotta", "tea": "earl grey|chamomile|rooibos|jasmine|oolong",
    "board game": "chess|go|Scrabble|Monopoly|backgammon|checkers", "animal": "otter|fox|penguin|elephant|owl|dolphin|hedgehog|lynx",
    "day of the week": "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday",
}
POOL = {
    "allergen": "peanuts|shellfish|milk|strawberries|wheat|eggs|soy|sesame|celery|walnuts|mustard|kiwi|gluten|crab|almonds|tomatoes",
    "status": "finished|blocked|on track|late|in review|almost done|cancelled|waiting for parts|paused|approved|not started",
    "hiding": "in the top drawer|under the stairs|in the blue box|behind the books|in the garage|on the upper shelf|in the cellar|under the bed|"
              "in the glove compartment|next to the boiler|in the kitchen cupboard|at my parents' house|in the attic|in the desk on the left|"
              "in the black bag|in the safe|on the balcony|in the hall closet|in the tool shed|behind the mirror",
    "hobby": "chess|gardening|hiking|photography|knitting|old films|jazz|sailing|bird watching|baking|crossword puzzles|pottery|running|"
             "video games|astronomy|woodworking|opera|fishing|yoga|model trains|dancing|painting",
    "diet": "vegan|vegetarian|gluten-free|kosher|halal|low-carb|lactose-free|pescatarian|sugar-free",
    "car": "red Volvo|blue Toyota|grey Skoda|white Tesla|black BMW|green Mini|old Beetle|silver Ford|yellow Fiat|Honda van|electric Renault",
    "hours": "from 9 to 17|until 8 pm|from 10 am to 6 pm|only in the morning|on weekdays|from noon to midnight|on Saturdays|daily until 22:00|"
             "from 7:30 to 19:00|every day but Monday|around the clock",
    "school": "Lincoln School|the Montessori school|St. Mary's|Oak Hill Primary|the music school|Goethe School|Riverside High|Park School|the forest kindergarten",
    "ingredient": "a pinch of cinnamon|buttermilk|fresh basil|two spoons of honey|smoked paprika|sourdough|lemon zest|brown butter|dark chocolate|"
                  "a bay leaf|nutmeg|coconut milk|roasted garlic|sea salt|vanilla|white wine",
    "gift": "a cookbook|new headphones|a scarf|concert tickets|a puzzle|hiking boots|a fountain pen|a plant|a board game|a watch|perfume|"
            "a weekend trip|wool socks|a tea pot|a drone|gloves|a camera bag",
    "medicine": "ibuprofen|metformin|vitamin D|aspirin|insulin|iron tablets|cetirizine|eye drops|lisinopril|magnesium|an inhaler",
    "blood": "A positive|A negative|B positive|B negative|0 positive|0 negative|AB positive|AB negative",
    "doctor": "Dr. {last}", "seat": "row {n}, seat {m}|seat {m}{a}|block {A}, row {n}|car {n}, seat {m}",
    "hotel": "Hotel {last}|the Grand {word}|Pension {last}|the {word} Inn|Hostel {word}|the {word} Palace",
    "watering": "every day|twice a week|on Mondays|every ten days|once a week|every other day|on Sundays|once a month|each evening",
    "habit": "run five kilometers|drink a glass of water|do yoga|walk the dog|read the news|meditate|feed the birds|write in a diary|make tea|swim",
    "goal": "learn Spanish|run a marathon|save 2000 euros|read twelve books|paint the house|stop smoking|finish the thesis|learn to swim|"
            "sleep more|plant a hedge|write a novel|lose five kilos|visit Japan|build a boat|repair the roof|sell the car",
    "zone": "UTC|Europe/Paris|Asia/Tokyo|America/New_York|Central European Time|Pacific Time|Asia/Kolkata|Australia/Sydney|Eastern Time",
    "spot": "on level {n}|in row {A}{n}|behind the {word} cinema|in {last} Street|near gate {n}|in the underground garage, spot {m}|next to the town hall|in lot {A}",
    "instrument": "piano|violin|cello|flute|guitar|drums|trumpet|saxophone|harp|clarinet|accordion|oboe",
    "meal": "breakfast|lunch|dinner",
}
POOL = {k: v.split("|") for k, v in POOL.items()}


class Fact:
    """One fact: `text` as it is kept, `value`, and wordings of it."""

    def __init__(self, facts, relation):
        self.facts, self.relation = facts, relation
        self.subject, self.value = facts.subject(relation), None
        self.value = facts.value(relation, self.subject)
        self.text = self.statement()

    def fill(self, template):
        text = say(self.facts.r, template, s=self.subject, v=self.value)
        if self.subject == "I":
            for wrong, right in (("does I", "do I"), ("did I's", "did my"), ("I's", "my"), ("I is", "I am"), ("I must", "I must"), ("I eats", "I eat"),
                                 ("I follows", "I follow"), ("I gets", "I get"), ("I takes", "I take"), ("I needs", "I need"), ("I has", "I have"),
                                 ("for I", "for me"), ("of I", "of me"), ("give I", "give me"), ("gave I", "gave me"), ("makes I", "makes me"),
                                 ("suit I", "suit me"), ("is I ", "am I "), ("I: ", "me: "), ("does my", "do I")):
                text = text.replace(wrong, right)
        else:
            for wrong, right in ((" am allergic", " is allergic"), (" am ", " is ") if self.relation.name == "diet" else ("", ""),
                                 (" have blood", " has blood"), (" take ", " takes ") if self.relation.name == "medicine" else ("", "")):
                if wrong:
                    text = text.replace(wrong, right)
        return text

    def statement(self, not_like=None):
        options = self.facts.statements(self.relation)
        text = self.fill(self.facts.r.choice(options))
        for _ in range(4):
            if text != not_like:
                break
            text = self.fill(self.facts.r.choice(options))
        return text

    def question(self):
        return self.fill(self.facts.r.choice(self.facts.questions(self.relation)))

    def answer(self):
        """To the person who said it: my becomes your."""
        text = self.fill(self.relation.answer)
        if self.subject == "I":
            text = {"I is allergic": "You are allergic", "I am allergic": "You are allergic"}.get(text[:13], text)
            text = text.replace("I eat ", "You eat ").replace("I take ", "You take ").replace("I have ", "You have ")
        for mine, yours in (("my ", "your "), ("our ", "your "), ("My ", "Your "), ("Our ", "Your ")):
            if text.startswith(mine) or " " + mine in text:
                text = text.replace(mine, yours)
        return text[0].upper() + text[1:]

    def search(self):
        text = self.fill(self.relation.search)
        return text.replace("my ", "").replace("our ", "").replace("I ", "")

    def key(self):
        return (self.relation.name, self.subject)


class Facts:
    def __init__(self, r, heldout=False):
        self.r, self.V, self.heldout = r, Val(r), heldout
        self.cast, self.reuse = {}, 0.0
        self.relations = JUDGED if heldout else [x for x in JUDGED if not x.reserved] + FURTHER

    def statements(self, relation):
        return self.of(relation, relation.statements)

    def questions(self, relation):
        return self.of(relation, relation.questions)

    def of(self, relation, wordings):
        if relation.whole:
            return wordings
        return wordings[-1:] if self.heldout else wordings[:-1]

    def new_cast(self, size, reuse):
        """From now on most facts are about the same `size` subjects of each kind: only the meaning tells such facts apart."""
        self.cast, self.reuse = {}, 0.0
        for relation in self.relations:
            for kind in relation.subjects:
                if kind[:1] == "@":
                    known = self.cast.setdefault(kind, [])
                    while len(known) < size:
                        known.append(self.named(kind))
        self.reuse = reuse

    def subject(self, relation):
        kind = self.r.choice(relation.subjects)
        if kind in self.cast and self.r.random() < self.reuse:
            return self.r.choice(self.cast[kind])
        return self.named(kind)

    def named(self, kind):
        r, V = self.r, self.V
        if kind == "@relative":
            return r.choice(KIN) if r.random() < .4 else V.person()
        if kind == "@child":
            return r.choice(("my son", "my daughter", "my niece", "my nephew", "the little one")) if r.random() < .3 else V.first()
        if kind == "@project":
            name = r.choice((V.word().capitalize(), V.nonce().capitalize(), V.word().capitalize(), V.pick_noun().capitalize()))
            return r.choice((f"the {name} project", f"project {name}", f"the {V.pick_noun()} project", f"the {V.word()} {V.pick_noun()}", f"the {V.pick_noun()} for {V.first()}"))
        if kind == "@meeting":
            return r.choice((f"the {V.word()} meeting", f"the {V.pick_noun()} meeting", f"the party of {V.first()}", f"the {V.pick_noun()} workshop", f"the talk by {V.person()}", f"the {V.word()} course", "the team lunch", "the sprint review"))
        if kind == "@thing":
            return r.choice(THINGS) if r.random() < .6 else r.choice((f"{V.pick_adj()} {r.choice(THINGS)}", f"{V.word()} {r.choice(THINGS)}"))
        if kind == "@server":
            return r.choice((V.t_host()[0], V.t_service()[0], f"the {V.word()} server", f"the {V.pick_noun()} sensor", f"the {V.word()} database"))
        if kind == "@company":
            return V.t_company()[0]
        return "" if kind == "-" else kind

    def value(self, relation, subject):
        r, V, kind = self.r, self.V, relation.value
        if kind[0] == "=":
            return r.choice(kind[1:].split("|"))
        if kind == "favorite":
            options = FAVORITE.get(subject)
            return r.choice(options.split("|")) if options else r.choice((V.t_title()[0], V.word().capitalize() if subject != "city" else r.choice(CITY), V.person()))
        if kind in POOL:
            text = r.choice(POOL[kind])
            if "{" in text:
                text = text.format(last=V.last(), word=V.word().capitalize(), n=r.randint(1, 40), m=r.randint(1, 300), a=r.choice("ABCDEF"), A=r.choice("ABCDEFGH"))
            return text
        if kind == "first":
            return V.first() if r.random() < .7 else V.nonce().capitalize()
        if kind == "daymonth":
            return r.choice((f"{r.randint(1, 28)} {r.choice(MONTHS)}", f"{r.choice(MONTHS)} {r.randint(1, 28)}", f"the {r.randint(4, 20)}th of {r.choice(MONTHS)}"))
        if kind == "date":
            return V.date()[1]
        if kind == "amount":
            n = r.choice((r.randint(1, 99), r.randint(100, 5000), round(r.uniform(1, 900), 2), r.randint(1, 90) * 1000))
            text = f"{n:.2f}" if isinstance(n, float) else str(n)
            return r.choice((f"{text} euros", f"{text} EUR", f"${text}", f"{text} dollars", text, f"{text} pounds"))
        if kind == "moment":
            return r.choice((f"on {V.t_weekday()[0]} at {V.time()[1]}", f"on {r.choice(MONTHS)} {r.randint(1, 28)}", f"at {V.time()[1]}", f"tomorrow at {V.time()[1]}", f"on {V.date()[1]}", f"next {V.t_weekday()[0]}"))
        if kind == "port":
            return str(r.choice((80, 443, 8080, 5432, 22, 3000, 9090, r.randint(1024, 65000))))
        if kind == "smallint":
            return str(r.randint(20, 99))
        if kind == "age":
            return str(r.randint(1, 19))
        if kind == "code":
            return r.choice((V.t_code()[0], V.t_id()[0], V.word() + V.digits(2), V.digits(4), V.t_hash()[0], V.nonce() + V.digits(3)))
        if kind == "task":
            return V.t_task()[0]
        if kind == "path":
            return V.path()
        return str(V.v(kind)[0])

    def draw(self):
        return Fact(self, self.r.choice(self.relations))

    def pair(self):
        """(question or paraphrase, fact as kept)."""
        return self.pair_with_key()[:2]

    def pair_with_key(self):
        """The same, and what it is about: pairs with the same key answer each other's questions."""
        fact = self.draw()
        if self.r.random() < .65:
            other = fact.question()
            if self.r.random() < .25:
                other = fact.search()
            elif self.r.random() < .5:
                other = other[0].upper() + other[1:] + ("?" if self.r.random() < .8 else "")
        else:
            other = fact.statement(fact.text)
        text = fact.text
        if self.r.random() < .4:
            text = text[0].upper() + text[1:]
        if self.r.random() < .3:
            text += "."
        return other, text, " ".join(fact.key())


if __name__ == "__main__":
    for held in (False, True):
        facts = Facts(random.Random(1), held)
        for _ in range(40):
            fact = facts.draw()
            print(fact.text, "|", fact.question(), "|", fact.answer(), "|", fact.search())
        print()
