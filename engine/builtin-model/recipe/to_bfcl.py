#!/usr/bin/env python3
"""Writes the sets of evaluate.py as function-calling files, for `hearth eval --bfcl`: greedy, constrained, through Hearth itself.

  to_bfcl.py DATA OUT       OUT/synthetic.jsonl, sgd.jsonl, decline.jsonl, each with NAME_answers.jsonl
  to_bfcl.py score REPORT OUT/NAME_answers.jsonl      the share of exact calls in a report of `hearth eval --json`
  to_bfcl.py scenes OUT FILE...        OUT/scenes.jsonl and scenes_answers.jsonl: each step of the scenes in these files, calls and words
  to_bfcl.py mistakes REPORT OUT/scenes.jsonl         what was said instead. Scenes that were not trained on yet show what is not understood

An entry is one step with all that came before it. The leaderboard's rule forgives case and punctuation of texts; `score` does not.
"""
import gzip
import json
import os
import random
import sys

import unseen
from render import calls_of, read_calls

HERE = os.path.dirname(os.path.abspath(__file__))


def messages_of(document, upto):
    out = [{"role": "system", "content": document["sys"]}] if document.get("sys") else []
    for message in document["messages"][:upto]:
        entry = {"role": message["role"], "content": message.get("content") or ""}
        if calls_of(message):
            entry["tool_calls"] = [{"type": "function", "function": {"name": c["name"], "arguments": c["arguments"]}} for c in calls_of(message)]
        out.append(entry)
    return out


def entry(name, number, document, upto):
    return {"id": f"{name}_{number}", "question": [messages_of(document, upto)], "function": document["tools"]}


def call_steps(documents, limit):
    """The steps that evaluate.steps takes."""
    calls = [(d, i) for d in documents for i, m in enumerate(d["messages"]) if m["role"] == "assistant" and not m.get("quiet") and "pieces" not in m and calls_of(m)]
    random.Random(3).shuffle(calls)
    return calls[:limit]


def write(folder, name, entries, answers):
    for part, lines in ((name, entries), (name + "_answers", answers)):
        with open(f"{folder}/{part}.jsonl", "w") as out:
            out.writelines(json.dumps(x, ensure_ascii=False) + "\n" for x in lines)


def export(data, folder):
    os.makedirs(folder, exist_ok=True)
    with gzip.open(os.path.join(HERE, "eval", "synthetic_v1.jsonl.gz"), "rt") as file:
        sets = {"synthetic": call_steps([json.loads(line) for line in file], 320)}
    with gzip.open(os.path.join(data, "sgd_test.jsonl.gz"), "rt") as file:
        documents = [json.loads(line) for line in file]
    random.Random(5).shuffle(documents)
    sets["sgd"] = call_steps(documents[:300], 400)
    for name, steps in sets.items():
        entries, answers = [], []
        for number, (document, i) in enumerate(steps):
            wanted = calls_of(document["messages"][i])
            entries.append(entry(name, number, document, i))
            answers.append({"id": f"{name}_{number}", "ground_truth": [{c["name"]: {k: [v] for k, v in c["arguments"].items()}} for c in wanted]})
        write(folder, name, entries, answers)
    g = unseen.Gen(31415, heldout=True)
    entries = [entry("irrelevance", n, g.d_notool(), 1) for n in range(300)]
    write(folder, "decline", entries, [])


def export_scenes(folder, paths):
    import desk_tasks
    import scenes
    os.makedirs(folder, exist_ok=True)
    tasks = desk_tasks.Tasks(random.Random(2718), unseen.Gen(2719, heldout=True))
    entries, answers = [], []
    for path in paths:
        for scene in scenes.read(path):
            document = tasks.doc(scene)
            if not document or not document["tools"]:  # a file of function calling has functions
                continue
            for i, message in enumerate(document["messages"]):
                if message["role"] != "assistant" or message.get("quiet"):
                    continue
                wanted = calls_of(message)
                step = entry("scene" if wanted else "irrelevance", len(entries), document, i)
                step["scene"], step["wanted"] = scene.where, wanted or message["content"]
                entries.append(step)
                if wanted:
                    answers.append({"id": step["id"], "ground_truth": [{c["name"]: {k: [v] for k, v in c["arguments"].items()}} for c in wanted]})
    write(folder, "scenes", entries, answers)


def mistakes(report, steps):
    with open(steps) as file:
        told = {s["id"]: s for s in map(json.loads, file)}
    with open(report) as file:
        tasks = json.load(file)["tasks"]
    right, count = {}, {}
    for task in tasks:
        step, said = told[task["id"]], task["runs"][0].get("answer", "")
        call = isinstance(step["wanted"], list)
        kind = step["scene"].split(":")[0] + (", calls" if call else ", words")
        good = (read_calls(said) if call else said.strip()) == step["wanted"]
        right[kind], count[kind] = right.get(kind, 0) + good, count.get(kind, 0) + 1
        if not good:
            before = step["question"][0][-1]
            print(f"{step['scene']} {before['role']}: {before['content'][:160]!r}\n  wanted {json.dumps(step['wanted'], ensure_ascii=False)[:200]}\n  said   {said[:200]!r}")
    for kind, n in count.items():
        print(f"{kind}: {right[kind]} of {n}")


def score(report, answers):
    with open(answers) as file:
        truth = {}
        for line in file:
            a = json.loads(line)
            truth[a["id"]] = [{"name": n, "arguments": {k: v[0] for k, v in args.items()}} for call in a["ground_truth"] for n, args in call.items()]
    with open(report) as file:
        tasks = json.load(file)["tasks"]
    exact = sum(read_calls(t["runs"][0].get("answer", "")) == truth[t["id"]] for t in tasks)
    passed = sum(t["passed"] for t in tasks)
    print(f"{len(tasks)} steps: exact {exact / len(tasks):.4f}, by the leaderboard's rule {passed / len(tasks):.4f}")


if __name__ == "__main__":
    if sys.argv[1] == "score":
        score(*sys.argv[2:4])
    elif sys.argv[1] == "scenes":
        export_scenes(sys.argv[2], sys.argv[3:])
    elif sys.argv[1] == "mistakes":
        mistakes(*sys.argv[2:4])
    else:
        export(*sys.argv[1:3])
