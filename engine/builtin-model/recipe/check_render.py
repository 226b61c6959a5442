#!/usr/bin/env python3
"""Holds the recipe's renderer and its way of making tokens against Hearth's own.

  check_render.py HEARTH [N]             N random conversations: the same text, the same tokens
  check_render.py --write FOLDER [N]     the fixture of the test recipe_render: conversations.jsonl.gz and expected.txt.gz
"""
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile

from tokenizers import Tokenizer

import desk_tasks
import service
import unseen
from render import calls_of, render

HERE = os.path.dirname(os.path.abspath(__file__))


def documents(n, seed=20):
    r = random.Random(seed)
    g = unseen.Gen(seed)
    tasks, services = desk_tasks.Tasks(r, g), service.Service(r)
    return [r.choice((tasks, tasks, tasks, g, services)).doc() for _ in range(n)]


def as_messages(document):
    """The document as Hearth's transcript would hold it."""
    out = [{"role": "system", "content": document["sys"]}] if document.get("sys") else []
    for message in document["messages"]:
        one = {"role": message["role"], "content": message.get("content") or "".join(t for t, _ in message.get("pieces", []))}
        if calls_of(message):
            one["tool_calls"] = [{"type": "function", "function": c} for c in calls_of(message)]
        out.append(one)
    return {"messages": out, "tools": [t["name"] if t == desk_tasks.BUILTIN.get(t["name"]) else t for t in document["tools"]]}


def write(folder, n):
    os.makedirs(folder, exist_ok=True)
    docs = documents(n)
    lines = [json.dumps(as_messages(document), ensure_ascii=False) for document in docs]
    expected = ["".join(t for t, _ in render(document)) for document in docs]
    for name, texts in ("conversations.jsonl", lines), ("expected.txt", expected):
        with open(f"{folder}/{name}.gz", "wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
            packed.write("".join(text + "\n" for text in texts).encode())


def check(hearth, n):
    tokenizer = Tokenizer.from_file(os.path.join(HERE, "..", "tokenizer.json"))
    docs = documents(n, seed=random.randrange(10**6))
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        for document in docs:
            file.write(json.dumps(as_messages(document), ensure_ascii=False) + "\n")
        file.flush()
        lines = subprocess.run([hearth, "model", "render", "--json", file.name], check=True, capture_output=True, text=True).stdout.splitlines()
    bad = 0
    for document, line in zip(docs, lines):
        theirs = json.loads(line)
        text = "".join(t for t, _ in render(document))
        tokens = [i for t, _ in render(document) for i in tokenizer.encode(t, add_special_tokens=False).ids]
        pieces = any("pieces" in m for m in document["messages"])
        if text != theirs["text"] or (tokens != theirs["tokens"] and not pieces):
            bad += 1
            at = next((i for i, (a, b) in enumerate(zip(text, theirs["text"])) if a != b), -1)
            print("differs:", repr(text[max(0, at - 60):at + 60]), repr(theirs["text"][max(0, at - 60):at + 60])) if at >= 0 else print("other tokens")
    print(f"{len(docs)} conversations, {bad} differ" if len(lines) == len(docs) else f"{len(lines)} of {len(docs)} came back")
    return bad == 0 and len(lines) == len(docs)


if __name__ == "__main__":
    if sys.argv[1] == "--write":
        write(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 40)
    else:
        sys.exit(0 if check(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 300) else 1)
