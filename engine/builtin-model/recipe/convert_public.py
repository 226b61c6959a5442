#!/usr/bin/env python3
"""Converts public, redistributable data sets (bare git mirrors in a folder) to the formats that public.py reads.

Outputs (gzip'd JSON lines):
  public_dialogs.jsonl.gz  {"src","tools":[{name,description,parameters}],"messages":[...]}  tool-calling dialogues
  public_chat.jsonl.gz     {"src","messages":[...]}                                       plain chat / Q&A
  public_text.jsonl.gz     {"src","text"}                                                 running text
  sgd_test.jsonl.gz        held-out SGD dialogues (services of the *test* split that never occur in train)
  bfcl.json                BFCL 'simple_python' + 'multiple' (EVALUATION ONLY, never trained on)
Usage: convert_public.py MIRROR_DIR OUT_DIR
Provenance and licences: ../MODEL.md.
"""

import sys, json, gzip, subprocess, random, re, collections

MIR, OUT = sys.argv[1], sys.argv[2]
R = random.Random(7)


def sh(repo, *a):
    return subprocess.run(["git", "-C", f"{MIR}/{repo}/repo", *a], capture_output=True).stdout


def show(repo, path):
    return sh(repo, "show", f"HEAD:{path}").decode("utf-8", "replace")


def ls(repo):
    out = []
    for l in (
        sh(repo, "-c", "core.quotepath=off", "ls-tree", "-r", "-l", "HEAD").decode("utf-8", "replace").splitlines()
    ):
        meta, path = l.split("\t", 1)
        size = meta.split()[3]
        if size.isdigit():
            out.append((path, int(size)))
    return out


dialogs, chats, texts, sgd_test = [], [], [], []

# ---------------------------------------------------------------- SGD (CC BY-SA 4.0)
SGD = "google-research-datasets+dstc8-schema-guided-dialogue"


def intent_tool(svc, it):
    slots = {s["name"]: s for s in svc["slots"]}
    props, req = {}, []
    for n in list(it["required_slots"]) + list(it["optional_slots"]):
        s = slots[n]
        pv = s["possible_values"]
        d = {"type": "string", "description": s["description"]}
        if s["is_categorical"] and set(pv) <= {"True", "False"}:
            d["type"] = "boolean"
        elif s["is_categorical"] and pv and all(v.isdigit() for v in pv):
            d["type"] = "integer"
        elif s["is_categorical"] and pv:
            d["enum"] = pv
        if n in it["optional_slots"]:
            dv = it["optional_slots"][n]
            if dv not in ("dontcare", ""):
                d["default"] = conv(dv, d)
        props[n] = d
        if n in it["required_slots"]:
            req.append(n)
    return {
        "name": it["name"],
        "description": it["description"],
        "parameters": {"type": "object", "properties": props, "required": req},
    }


def conv(v, d):
    if d["type"] == "boolean":
        return v == "True" if v in ("True", "False") else v
    if d["type"] == "integer":
        return int(v) if str(v).isdigit() else v
    return v


def snake(n):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", n).lower()


def sgd(split, allsvc, keep):
    svcs = {s["service_name"]: s for s in json.loads(show(SGD, f"{split}/schema.json"))}
    allsvc.update(svcs)
    out = []
    for p, _ in ls(SGD):
        if not re.match(rf"{split}/dialogues_\d+\.json", p):
            continue
        try:
            ds = json.loads(show(SGD, p))
        except Exception:
            continue
        for d in ds:
            if not keep(d):
                continue
            tools, tmap = [], {}
            for sn in d["services"]:
                for it in svcs[sn]["intents"]:
                    t = intent_tool(svcs[sn], it)
                    if t["name"] in tmap:
                        continue
                    tmap[t["name"]] = t
                    tools.append(t)
            others = [s for s in svcs if s not in d["services"]]
            for sn in R.sample(others, min(len(others), R.choice([0, 0, 1, 1, 2]))):
                for it in svcs[sn]["intents"]:
                    if it["name"] not in tmap and R.random() < 0.7:
                        t = intent_tool(svcs[sn], it)
                        tmap[t["name"]] = t
                        tools.append(t)
            R.shuffle(tools)
            if len(tools) > 7:
                used = {f["service_call"]["method"] for t in d["turns"] for f in t["frames"] if "service_call" in f}
                tools = [t for t in tools if t["name"] in used] + [t for t in tools if t["name"] not in used][
                    : max(0, 7 - len(used))
                ]
                R.shuffle(tools)
            names = {t["name"]: t for t in tools}
            msgs, last = [], None
            for t in d["turns"]:
                if t["speaker"] == "USER":
                    msgs.append({"role": "user", "content": t["utterance"]})
                    continue
                for f in t["frames"]:
                    c = f.get("service_call")
                    if c and c["method"] in names:
                        key = json.dumps(c, sort_keys=True)
                        if key == last:
                            continue  # paging through the same result list: no new call
                        last = key
                        pr = names[c["method"]]["parameters"]["properties"]
                        args = {
                            k: conv(c["parameters"][k], pr[k])
                            for k in pr
                            if k in c["parameters"] and c["parameters"][k] != "dontcare"
                        }
                        res = f.get("service_results", [])
                        acts = {a["slot"]: (a.get("values") or [None])[0] for a in f["actions"]}
                        # keep the offered result first, at most 2 rows
                        res = sorted(res, key=lambda r: -sum(str(v) in map(str, acts.values()) for v in r.values()))[
                            : R.choice([1, 1, 2, 2, 3])
                        ]
                        msgs.append({"role": "assistant", "call": {"name": c["method"], "arguments": args}})
                        msgs.append({"role": "tool", "content": json.dumps(res, ensure_ascii=False)})
                msgs.append({"role": "assistant", "content": t["utterance"]})
            out.append(
                {
                    "src": "sgd",
                    "sys": "Today is Friday, March 1, 2019.",
                    "tools": tools,
                    "messages": msgs,
                    "services": d["services"],
                }
            )
    return out


svc = {}
train = sgd("train", svc, lambda d: True)
seen = {s for d in train for s in d["services"]}
dev = sgd("dev", {}, lambda d: True)
seen |= {s for d in dev for s in d["services"]}
sgd_test = sgd("test", {}, lambda d: all(s not in seen for s in d["services"]))
dialogs += train + dev
print("sgd", len(train), len(dev), "held-out", len(sgd_test), file=sys.stderr)

# ---------------------------------------------------------------- Glaive demo in LLaMA-Factory (Apache-2.0)
for ex in json.loads(show("hiyouga+LLaMA-Factory", "data/glaive_toolcall_en_demo.json")):
    try:
        tools = json.loads(ex["tools"]) if ex.get("tools") else []
    except Exception:
        continue
    msgs = []
    for m in ex["conversations"]:
        f, v = m["from"], m["value"]
        if f == "human":
            msgs.append({"role": "user", "content": v})
        elif f == "gpt":
            msgs.append({"role": "assistant", "content": v})
        elif f == "function_call":
            c = json.loads(v)
            msgs.append({"role": "assistant", "call": {"name": c["name"], "arguments": c["arguments"]}})
        elif f == "observation":
            msgs.append({"role": "tool", "content": v})
    dialogs += [{"src": "glaive", "tools": tools, "messages": msgs}] * 2

# ---------------------------------------------------------------- GSM8K (MIT): calculator chains
calc = {
    "name": "calculator",
    "description": "Evaluate an arithmetic expression and return the result.",
    "parameters": {
        "type": "object",
        "properties": {"expression": {"type": "string", "description": "The expression, e.g. 2*(3+4)"}},
        "required": ["expression"],
    },
}
for l in show("openai+grade-school-math", "grade_school_math/data/train.jsonl").splitlines():
    ex = json.loads(l)
    body, fin = ex["answer"].split("####")
    steps = re.findall(r"<<([^=<>]+)=([^<>]+)>>", body)
    if not steps or len(steps) > 5:
        continue
    msgs = [{"role": "user", "content": ex["question"]}]
    for e, r in steps:
        msgs.append({"role": "assistant", "call": {"name": "calculator", "arguments": {"expression": e.strip()}}})
        msgs.append({"role": "tool", "content": r.strip()})
    expl = re.sub(r"<<[^<>]*>>", "", body).strip()
    msgs.append(
        {"role": "assistant", "content": (expl + "\n" if R.random() < 0.5 else "") + f"The answer is {fin.strip()}."}
    )
    dialogs.append({"src": "gsm8k", "tools": [calc], "messages": msgs})
    if R.random() < 0.6:
        chats.append(
            {
                "src": "gsm8k",
                "messages": [
                    {"role": "user", "content": ex["question"]},
                    {"role": "assistant", "content": expl + f"\nThe answer is {fin.strip()}."},
                ],
            }
        )

# ---------------------------------------------------------------- nl2bash (MIT/GPL tools, data MIT) and tldr pages (CC BY 4.0): shell tool
shell_desc = [
    "Run a shell command and return its output.",
    "Execute a command in the system shell.",
    "Run a bash command line.",
    "Executes a shell command and returns stdout.",
]


def shell_tool():
    n = R.choice(["shell", "run_command", "bash", "execute_command", "run_shell", "terminal", "exec"])
    a = R.choice(["command", "cmd", "command", "command_line", "script"])
    return {
        "name": n,
        "description": R.choice(shell_desc),
        "parameters": {
            "type": "object",
            "properties": {
                a: {
                    "type": "string",
                    "description": R.choice(
                        ["The command to run", "Shell command line", "The shell command to execute"]
                    ),
                }
            },
            "required": [a],
        },
    }, a


def shell_dialog(src, nl, cmd):
    t, a = shell_tool()
    nl = nl.strip().rstrip(".")
    u = R.choice(
        ["{}", "{}.", "Please {}", "Can you {}?", "Run a command to {}", "In the shell: {}", "Use the shell to {}"]
    ).format(nl[0].lower() + nl[1:] if R.random() < 0.6 else nl)
    return {
        "src": src,
        "tools": [t],
        "messages": [
            {"role": "user", "content": u},
            {"role": "assistant", "call": {"name": t["name"], "arguments": {a: cmd}}},
        ],
        "open": True,
    }


nl = show("TellinaTool+nl2bash", "data/bash/all.nl").splitlines()
cm = show("TellinaTool+nl2bash", "data/bash/all.cm").splitlines()
for a, b in zip(nl, cm):
    if 0 < len(b) < 160 and a.strip():
        dialogs.append(shell_dialog("nl2bash", a, b.strip()))
arch = sh("tldr-pages+tldr", "archive", "--format=tar", "HEAD", "pages/common", "pages/linux")
import tarfile, io

tf = tarfile.open(fileobj=io.BytesIO(arch))
for m in tf:
    if not m.isfile():
        continue
    s = tf.extractfile(m).read().decode("utf-8", "replace")
    texts.append({"src": "tldr", "text": s})
    for d, c in re.findall(r"^- (.+?):\s*\n\s*\n`(.+?)`", s, re.M):
        c = re.sub(r"\{\{\[?(.*?)\]?\}\}", lambda k: k.group(1).split("|")[-1], c)
        if len(c) < 120 and R.random() < 0.35:
            dialogs.append(shell_dialog("tldr", re.sub(r"\[|\]", "", d), c))

# ---------------------------------------------------------------- snips nlu-benchmark (CC0): intents with slots -> tool calls
INT = {
    "BookRestaurant": "Book a table at a restaurant",
    "AddToPlaylist": "Add a song or artist to a playlist",
    "GetWeather": "Get the weather forecast",
    "PlayMusic": "Play music",
    "RateBook": "Rate a book",
    "SearchScreeningEvent": "Search for movie screenings",
    "SearchCreativeWork": "Search for a creative work such as a book, song or show",
}
raw, slots = {}, collections.defaultdict(set)
for it in INT:
    try:
        rows = json.loads(
            show("sonos+nlu-benchmark", f"2017-06-custom-intent-engines/{it}/train_{it}_full.json")
            .encode("utf-8", "replace")
            .decode()
        )[it]
    except Exception as e:
        print("snips", it, e, file=sys.stderr)
        continue
    raw[it] = rows
    for r in rows:
        for p in r["data"]:
            if "entity" in p:
                slots[it].add(p["entity"])


def snips_tool(it):
    props = {s: {"type": "string", "description": s.replace("_", " ").capitalize()} for s in sorted(slots[it])}
    return {
        "name": snake(it),
        "description": INT[it],
        "parameters": {"type": "object", "properties": props, "required": []},
    }


for it, rows in raw.items():
    for r in rows:
        u = "".join(p["text"] for p in r["data"]).strip()
        args = {}
        for p in r["data"]:
            if "entity" in p and p["entity"] not in args:
                args[p["entity"]] = p["text"].strip()
        if "\ufffd" in u:
            continue
        tools = [snips_tool(it)] + [
            snips_tool(o) for o in R.sample([x for x in raw if x != it], R.choice([0, 1, 1, 2, 3]))
        ]
        R.shuffle(tools)
        order = sorted(slots[it])
        dialogs.append(
            {
                "src": "snips",
                "tools": tools,
                "messages": [
                    {"role": "user", "content": u},
                    {
                        "role": "assistant",
                        "call": {"name": snake(it), "arguments": {k: args[k] for k in order if k in args}},
                    },
                ],
                "open": True,
            }
        )

# ---------------------------------------------------------------- clinc oos-eval (CC BY 3.0): intent routing with zero-argument style tools
d = json.loads(show("clinc+oos-eval", "data/data_full.json"))
intents = sorted({i for _, i in d["train"]})
for u, i in d["train"] + d["val"]:
    k = R.randint(3, 9)
    cand = R.sample([x for x in intents if x != i], k - 1) + [i]
    R.shuffle(cand)
    mk = lambda n: {
        "name": n,
        "description": R.choice(["Handle requests about {}.", "Use this for {}.", "{}"]).format(n.replace("_", " ")),
        "parameters": {
            "type": "object",
            "properties": {"query": {"type": "string", "description": "The user's request"}},
            "required": ["query"],
        },
    }
    if R.random() < 0.6:
        dialogs.append(
            {
                "src": "clinc",
                "tools": [mk(n) for n in cand],
                "messages": [
                    {"role": "user", "content": u},
                    {"role": "assistant", "call": {"name": i, "arguments": {"query": u}}},
                ],
                "open": True,
            }
        )
NO = [
    "None of the available tools can help with that.",
    "I don't have a tool for that, sorry.",
    "Sorry, I can't do that with the tools I have.",
]
for u, _ in d["oos_train"] + d["oos_val"]:
    for _ in range(4):
        cand = R.sample(intents, R.randint(2, 5))
        dialogs.append(
            {
                "src": "clinc",
                "tools": [mk(n) for n in cand],
                "messages": [{"role": "user", "content": u}, {"role": "assistant", "content": R.choice(NO)}],
            }
        )

# ---------------------------------------------------------------- chat: chatterbot corpus (BSD-3), GPTeacher roleplay/codegen (MIT)
for p, _ in ls("gunthercox+chatterbot-corpus"):
    if "data/english/" not in p:
        continue
    conv_ = None
    for l in show("gunthercox+chatterbot-corpus", p).splitlines():
        m = re.match(r"^- - (.*)$", l)
        if m:
            q = m.group(1).strip().strip("'\"")
            conv_ = [q]
            continue
        m = re.match(r"^  - (.*)$", l)
        if m and conv_ is not None:
            a = m.group(1).strip().strip("'\"")
            if 1 < len(a) < 400:
                chats.append(
                    {
                        "src": "chatterbot",
                        "messages": [{"role": "user", "content": conv_[0]}, {"role": "assistant", "content": a}],
                    }
                )
for f in ("Roleplay/roleplay-simple-deduped-roleplay-instruct.json", "Codegen/codegen-instruct.json"):
    for ex in json.loads(show("teknium1+GPTeacher", f)):
        u = ex["instruction"] + ("\n" + ex["input"] if ex.get("input") else "")
        if ex["response"]:
            chats.append(
                {
                    "src": "gpteacher",
                    "messages": [{"role": "user", "content": u}, {"role": "assistant", "content": ex["response"]}],
                }
            )
# self-instruct seed tasks (Apache-2.0)
for l in show("yizhongw+self-instruct", "data/seed_tasks.jsonl").splitlines():
    try:
        ex = json.loads(l)
    except Exception:
        continue
    for i in ex["instances"]:
        chats += [
            {
                "src": "selfinstruct",
                "messages": [
                    {"role": "user", "content": ex["instruction"] + ("\n" + i["input"] if i["input"] else "")},
                    {"role": "assistant", "content": i["output"]},
                ],
            }
        ] * 2


# ---------------------------------------------------------------- text: OpenStax (CC BY 4.0), public-domain books, docs (Apache-2.0)
def chunks(s, n=6000):
    ps, cur = s.split("\n\n"), ""
    for p in ps:
        if len(cur) + len(p) > n and cur:
            yield cur
            cur = ""
        cur += p + "\n\n"
    if cur.strip():
        yield cur


for repo in ("openstax+osbooks-introduction-business",):  # most other OpenStax books are NC by now: not used
    ar = sh(repo, "archive", "--format=tar", "HEAD", "modules")
    if not ar:
        continue
    tf = tarfile.open(fileobj=io.BytesIO(ar))
    for m in tf:
        if not m.name.endswith(".cnxml"):
            continue
        s = tf.extractfile(m).read().decode("utf-8", "replace")
        s = re.sub(r"<metadata.*?</metadata>", "", s, flags=re.S)
        s = re.sub(r"</(para|title|item|note|section)>", "\n\n", s)
        s = re.sub(r"<[^>]+>", "", s)
        import html

        s = html.unescape(s)
        s = re.sub(r"[ \t]+", " ", s)
        s = re.sub(r"\n\s*\n+", "\n\n", s).strip()
        for c in chunks(s):
            texts.append({"src": "openstax", "text": c})
books = [(p, n) for p, n in ls("mlschmitt+classic-books-markdown") if p.endswith(".md") and n < 1_200_000]
R.shuffle(books)
tot = 0
for p, n in books:
    if tot > 150_000_000:
        break
    s = show("mlschmitt+classic-books-markdown", p)
    tot += len(s)
    for c in chunks(s):
        texts.append({"src": "books", "text": c})
for p, n in ls("NVIDIA+dgx-spark-playbooks"):
    if p.endswith(".md"):
        for c in chunks(show("NVIDIA+dgx-spark-playbooks", p)):
            texts.append({"src": "playbooks", "text": c})

# ---------------------------------------------------------------- BFCL (evaluation only)
B = "berkeley-function-call-leaderboard/bfcl_eval/data/"
bf = {}
for name in ("simple_python", "multiple", "irrelevance", "live_simple"):
    q = [json.loads(l) for l in show("ShishirPatil+gorilla", f"{B}BFCL_v4_{name}.json").splitlines()]
    a = (
        {
            x["id"]: x["ground_truth"]
            for x in map(
                json.loads, show("ShishirPatil+gorilla", f"{B}possible_answer/BFCL_v4_{name}.json").splitlines()
            )
        }
        if name != "irrelevance"
        else {}
    )
    bf[name] = [
        {"id": x["id"], "question": x["question"], "function": x["function"], "answer": a.get(x["id"])} for x in q
    ]
json.dump(bf, open(f"{OUT}/bfcl.json", "w"))

R.shuffle(dialogs)
R.shuffle(chats)
R.shuffle(texts)
for name, rows in (("public_dialogs", dialogs), ("public_chat", chats), ("public_text", texts), ("sgd_test", sgd_test)):
    with gzip.open(f"{OUT}/{name}.jsonl.gz", "wt", compresslevel=1) as f:
        for r in rows:
            f.write(json.dumps(r, ensure_ascii=False) + "\n")
    print(name, len(rows), collections.Counter(r["src"] for r in rows), file=sys.stderr)
