#!/usr/bin/env python3
"""Makes documents, turns them into tokens and packs them into rows for train.py.

  pack.py words DATA WORK                      words.txt and sentences.txt of the public texts, for the generators
  pack.py rows DATA WORK WORKERS SHARDS [SEED] WORKERS processes write SHARDS shards each to WORK/shards

A shard is an array uint16 [rows, context]: bits 0-12 the token, 13-14 the class of render.py, 15 the first token of a document. Documents
never straddle rows; what is left of a row is one more document of class NONE. Shards of pairs have the texts of pair i as documents
2i and 2i+1 and a file of keys beside them: int64 [rows, PAIRS_MAX / 2], what a pair is about, 0 for none.
"""
import collections
import multiprocessing
import os
import random
import re
import sys
import time
import zlib

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.setdefault("RAYON_NUM_THREADS", "1")

import numpy as np
from tokenizers import Tokenizer

import drill
import values
from render import DECIDED, TARGET, decided, render

CONTEXT_LENGTH = int(os.environ.get("HEARTH_CONTEXT", 4096))
SHARD_ROWS = int(os.environ.get("HEARTH_SHARD_ROWS", 256))
PAIRS_MAX = 320
# Which shards a worker makes, in turn. The trainer's mix decides how often each is used.
TURNS = "desk lookup unseen desk dialogs service pairs lookup desk unseen drill desk unseen text desk lookup dialogs unseen desk chat unseen service desk lookup desk unseen".split()


class Packer:
    """First rows with room for a document (best fit among 40 open ones); `done` holds full rows."""

    def __init__(self):
        self.open, self.done = [], []

    def add(self, tokens):
        n, best = len(tokens), None
        for row in self.open:
            room = CONTEXT_LENGTH - row[0]
            if room >= n and (best is None or room < CONTEXT_LENGTH - best[0]):
                best = row
        if best is None:
            if len(self.open) >= 40:
                self.open.sort(key=lambda row: row[0])
                self.close(self.open.pop())
            best = [0, []]
            self.open.append(best)
        best[0] += n
        best[1].append(tokens)
        if best[0] > CONTEXT_LENGTH - 24:
            self.open.remove(best)
            self.close(best)

    def close(self, row):
        out = np.zeros(CONTEXT_LENGTH, np.uint16)
        out[:row[0]] = np.concatenate(row[1])
        if row[0] < CONTEXT_LENGTH:
            out[row[0]] = 1 << 15
        self.done.append(out)


class Writer:
    """Tokens of documents into rows, rows into numbered shards of one kind."""

    def __init__(self, tokenizer, folder, kind, worker):
        self.tokenizer, self.folder, self.kind, self.worker = tokenizer, folder, kind, worker
        self.packer, self.number = Packer(), 0
        while os.path.exists(self.path()):
            self.number += 1

    def path(self):
        return f"{self.folder}/{self.kind}_{self.worker}_{self.number}.npy"

    def add(self, documents):
        """documents: lists of (text, class), or arrays of packed tokens."""
        texts = [document for document in documents if isinstance(document, list)]
        flat = lambda which: [text for document in texts for text, kind in document if (kind == TARGET) == which]
        others = iter(self.tokenizer.encode_batch_fast(flat(False), add_special_tokens=False))
        written = iter(self.tokenizer.encode_batch(flat(True), add_special_tokens=False))  # with places, which takes longer
        for document in documents:
            if isinstance(document, list):
                parts = []
                for (_, kind), spans in zip(document, decided(document)):
                    piece = next(written if kind == TARGET else others)
                    kinds = np.full(len(piece.ids), kind, np.uint16)
                    if spans:
                        places = np.asarray(piece.offsets).reshape(-1, 2)
                        for begin, end in spans:
                            kinds[(places[:, 0] < end) & (places[:, 1] > begin)] = DECIDED
                    parts.append(np.asarray(piece.ids, np.uint16) | kinds << np.uint16(13))
                document = np.concatenate(parts)
            tokens = document
            if 3 < len(tokens) <= CONTEXT_LENGTH:
                tokens[0] |= 1 << 15
                self.packer.add(tokens)

    def full(self):
        return len(self.packer.done) >= SHARD_ROWS

    def write(self, everything=False):
        if everything:
            for row in self.packer.open:
                self.packer.close(row)
            self.packer.open = []
        if self.packer.done:
            write_array(self.path(), np.stack(self.packer.done))
            self.packer.done, self.number = [], self.number + 1


def write_array(path, array):
    with open(path + ".part", "wb") as file:
        np.save(file, array)
    os.replace(path + ".part", path)


def key_of(text):
    return zlib.crc32(text.encode()) + 1


class Worker:
    def __init__(self, data, work, number, workers, seed):
        import desk_tasks
        import facts
        import lookup
        import frames
        import service
        import unseen
        values.load_words(work)
        self.r = random.Random(seed * 1000 + number)
        self.tokenizer = Tokenizer.from_file(f"{work}/tokenizer.json")
        self.unseen = unseen.Gen(self.r.random())
        self.desk = desk_tasks.Tasks(self.r, self.unseen)
        self.lookups = lookup.Lookups(self.r, self.unseen)
        self.service = service.Service(self.r)
        self.frames = frames.Frames(self.r, self.unseen)
        self.facts = facts.Facts(self.r)
        self.data, self.number, self.workers = data, number, workers
        folder = f"{work}/shards"
        self.writer = {k: Writer(self.tokenizer, folder, k, number) for k in dict.fromkeys(TURNS)}
        self.dialogs, self.pool, self.queue, self.intents = None, {}, [], None

    def mine(self, name):
        import public
        return [row for i, row in enumerate(public.rows(self.data, name)) if i % self.workers == self.number]

    # ---- one batch of documents of each kind; None: there are no more ----

    def desk_batch(self):
        V = self.unseen.V
        return [render(drill.other_files(self.r, V, drill.rare_words(self.r, V, drill.scramble(self.r, V, self.desk.doc(), .08, 0)))) for _ in range(256)]

    def lookup_batch(self):
        return [render(drill.other_files(self.r, self.unseen.V, drill.scramble(self.r, self.unseen.V, self.lookups.doc(), .15, 0))) for _ in range(256)]

    def unseen_batch(self):
        makers = self.unseen, self.unseen, self.unseen, self.frames
        return [render(drill.rare_words(self.r, self.unseen.V, drill.scramble(self.r, self.unseen.V, self.r.choice(makers).doc()))) for _ in range(256)]

    def service_batch(self):
        return [render(drill.scramble(self.r, self.unseen.V, self.service.doc(), .4, .15)) for _ in range(128)]

    def drill_batch(self):
        return [render(drill.document(self.r, self.unseen.V)) if self.r.random() < .7 else drill.tokens(self.r) for _ in range(256)]

    def dialogs_batch(self):
        import public
        if self.dialogs is None:
            self.dialogs = self.mine("public_dialogs")
        if not self.queue:
            self.queue = [d for d in self.dialogs if self.r.random() < public.SHARE.get(d["src"], 1)]
            self.r.shuffle(self.queue)
        batch, self.queue = self.queue[:256], self.queue[256:]
        return [render(drill.scramble(self.r, self.unseen.V, public.vary(self.r, d, self.unseen, self.pool), .25, .1)) for d in batch]

    def chat_batch(self):
        out = []
        for row in self.mine("public_chat"):
            tools = self.unseen.distract([], self.r.randint(1, 3)) if self.r.random() < .2 else []
            out.append(render({"sys": self.unseen.sysmsg(), "tools": tools, "messages": row["messages"]}))
        return out

    def text_batch(self):
        return [[(row["text"].strip() + "<|endoftext|>", TARGET)] for row in self.mine("public_text")]

    def pair(self):
        """(text, text, what it is about): facts, requests in two wordings, notes, intents, answers."""
        import cards
        import scenes
        x = self.r.random()
        if x < .15:
            return scenes.two_wordings(self.r, self.unseen.V)
        if x < .35:
            _, _, questions = cards.draw(self.r, self.unseen.V)
            if questions:
                question, answer = self.r.choice(questions)
                return question, answer, answer
        if x < .85 or not self.load_intents():
            return self.facts.pair_with_key()
        if x < .93:
            intent = self.r.choice(list(self.intents))
            one, two = self.r.sample(self.intents[intent], 2)
            return one, two, "intent " + intent
        question, answer = self.r.choice(self.answers)
        return question, answer, question

    def load_intents(self):
        """Requests of the same intent (CLINC) and questions with answers (chat) as pairs of another kind."""
        if self.intents is None:
            groups = collections.defaultdict(list)
            for row in self.dialogs if self.dialogs is not None else self.mine("public_dialogs"):
                if row["src"] == "clinc" and "call" in row["messages"][-1]:
                    groups[row["messages"][-1]["call"]["name"]].append(row["messages"][0]["content"])
            self.intents = {k: v for k, v in groups.items() if len(v) > 3}
            self.answers = []
            for row in self.mine("public_chat"):
                q, a = row["messages"][0]["content"], row["messages"][-1]["content"]
                if 10 < len(q) < 220 and 10 < len(a):
                    self.answers.append((q, a[:220]))
        return bool(self.intents and self.answers)

    def pair_shard(self):
        rows, keys = [], []
        while len(rows) < max(8, SHARD_ROWS // 2):
            row, key, used = np.zeros(CONTEXT_LENGTH, np.uint16), np.zeros(PAIRS_MAX // 2, np.int64), 0
            n, misses = 0, 0
            self.facts.new_cast(self.r.choice((2, 4, 8, 20)), .8)
            while n < PAIRS_MAX // 2 - 1 and misses < 3:
                one, two, about = self.pair()
                a, b = (np.asarray(self.tokenizer.encode(t, add_special_tokens=False).ids, np.uint16) for t in (one, two))
                if not len(a) or not len(b):
                    continue
                if used + len(a) + len(b) > CONTEXT_LENGTH - 1:
                    misses += 1
                    continue
                for tokens in (a, b):
                    row[used:used + len(tokens)] = tokens
                    row[used] |= 1 << 15
                    used += len(tokens)
                key[n] = key_of(about)
                n += 1
            if used < CONTEXT_LENGTH:
                row[used] |= 1 << 15
            # the rest of the row is a document of its own; its number must not be a pair's
            rows.append(row)
            keys.append(key)
        writer = self.writer["pairs"]
        with open(writer.path()[:-4] + ".keys", "wb") as file:
            np.save(file, np.stack(keys))
        write_array(writer.path(), np.stack(rows))
        writer.number += 1

    def run(self, shards):
        finished, made, turn = set(), 0, self.number
        while made < shards:
            kind = TURNS[turn % len(TURNS)]
            turn += 1
            if kind in finished:
                continue
            if kind == "pairs":
                self.pair_shard()
                made += 1
                continue
            writer = self.writer[kind]
            if kind in ("chat", "text"):  # once: there is no more of it
                writer.add(getattr(self, kind + "_batch")())
                writer.write(everything=True)
                finished.add(kind)
            else:
                while not writer.full():
                    writer.add(getattr(self, kind + "_batch")())
                writer.write()
            made += 1


def work(data, folder, number, workers, shards, seed):
    os.nice(10)
    Worker(data, folder, number, workers, seed).run(shards)


def words(data, folder):
    """The words and sentences of the public texts that a person might write."""
    import public
    count, sentences = collections.Counter(), []
    for row in public.rows(data, "public_text"):
        if row["src"] != "books":
            continue
        text = row["text"]
        count.update(re.findall(r"(?<![A-Za-z'-])[a-z]{4,11}(?![a-z'-])", text))
        for sentence in re.findall(r"(?<=[.!?] )[A-Z][A-Za-z ,'-]{18,85}(?=[.!?] )", text)[:6]:
            sentences.append(sentence)
    random.Random(1).shuffle(sentences)
    with open(f"{folder}/words.txt", "w") as out:
        out.write("\n".join(word for word, _ in count.most_common(30000)[400:]))
    with open(f"{folder}/sentences.txt", "w") as out:
        out.write("\n".join(dict.fromkeys(sentences[:40000])))


def main():
    command, data, folder = sys.argv[1:4]
    if command == "words":
        words(data, folder)
        return
    workers, shards = int(sys.argv[4]), int(sys.argv[5])
    seed = int(sys.argv[6]) if len(sys.argv) > 6 else 1
    os.makedirs(f"{folder}/shards", exist_ok=True)
    start = time.time()
    processes = [multiprocessing.Process(target=work, args=(data, folder, n, workers, shards, seed)) for n in range(workers)]
    for p in processes:
        p.start()
    for p in processes:
        p.join()
    bad = [p.exitcode for p in processes if p.exitcode]
    print("made in", round(time.time() - start, 1), "s", f"; {len(bad)} of {workers} workers failed" if bad else "")


if __name__ == "__main__":
    main()
