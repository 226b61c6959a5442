#!/usr/bin/env python3
"""Scores an exported model: greedy decoding of what the model would write next, recall by its pooled states.

  evaluate.py MODEL DATA OUT [--only NAME,...] [--limit N] [--device cpu]     writes OUT/eval_NAME.json

  synthetic   tools under names that training never uses, drawn by the generator of version 1 (eval/synthetic_v1.jsonl.gz)
  unseen      the same from today's generator
  sgd         services of SGD's test split that never occur in its training split
  decline     requests for which none of the tools offered fits
  desk        Hearth's own tools, documents of a seed that training does not use
  recall      held-out wordings, relations and names: the fact among the first five of 1,000; FTS5 alone and both fused beside it
"""
import argparse
import gzip
import json
import os
import random
import re
import sqlite3
import time

import numpy as np
import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer

import facts
import unseen
from render import calls_of, call_text, read_calls, render

HERE = os.path.dirname(os.path.abspath(__file__))


class Writer:
    """Greedy continuation of many prompts."""

    def __init__(self, directory, device):
        self.device = device
        self.tokenizer = AutoTokenizer.from_pretrained(directory)
        self.model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).to(device).eval()
        self.ends = [self.tokenizer.convert_tokens_to_ids(x) for x in ("<|im_end|>", "<|endoftext|>")]

    @torch.no_grad()
    def write(self, prompts, most=160, batch=128):
        ids = [self.tokenizer(p, add_special_tokens=False)["input_ids"][-3900:] for p in prompts]
        order, out = sorted(range(len(ids)), key=lambda i: len(ids[i])), [""] * len(ids)
        for at in range(0, len(order), batch):
            part = order[at:at + batch]
            n = max(len(ids[i]) for i in part)
            x = torch.full((len(part), n), self.ends[1])
            mask = torch.zeros(len(part), n, dtype=torch.long)
            for j, i in enumerate(part):
                x[j, n - len(ids[i]):] = torch.tensor(ids[i])
                mask[j, n - len(ids[i]):] = 1
            x, mask = x.to(self.device), mask.to(self.device)
            place = (mask.cumsum(1) - 1).clamp(min=0)
            o = self.model(input_ids=x, attention_mask=mask, position_ids=place, use_cache=True, logits_to_keep=1)
            place, written, done = place[:, -1:], [[] for _ in part], [False] * len(part)
            for _ in range(most):
                token = o.logits[:, -1].argmax(-1)
                for j, t in enumerate(token.tolist()):
                    if t in self.ends:
                        done[j] = True
                    elif not done[j]:
                        written[j].append(t)
                if all(done):
                    break
                mask = torch.cat([mask, torch.ones_like(mask[:, :1])], 1)
                place = place + 1
                o = self.model(input_ids=token[:, None], attention_mask=mask, position_ids=place, past_key_values=o.past_key_values, use_cache=True)
            for j, i in enumerate(part):
                out[i] = self.tokenizer.decode(written[j])
        return out

    @torch.no_grad()
    def embed(self, texts, batch=256):
        """As session_embed: the sum of the final-norm states, scaled to length one."""
        out = []
        for at in range(0, len(texts), batch):
            ids = [self.tokenizer(t, add_special_tokens=False)["input_ids"] for t in texts[at:at + batch]]
            n = max(map(len, ids))
            x = torch.zeros(len(ids), n, dtype=torch.long)
            mask = torch.zeros(len(ids), n, dtype=torch.long)
            for j, i in enumerate(ids):
                x[j, :len(i)] = torch.tensor(i)
                mask[j, :len(i)] = 1
            mask = mask.to(self.device)
            states = self.model.model(input_ids=x.to(self.device), attention_mask=mask).last_hidden_state
            out.append(F.normalize((states * mask[:, :, None]).sum(1), dim=-1).cpu())
        return torch.cat(out).numpy()


def steps(writer, documents, limit, most=160):
    """Each step of the assistant, with what really came before it: calls exactly right, answers right word by word."""
    calls, texts = [], []
    for document in documents:
        for i, message in enumerate(document["messages"]):
            if message["role"] == "assistant" and not message.get("quiet") and "pieces" not in message:
                (calls if calls_of(message) else texts).append((document, i, message))
    random.Random(3).shuffle(calls)
    random.Random(3).shuffle(texts)
    calls, texts = calls[:limit], texts[:limit]
    prompt = lambda d, i: "".join(t for t, _ in render(d, i))
    wrote = writer.write([prompt(d, i) for d, i, _ in calls], most)
    exact = names = answered = broken = keys = 0
    wrong = []
    for (d, i, m), text in zip(calls, wrote):
        want, got = [{"name": c["name"], "arguments": c["arguments"]} for c in calls_of(m)], read_calls(text)
        exact += got == want
        answered += got == []
        broken += got is None
        names += bool(got) and [c["name"] for c in got] == [c["name"] for c in want]
        keys += bool(got) and [(c["name"], sorted(c["arguments"]) if isinstance(c["arguments"], dict) else None) for c in got] == [(c["name"], sorted(c["arguments"])) for c in want]
        if got != want:
            wrong.append({"asked": next((x["content"] for x in reversed(d["messages"][:i]) if x["role"] == "user"), ""), "want": "\n".join(map(call_text, want)), "got": text[:300]})
    said = writer.write([prompt(d, i) for d, i, _ in texts], most)
    right = sum(t.strip() == m["content"].strip() for (_, _, m), t in zip(texts, said))
    quiet = sum(read_calls(t) == [] for t in said)
    wrong_texts = [{"asked": next((x["content"][:200] for x in reversed(d["messages"][:i])), ""), "want": m["content"][:200], "got": t[:200]} for (d, i, m), t in zip(texts, said) if t.strip() != m["content"].strip()]
    n, k = max(1, len(calls)), max(1, len(texts))
    return {"calls": len(calls), "exact_call": exact / n, "name_right": names / n, "keys_right": keys / n, "answered_instead": answered / n, "broken": broken / n,
            "texts": len(texts), "text_exact": right / k, "text_not_call": quiet / k, "wrong": wrong[:40], "wrong_texts": wrong_texts[:25]}


def synthetic(writer, a):
    with gzip.open(os.path.join(HERE, "eval", "synthetic_v1.jsonl.gz"), "rt") as file:
        return steps(writer, [json.loads(line) for line in file], a.limit or 320)


def unseen_now(writer, a):
    g = unseen.Gen(987654, heldout=True)
    return steps(writer, [g.doc() for _ in range(500)], a.limit or 400)


def sgd(writer, a):
    with gzip.open(os.path.join(a.data, "sgd_test.jsonl.gz"), "rt") as file:
        documents = [json.loads(line) for line in file]
    random.Random(5).shuffle(documents)
    return steps(writer, documents[:300], a.limit or 400)


def desk(writer, a):
    import desk_tasks
    r = random.Random(424242)
    tasks = desk_tasks.Tasks(r, unseen.Gen(424243, heldout=True))
    return steps(writer, [tasks.doc() for _ in range(500)], a.limit or 600)


def decline(writer, a):
    g = unseen.Gen(31415, heldout=True)
    documents = [g.d_notool() for _ in range(a.limit or 300)]
    wrote = writer.write(["".join(t for t, _ in render(d, 1)) for d in documents], 60)
    declined = [read_calls(t) == [] for t in wrote]
    wrong = [{"asked": d["messages"][0]["content"], "tools": [t["name"] for t in d["tools"]], "got": t[:200]} for d, t, ok in zip(documents, wrote, declined) if not ok]
    return {"asked": len(documents), "declined": sum(declined) / len(documents), "wrong": wrong[:30]}


def words_query(text):
    """The query that memory.c makes for FTS5."""
    found = re.findall(r"[A-Za-z0-9\u0080-\U0010ffff]+", text)[:32]
    return " OR ".join(f'"{w}"' for w in found)


def recall(writer, a):
    source = facts.Facts(random.Random(777), heldout=True)
    source.new_cast(12, .85)
    kept, keys, asked = [], set(), []
    n = 200 if a.limit else 1000
    while len(kept) < n:
        other, text, key = source.pair_with_key()
        if key in keys or text in kept:
            continue
        keys.add(key)
        asked.append((other, len(kept)))
        kept.append(text)
    asked = asked[:400]
    vectors, questions = writer.embed(kept), writer.embed([q for q, _ in asked])
    mean = vectors.mean(0)
    unit = lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)
    by_vector = np.argsort(-(unit(questions - mean) @ unit(vectors - mean).T), axis=1)[:, :50]
    db = sqlite3.connect(":memory:")
    db.execute("CREATE VIRTUAL TABLE f USING fts5(content, tokenize='TOKENIZER')".replace("TOKENIZER", "unicode61 remove_diacritics 2"))
    db.executemany("INSERT INTO f(rowid, content) VALUES(?, ?)", enumerate(kept))
    score = {"words": 0, "vectors": 0, "fused": 0}
    wrong = []
    for (question, target), vector in zip(asked, by_vector.tolist()):
        word = [row[0] for row in db.execute("SELECT rowid FROM f WHERE f MATCH ? ORDER BY rank, rowid DESC LIMIT 50", (words_query(question),))]
        fused = {}
        for leg in (word, vector):
            for place, i in enumerate(leg):
                fused[i] = fused.get(i, 0) + 1 / (61 + place)
        both = sorted(fused, key=lambda i: (-fused[i], -i))
        for name, found in (("words", word), ("vectors", vector), ("fused", both)):
            score[name] += target in found[:5]
        if target not in both[:5]:
            wrong.append({"asked": question, "fact": kept[target], "found": [kept[i] for i in both[:3]]})
    k = len(asked)
    return {"facts": len(kept), "asked": k, **{f"recall5_{name}": v / k for name, v in score.items()}, "wrong": wrong[:40]}


SETS = {"synthetic": synthetic, "unseen": unseen_now, "sgd": sgd, "decline": decline, "desk": desk, "recall": recall}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("model")
    p.add_argument("data")
    p.add_argument("out")
    p.add_argument("--only", default=",".join(SETS))
    p.add_argument("--limit", type=int, default=0)
    p.add_argument("--device", default="cuda")
    a = p.parse_args()
    os.makedirs(a.out, exist_ok=True)
    torch.backends.cuda.matmul.allow_tf32 = False
    writer = Writer(a.model, a.device)
    for name in a.only.split(","):
        start = time.time()
        result = SETS[name](writer, a)
        result["seconds"] = round(time.time() - start, 1)
        with open(f"{a.out}/eval_{name}.json", "w") as out:
            json.dump(result, out, indent=1, ensure_ascii=False)
        print(name, {k: round(v, 3) if isinstance(v, float) else v for k, v in result.items() if not k.startswith("wrong")}, flush=True)


if __name__ == "__main__":
    main()
