"""Random values for the generators: names, places, dates, paths, numbers, texts.

`Val(r).v(kind)` gives a pair: the JSON value and how a person may write it in a request ("2026-03-14", "March 14th, 2026").
"""
import datetime
import os
import random
import re

HERE = os.path.dirname(os.path.abspath(__file__))
W = lambda s: s.split()
P = lambda s: [x.strip() for x in s.split("|")]

# ------------------------------------------------------------------------------------------------ value pools
FIRST = W(
    "Maria James Aiko Omar Lena Carlos Priya Tom Nina Ivan Grace Chen Fatima Noah Sofia Liam Emma Raj Yuki Hugo Clara Diego Anna Peter Sara Ali Julia Marco Elena David Zoe Kofi Ines Felix Amara Lucas Mei Oscar Tara Victor Rosa Samir Ella Jonas Leila Max Freya Andre Holly Kenji Olga Ben Naomi Paul Greta Isaac Wanda Theo Bianca Mats Abigail Rudi Celine Farid Heidi Jamal Katya Lars Monique Nadia Otto Pilar Quinn Rebecca Stefan Tamsin Umberto Vera Wilfred Xenia Yara Zane Bob Alice Charlie Dana Erik Mike Susan Karen Steve Linda"
)
LAST = W(
    "Smith Lopez Tanaka Hassan Fischer Rossi Patel Nguyen Kowalski Silva Brown Dubois Andersson Kim Novak Garcia Okafor Ivanov Murphy Schmidt Costa Yilmaz Larsen Moreau Singh Walker Petrov Haddad Jensen Ricci Carter Weber Sato Mendes Olsen Clarke Vargas Popescu Lindgren Baker Acheampong Bergmann Castillo Demir Eriksson Farouk Goldberg Horvat Ishikawa Johansson Keller Lambert Marino Nakamura Oduya Pereira Quigley Romero Santoro Thompson Underwood Vasquez Whitfield Xu Young Zimmermann Hughes Evans Green Adams Turner Collins Morris"
)
CITY = P(
    "Paris|London|Berlin|Tokyo|Madrid|Rome|Oslo|Cairo|Lima|Toronto|New York|San Francisco|Chicago|Boston|Seattle|Austin|Denver|Miami|Lisbon|Vienna|Prague|Warsaw|Athens|Dublin|Helsinki|Stockholm|Copenhagen|Zurich|Geneva|Brussels|Amsterdam|Munich|Hamburg|Milan|Naples|Barcelona|Valencia|Porto|Istanbul|Dubai|Mumbai|Delhi|Bangkok|Singapore|Hanoi|Seoul|Osaka|Kyoto|Beijing|Shanghai|Sydney|Melbourne|Auckland|Nairobi|Lagos|Accra|Cape Town|Bogota|Santiago|Buenos Aires|Mexico City|Montreal|Vancouver|Los Angeles|San Diego|Portland|Dallas|Houston|Atlanta|Philadelphia|Washington|Phoenix|Nashville|Orlando|Reykjavik|Budapest|Krakow|Riga|Tallinn|Vilnius|Sofia|Belgrade|Zagreb|Salzburg|Lyon|Nice|Marseille|Toulouse|Bordeaux|Glasgow|Edinburgh|Manchester|Leeds|Bristol|Cardiff|Belfast|Quito|Havana|Manila|Jakarta|Kuala Lumpur|Perth|Brisbane|Wellington|Casablanca|Tunis|Doha|Riyadh|Tel Aviv|Karachi|Dhaka|Kathmandu|San Jose|Sacramento|Oakland|Santa Cruz|Salt Lake City|Las Vegas|New Orleans|St. Louis|Kansas City|Ulm|Ghent|Bergen|Turku|Graz|Basel|Malaga|Bari|Split|Brno|Cork|Bath|York"
)
COUNTRY = P(
    "France|Germany|Japan|Brazil|Kenya|Canada|Norway|Italy|Spain|India|China|Mexico|Egypt|Sweden|Poland|Turkey|Peru|Chile|Vietnam|Thailand|Greece|Ireland|Portugal|Austria|Switzerland|Belgium|the Netherlands|Denmark|Finland|Iceland|Australia|New Zealand|South Africa|Nigeria|Morocco|Argentina|Colombia|Cuba|Indonesia|the Philippines|South Korea|the United States|the United Kingdom|Ghana|Nepal|Croatia|Hungary|Romania|Ukraine|Estonia"
)
USSTATE = P(
    "California|Texas|New York|Florida|Ohio|Oregon|Nevada|Utah|Maine|Georgia|Alabama|Kansas|Iowa|Vermont|Virginia|Colorado|Arizona|Montana|Alaska|Hawaii|Michigan|Illinois"
)
WORDS = W(
    "apple river stone cloud tiger window garden silver paper ocean mountain bridge candle forest mirror engine pocket ladder violin summer winter harbor signal carpet planet rocket button castle feather island basket copper dragon falcon guitar hammer iguana jacket kettle lemon magnet needle orange pepper quartz ribbon saddle tunnel umbrella velvet walnut yellow zebra anchor breeze cactus desert ember fabric glacier hollow indigo jungle kernel lantern meadow nectar orchid pebble quiver raven sunset thunder urban valley whisper yonder zephyr alpha beta gamma delta echo vertex lambda orbit photon neuron matrix vector tensor serene gloomy abundant brittle concise dormant eager frugal gentle hasty idle jovial keen lucid modest novel obscure placid quaint robust subtle tidy vivid wary zealous"
)
ADJ = W(
    "new old urgent quick final weekly monthly annual internal secret draft shared public blue red green small large bright dark early late quiet happy simple smart active spare frozen broken missing main local remote daily"
)
NOUN = W(
    "report meeting budget project plan review launch party dinner update release roadmap contract survey invoice workshop training server printer database backup laptop website campaign newsletter interview checklist schedule sprint demo proposal audit inventory shipment holiday birthday garden kitchen recipe book car bike trip concert camera sensor robot battery login payment password network error bug test"
)
FOODS = P(
    "pizza|sushi|green curry|lasagna|pancakes|tomato soup|caesar salad|chicken tikka|falafel wrap|beef stew|apple pie|ramen|paella|burrito|cheesecake|lentil dahl|mushroom risotto|fish tacos|club sandwich|banana bread|oatmeal|wireless mouse|USB-C cable|standing desk|desk lamp|water bottle|running shoes|leather wallet|coffee grinder|yoga mat|rain jacket|phone case|garden hose|notebook|backpack|headphones|office chair|blue pen|tea kettle|wool scarf"
)
TOPICS = P(
    "solar panels|electric cars|black holes|jazz history|the Roman Empire|vertical gardening|machine learning|volcanoes|the French Revolution|climate change|bee keeping|sourdough bread|quantum computing|renewable energy|the moon landing|ancient Egypt|coral reefs|urban planning|the gold rush|football transfers|interest rates|cheap flights|space telescopes|vitamin D|home insulation|chess openings|the stock market|remote work|Antarctica|data privacy|tenant rights|maternity leave|copyright|speed limits|noise complaints|wine making|the silk road|Mozart|the printing press|dinosaurs|wind turbines|battery recycling|Lua coroutines|C compilers|SQLite indexes|DGX Spark|FP8 quantization|open source licences"
)
SENT = P(
    "The shipment will arrive on Monday|I will be ten minutes late|Please bring the documents|Thanks for your help yesterday|The server is back online|Can we move the call to Friday|Dinner is ready|The new version is much faster|Don't forget the tickets|I really enjoyed the concert|The room is too small for the group|We need two more chairs|Happy birthday to you|The train was cancelled|See you at the station|The report is finished|This product broke after two days|The food was excellent and the staff was friendly|Our flight leaves at noon|The build failed on the main branch|Good morning everyone|The meeting notes are attached|I lost my keys again|The weather is lovely today|The cat sleeps on the sofa|Where is the nearest pharmacy|The results look promising|Everything works as expected|The contract must be signed this week|Please water the plants|The budget was approved|Sales went up by ten percent|The library closes early on Sunday|Call me when you are home|The printer is out of paper"
)
TASKS = P(
    "call the dentist|buy milk|water the plants|pay the rent|submit the report|pick up the kids|take out the trash|feed the cat|renew my passport|book the flights|check the oven|stretch my legs|send the invoice|back up the laptop|prepare the slides|reply to {n}|meet {n}|call {n}|order new filters|clean the kitchen|return the library books|charge the battery|review the pull request|wash the car|cancel the gym membership|update the server"
)
JOBS = P(
    "nurse|software engineer|data analyst|teacher|plumber|electrician|graphic designer|project manager|chef|accountant|translator|lawyer|web developer|mechanic|pharmacist|architect"
)
UNITS = P(
    "kilometers|miles|meters|feet|inches|centimeters|kilograms|pounds|ounces|grams|liters|gallons|celsius|fahrenheit|hours|minutes|seconds|joules|calories|watts|knots|acres|hectares|bytes|megabytes"
)
LANGS = P(
    "French|German|Spanish|Italian|Japanese|Portuguese|Dutch|Polish|Turkish|Korean|Swedish|Greek|Arabic|Hindi|Chinese|Russian|Czech|Finnish|English"
)
CURS = W("USD EUR GBP JPY CHF CAD AUD SEK NOK DKK PLN CZK INR BRL MXN ZAR SGD NZD KRW TRY")
COLORS = W("red blue green yellow white purple orange pink warm cyan amber teal")
ROOMS = P("living room|kitchen|bedroom|bathroom|office|garage|hallway|basement|dining room|attic|studio|nursery")
TEAMS = P(
    "Lakers|Arsenal|Real Madrid|Bayern Munich|Red Sox|Chelsea|Juventus|Warriors|Ajax|Celtics|Yankees|Liverpool|Bulls|Inter Milan|Packers|Benfica|Raptors|Dodgers"
)
DOMS = W(
    "example.com acme.io mail.net zenmail.org corp.co lumina.dev openlab.org brightfox.com nordsee.de univ.edu shopster.net cloudy.app farm.local test.io"
)
SVC = W(
    "auth billing search api-gateway payments notifier web frontend worker cache indexer mailer scheduler ingest metrics-db nginx postgres redis llm-server"
)
ELEM = W("iron gold helium carbon oxygen copper zinc silver neon uranium sodium calcium lead titanium nickel")
PLANTS = P("monstera|basil|rose|cactus|fern|orchid|tomato plant|lavender|bonsai|snake plant|olive tree|hydrangea")
ANIMALS = P("otter|eagle|gorilla|dolphin|wolf|panther|salmon|koala|hedgehog|turtle|lynx|penguin|octopus|bison")
MEDS = W("ibuprofen metformin amoxicillin aspirin vitaminD lisinopril omeprazole cetirizine paracetamol")
EXT = W("txt md csv json log py lua c html yaml xml pdf docx ini conf sql")
SYL = W(
    "zor vik lun pra dex mul tor qui fen bal gri os tan wex nol hiv ram plu sef dor kip jut ash bev cor dul eno fra gam hes iro jel kor lim mav nib orp pel ras sut tem ulf vos wim xen yad zil"
)
MONTHS = W("January February March April May June July August September October November December")
NUMW = W("zero one two three four five six seven eight nine ten eleven twelve")


MORE_WORDS, MORE_SENTENCES = [], []


def load_words(folder):
    """Reads words.txt and sentences.txt (one a line) where run.sh has made them."""
    for name, pool in (("words.txt", MORE_WORDS), ("sentences.txt", MORE_SENTENCES)):
        path = os.path.join(folder, name)
        if os.path.exists(path) and not pool:
            with open(path) as file:
                pool.extend(file.read().split("\n"))


class Val:
    """Random values: v(type) -> (json value, text used in the request)."""

    def __init__(s, r):
        s.r = r

    def pick(s, l):
        return l[int(s.r.random() * len(l))]

    def word(s):
        """A word: of the short list, or of the many that run.sh takes from the public texts."""
        return s.pick(WORDS) if s.r.random() < 0.4 or not MORE_WORDS else s.pick(MORE_WORDS)

    def first(s):
        return s.pick(FIRST) if s.r.random() < 0.75 else s.nonce().capitalize()

    def last(s):
        return s.pick(LAST) if s.r.random() < 0.7 else s.nonce().capitalize()

    def pick_noun(s):
        return s.pick(NOUN)

    def pick_adj(s):
        return s.pick(ADJ)

    def person(s):
        f = s.first()
        return f if s.r.random() < 0.25 else f + " " + s.last()

    def sentence(s):
        """A sentence: of the public texts when there are some."""
        return s.pick(MORE_SENTENCES) if MORE_SENTENCES and s.r.random() < 0.7 else s.pick(SENT)

    def nonce(s, n=None):
        return "".join(s.pick(SYL) for _ in range(n or s.r.randint(2, 3)))

    def hexs(s, n):
        return "".join(s.pick("0123456789abcdef") for _ in range(n))

    def digits(s, n):
        return str(s.r.randint(1, 9)) + "".join(s.pick("0123456789") for _ in range(n - 1))

    def fname(s):
        r = s.r
        b = s.pick(
            [
                s.word,
                lambda: s.pick(NOUN),
                lambda: s.pick(ADJ) + "_" + s.pick(NOUN),
                lambda: s.pick(NOUN) + "-" + s.digits(4),
                s.nonce,
                lambda: s.pick(NOUN) + str(r.randint(1, 99)),
            ]
        )()
        return b + "." + s.pick(EXT)

    def dir_(s):
        k = s.r.randint(1, 3)
        b = "/".join(
            s.pick(
                [
                    s.word(),
                    s.pick(NOUN),
                    s.pick(W("docs src data home var tmp logs projects config assets notes photos backup")),
                ]
            )
            for _ in range(k)
        )
        return s.pick(["/", "", "./", "~/", "/home/" + s.pick(FIRST).lower() + "/", "/var/", "/data/"]) + b

    def path(s):
        return s.fname() if s.r.random() < 0.4 else s.dir_() + "/" + s.fname()

    def phrase(s):
        x = s.r.random()
        if x < 0.3:
            return s.pick(ADJ) + " " + s.pick(NOUN)
        if x < 0.5:
            return s.pick(NOUN) + " " + s.pick(NOUN)
        if x < 0.65:
            return s.pick(NOUN).capitalize() + " with " + s.pick(FIRST)
        if x < 0.8:
            return s.pick(ADJ).capitalize() + " " + s.pick(NOUN) + " for " + s.pick(CITY)
        if x < 0.9:
            return s.word() + " " + s.pick(NOUN)
        return s.pick(NOUN).capitalize() + " " + str(s.r.randint(1, 99))

    def text(s):
        x = s.r.random()
        if x < 0.45:
            return s.sentence()
        if x < 0.55:
            return s.sentence() + ". " + s.sentence()
        if x < 0.75:
            return f"The {s.pick(NOUN)} for {s.person()} is {s.pick(ADJ)}"
        if x < 0.9:
            return f"{s.person()} will {s.pick(TASKS).format(n=s.pick(FIRST))} {s.pick(['tomorrow', 'on Monday', 'next week', 'at noon', 'tonight'])}"
        return " ".join(s.word() for _ in range(s.r.randint(3, 7)))

    def date(s):
        r = s.r
        d = datetime.date(r.randint(2021, 2027), 1, 1) + datetime.timedelta(days=r.randint(0, 364))
        iso = d.isoformat()
        m = MONTHS[d.month - 1]
        suf = "th" if 10 < d.day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(d.day % 10, "th")
        return iso, s.pick(
            [
                iso,
                iso,
                f"{m} {d.day}, {d.year}",
                f"{d.day} {m} {d.year}",
                f"{m} {d.day}{suf}, {d.year}",
                f"{m} {d.day}{suf} {d.year}",
                f"the {d.day}{suf} of {m} {d.year}",
                f"{m[:3]} {d.day} {d.year}",
            ]
        )

    def time(s):
        h, m = s.r.randint(0, 23), s.pick([0, 0, 15, 30, 45, s.r.randint(0, 59)])
        v = f"{h:02d}:{m:02d}"
        ap = "am" if h < 12 else "pm"
        h12 = h % 12 or 12
        return v, s.pick(
            [
                v,
                v,
                f"{h12}:{m:02d} {ap}",
                f"{h12}{ap}" if m == 0 else f"{h12}:{m:02d}{ap}",
                f"{h12} {ap.upper()}" if m == 0 else v,
            ]
        )

    def numtxt(s, v):
        r = s.r.random()
        if isinstance(v, int) and 0 <= v <= 12 and r < 0.2:
            return NUMW[v]
        if v >= 1000 and r < 0.4:
            return f"{v:,}"
        if v >= 1000 and isinstance(v, int) and v % 1000 == 0 and r < 0.55:
            return f"{v // 1000}k"
        return str(v)

    def ptime(s):
        return None

    def seq(s, l, conj="and"):
        l = [str(x) for x in l]
        if len(l) < 2:
            return l[0] if l else "nothing"
        return s.pick([", ".join(l), ", ".join(l[:-1]) + f" {conj} " + l[-1], ", ".join(l[:-1]) + f" {conj} " + l[-1]])

    def v(s, t):
        r = s.r
        if t.startswith("int("):
            a, b = map(int, t[4:-1].split(","))
            v = r.randint(a, b)
            return v, s.numtxt(v)
        if t.startswith("enum("):
            v = s.pick(t[5:-1].split(","))
            return v, v
        f = getattr(s, "t_" + t, None)
        if f:
            return f()
        raise KeyError(t)

    def _s(v):
        return v, v

    def t_num(s):
        r = s.r
        v = s.pick(
            [
                lambda: r.randint(1, 20),
                lambda: r.randint(2, 100),
                lambda: r.randint(100, 5000),
                lambda: round(r.uniform(0.1, 20), 1),
                lambda: round(r.uniform(1, 200), 2),
            ]
        )()
        return v, s.numtxt(v)

    def t_money(s):
        r = s.r
        v = s.pick(
            [
                lambda: r.randint(1, 500),
                lambda: r.randint(1, 50) * 10,
                lambda: round(r.uniform(1, 900), 2),
                lambda: r.randint(1, 60) * 100,
            ]
        )()
        return v, s.pick(["", "", "$"]) + s.numtxt(v)

    def t_bigmoney(s):
        v = s.r.randint(1, 900) * s.pick([100, 1000, 1000, 5000])
        return v, s.pick(["", "", "$"]) + s.numtxt(v)

    def t_rate(s):
        v = round(s.r.uniform(0.01, 1.5), s.pick([2, 2, 3]))
        return v, str(v)

    def t_pct(s):
        v = s.pick([s.r.randint(1, 30), round(s.r.uniform(0.5, 25), 1)])
        return v, str(v)

    def t_pctint(s):
        v = s.r.randint(1, 99)
        return v, str(v)

    def t_rating(s):
        v = round(s.r.uniform(1, 10), 1)
        return v, str(v)

    def t_temp(s):
        v = s.r.randint(-15, 39)
        return v, str(v)

    def t_cond(s):
        v = s.pick(P("sunny|cloudy|light rain|heavy rain|clear sky|snow|thunderstorms|foggy|windy|partly cloudy"))
        return v, v

    def t_coord(s):
        v = round(s.r.uniform(-90, 90), s.pick([2, 4]))
        return v, str(v)

    def t_year(s):
        v = s.r.randint(1800, 2027)
        return v, str(v)

    def t_bool(s):
        v = s.r.random() < 0.5
        return v, "yes" if v else "no"

    def t_city(s):
        v = s.pick(CITY)
        return v, v

    def t_country(s):
        v = s.pick(COUNTRY)
        return v.replace("the ", ""), v

    def t_usstate(s):
        v = s.pick(USSTATE)
        return v, v

    def t_place(s):
        v = s.pick(
            [
                lambda: s.pick(CITY),
                lambda: s.pick(CITY) + " airport",
                lambda: s.address(),
                lambda: s.pick(CITY) + " Central Station",
                lambda: "the " + s.pick(NOUN) + " museum",
            ]
        )()
        return v, v

    def address(s):
        return f"{s.r.randint(1, 990)} {s.pick([s.word().capitalize(), s.pick(LAST)])} {s.pick(W('Street Avenue Road Lane Boulevard Square'))}"

    def t_address(s):
        v = s.address() + (", " + s.pick(CITY) if s.r.random() < 0.3 else "")
        return v, v

    def t_venue(s):
        v = s.pick(
            [
                lambda: "room " + str(s.r.randint(1, 400)),
                lambda: "Cafe " + s.word().capitalize(),
                lambda: s.pick(CITY) + " office",
                lambda: s.word().capitalize() + " Hall",
            ]
        )()
        return v, v

    def t_room(s):
        v = s.pick(ROOMS)
        return v, v

    def t_color(s):
        v = s.pick(COLORS)
        return v, v

    def t_person(s):
        v = s.person()
        return v, v

    def t_username(s):
        v = s.pick(
            [
                s.pick(FIRST).lower() + str(s.r.randint(1, 99)),
                s.nonce(),
                s.pick(FIRST)[0].lower() + s.pick(LAST).lower(),
            ]
        )
        return v, v

    def t_email(s):
        v = (
            s.pick(
                [
                    s.pick(FIRST).lower(),
                    s.pick(FIRST).lower() + "." + s.pick(LAST).lower(),
                    s.pick(WORDS) + str(s.r.randint(1, 99)),
                    "support",
                    "info",
                ]
            )
            + "@"
            + s.pick(DOMS)
        )
        return v, v

    def t_phone(s):
        v = s.pick(
            [
                f"+{s.r.randint(1, 99)} {s.digits(3)} {s.digits(4)}",
                f"{s.digits(3)}-{s.digits(3)}-{s.digits(4)}",
                f"555-{s.digits(4)}",
                "+" + s.digits(11),
            ]
        )
        return v, v

    def t_channel(s):
        v = "#" + s.pick([s.pick(NOUN), s.word(), "general", "dev-" + s.word()])
        return v, v

    def t_company(s):
        v = s.pick(
            [
                s.pick(LAST) + " " + s.pick(W("Ltd Inc GmbH Group Partners")),
                s.word().capitalize() + s.pick([" Labs", " Foods", " Systems", " & Co", " Media", ""]),
                "The " + s.pick(ADJ).capitalize() + " " + s.word().capitalize(),
            ]
        )
        return v, v

    def t_team(s):
        v = s.pick(TEAMS)
        return v, v

    def t_title(s):
        v = s.pick(
            [
                "The " + s.pick(ADJ).capitalize() + " " + s.word().capitalize(),
                s.word().capitalize() + " of " + s.pick(CITY),
                s.word().capitalize(),
                s.word().capitalize() + " and " + s.word().capitalize(),
                "Midnight " + s.word().capitalize(),
            ]
        )
        return v, v

    def t_product(s):
        v = s.pick(FOODS)
        return v, v

    def t_topic(s):
        v = s.pick(TOPICS) if s.r.random() < 0.7 else s.phrase()
        return v, v

    def t_phrase(s):
        v = s.phrase()
        return v, v

    def t_text(s):
        v = s.text()
        return v, v

    def t_task(s):
        v = s.pick(TASKS).format(n=s.pick(FIRST))
        return v, v

    def t_word(s):
        v = s.word()
        return v, v

    def t_lang(s):
        v = s.pick(LANGS)
        return v, v

    def t_cur(s):
        v = s.pick(CURS)
        return v, v

    def t_ticker(s):
        v = (
            s.pick(W("AAPL MSFT NVDA TSLA AMZN GOOG IBM ORCL INTC AMD NFLX DIS KO PEP BA GE F T"))
            if s.r.random() < 0.6
            else "".join(s.pick("ABCDEFGHIKLMNOPRSTUVWXZ") for _ in range(s.r.randint(3, 4)))
        )
        return v, v

    def t_id(s):
        v = s.pick(
            [
                lambda: s.digits(s.r.randint(3, 8)),
                lambda: s.pick(W("ORD TX PAY INV USR CUST")) + "-" + s.digits(s.r.randint(3, 6)),
                lambda: s.hexs(8),
                lambda: s.pick("abcdefgh") + s.digits(5),
            ]
        )()
        return v, v

    def t_code(s):
        v = s.pick(
            [
                lambda: "".join(s.pick("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(s.r.randint(2, 4)))
                + s.pick(["-", ""])
                + s.digits(s.r.randint(2, 6)),
                lambda: s.digits(2) + "-" + s.digits(4),
                lambda: s.hexs(6).upper(),
            ]
        )()
        return v, v

    def t_coupon(s):
        v = s.word().upper() + str(s.r.randint(5, 50))
        return v, v

    def t_hash(s):
        v = s.hexs(s.r.randint(7, 12))
        return v, v

    def t_url(s):
        v = (
            s.pick(["https://", "https://", "http://", "https://www."])
            + s.pick([s.pick(DOMS), s.word() + ".com", s.nonce() + ".org"])
            + s.pick(
                [
                    "",
                    "/" + s.word(),
                    "/" + s.pick(NOUN) + "/" + s.digits(3),
                    "/" + s.fname(),
                    "/api/" + s.pick(NOUN) + "s",
                ]
            )
        )
        return v, v

    def t_domain(s):
        v = s.pick([s.pick(DOMS), s.word() + ".com", s.nonce() + ".net"])
        return v, v

    def t_ip(s):
        v = ".".join(str(s.r.randint(1, 254)) for _ in range(4))
        return v, v

    def t_host(s):
        v = s.pick(
            [
                s.pick(SVC) + "-" + str(s.r.randint(1, 20)),
                s.word() + ".local",
                s.nonce(),
                "10.0." + str(s.r.randint(0, 255)) + "." + str(s.r.randint(1, 254)),
            ]
        )
        return v, v

    def t_service(s):
        v = s.pick(SVC)
        return v, v

    def t_version(s):
        v = s.pick(["v", ""]) + f"{s.r.randint(0, 9)}.{s.r.randint(0, 20)}.{s.r.randint(0, 9)}"
        return v, v

    def t_branch(s):
        v = s.pick(
            ["feature/" + s.word(), "fix-" + s.pick(NOUN), "main", "develop", "release-" + str(s.r.randint(1, 30))]
        )
        return v, v

    def t_path(s):
        v = s.path()
        return v, v

    def t_dir(s):
        v = s.dir_()
        return v, v

    def t_imgpath(s):
        v = s.pick([s.word(), s.dir_() + "/" + s.pick(NOUN)]) + "." + s.pick(W("png jpg webp gif"))
        return v, v

    def t_archive(s):
        v = s.pick(NOUN) + s.pick([".zip", ".tar.gz", "-" + s.digits(4) + ".zip"])
        return v, v

    def t_score(s):
        v = f"{s.r.randint(0, 120)}-{s.r.randint(0, 120)}"
        return v, v

    def t_job(s):
        v = s.pick(JOBS)
        return v, v

    def t_unit(s):
        v = s.pick(UNITS)
        return v, v

    def t_element(s):
        v = s.pick(ELEM)
        return v, v

    def t_plant(s):
        v = s.pick(PLANTS)
        return v, v

    def t_animal(s):
        v = s.pick(ANIMALS)
        return v, v

    def t_medicine(s):
        v = s.pick(MEDS)
        return v, v

    def t_weekday(s):
        v = s.pick(W("Monday Tuesday Wednesday Thursday Friday Saturday Sunday"))
        return v, v

    def t_dna(s):
        v = "".join(s.pick("ACGT") for _ in range(s.r.randint(8, 24)))
        return v, v

    def t_move(s):
        v = s.pick(["e4", "Nf3", "d4", "Bb5", "O-O", "Qxd5", "c5", "Rfe1", "exd4", "Nc6"])
        return v, v

    def t_date(s):
        return s.date()

    def t_time(s):
        return s.time()

    def t_nums(s):
        r = s.r
        n = r.randint(2, 7)
        v = [r.randint(1, 100) if r.random() < 0.75 else round(r.uniform(0, 50), 1) for _ in range(n)]
        return v, s.pick([s.seq(v), s.seq(v), "[" + ", ".join(map(str, v)) + "]", " ".join(map(str, v))])

    def t_words(s):
        v = s.r.sample(WORDS, s.r.randint(2, 5))
        return v, s.pick([s.seq(v), s.seq(v), str(v).replace("'", '"')])

    def t_phrases(s):
        v = [s.phrase() for _ in range(s.r.randint(2, 4))]
        return v, s.seq(v)


JT = {
    "num": "number",
    "money": "number",
    "bigmoney": "number",
    "rate": "number",
    "pct": "number",
    "pctint": "integer",
    "coord": "number",
    "year": "integer",
    "bool": "boolean",
    "rating": "number",
    "temp": "integer",
}


def schema_type(t, r):
    if t.startswith("int("):
        return {"type": "integer" if r.random() < 0.8 else "number"}
    if t.startswith("enum("):
        return {"type": "string", "enum": t[5:-1].split(",")}
    if t == "nums":
        return {"type": "array", "items": {"type": "number"}}
    if t in ("words", "phrases"):
        return {"type": "array", "items": {"type": "string"}}
    return {"type": JT.get(t, "string")}



SYS = [
    "You are a helpful assistant.",
    "You are a helpful assistant with access to tools.",
    "You are an agent running on a local machine. Use the tools when they help, and answer briefly.",
    "You are a local AI agent. Call a tool when you need one; otherwise answer directly.",
    "You are a concise assistant.",
    "Use the available tools to fulfil the user's request. If no tool fits, say so.",
    "You are an offline agent. Never invent tool names. Answer in plain English after you have the tool result.",
    "You are Spark, a helpful agent.",
    "Answer the user's question with the help of the functions below.",
    "You are an expert in calling functions. Given a question and a set of possible functions, make a function call to achieve the purpose. If none of the functions can be used, point it out.",
]
