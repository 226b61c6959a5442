#!/usr/bin/env python3
"""Trains the built-in model on one GPU or, under torchrun, on several of one machine.

  train.py --work DIR --minutes 10 [--init MODEL_DIR]      one process
  torchrun --nproc_per_node 4 train.py ...                 four

Rows come from DIR/shards as pack.py writes them, while it still writes. Muon moves the matrices, AdamW the embedding and the norms,
both with clipped gradients. The schedule follows the wall clock of the first process: warm-up, constant, linear decay to zero. Beside
the language model's loss, a contrastive loss on pairs of texts makes the pooled states of the same model useful for recall by meaning.
Every --save seconds a checkpoint and an exported snapshot are written; a run that finds a checkpoint goes on from it.

A step whose gradient is not finite is left out on all processes alike. The first one is examined: is it the same when done again, which
loss, which row, which weights; the batch and the answers are kept in DIR/bad_batch_RANK.pt. When SKIPPED_MAX of SKIPPED_AMONG steps were
left out, training goes back to the last checkpoint once, and ends when that does not help.
"""
import argparse
import glob
import json
import math
import os
import random
import threading
import time
import traceback

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch.nn.attention.flex_attention import create_block_mask

import model as M

KINDS = ("desk", "unseen", "lookup", "service", "dialogs", "drill", "chat", "text", "pairs")
# Rows of each kind, at the start and in the decay: running text early, Hearth's own work late.
MIX_EARLY = {"desk": .36, "unseen": .24, "lookup": .19, "service": .04, "dialogs": .04, "drill": .04, "chat": .01, "text": .01, "pairs": .06}
MIX_LATE = {"desk": .41, "unseen": .25, "lookup": .15, "service": .04, "dialogs": .04, "drill": .03, "chat": .01, "text": .01, "pairs": .06}
PAIRS_MAX = 320  # texts in a row of pairs, at most (pack.py)
SKIPPED_MAX, SKIPPED_AMONG = 20, 200


def arguments():
    p = argparse.ArgumentParser()
    add = p.add_argument
    add("--work", required=True)
    add("--minutes", type=float, default=10)
    add("--init", default="", help="model directory to start from; empty: from scratch")
    add("--template", required=True, help="model directory whose tokenizer and configuration files are exported")
    add("--rows", type=int, default=32, help="rows of a pass of one GPU")
    add("--step-rows", type=int, default=128, help="rows of an optimizer step of all GPUs together, at most; one GPU takes half of it")
    add("--muon-lr", type=float, default=0.012)
    add("--adam-lr", type=float, default=1.5e-3)
    add("--warmup", type=int, default=100)
    add("--decay", type=float, default=0.6, help="share of the time in which the rates fall to zero")
    add("--context-weight", type=float, default=0.0, help="what a token of prompts, users and results counts; from scratch 0.1 teaches the language")
    add("--wording-weight", type=float, default=0.25, help="what a token of the assistant counts that could be another; what is decided counts 1")
    add("--pair-weight", type=float, default=0.08)
    add("--dropout", type=float, default=0.0, help="share of what each half of a layer adds that is left out, until the last tenth of the time")
    add("--save", type=float, default=75)
    add("--max-steps", type=int, default=10**9)
    add("--device", default="cuda")
    add("--layers", type=int, default=12)
    add("--dim", type=int, default=512)
    add("--ffn", type=int, default=1024)
    add("--heads", type=int, default=8)
    add("--kv", type=int, default=2)
    add("--context", type=int, default=4096)
    return p.parse_args()


# ---- rows ----

class Source:
    """Rows of one kind. This process takes every world-th shard; new ones are looked for while training runs."""

    def __init__(self, folder, kind, rank, world):
        self.folder, self.kind, self.rank, self.world = folder, kind, rank, world
        self.seen, self.shards, self.order, self.at, self.served, self.lock = set(), [], [], 0, 0, threading.Lock()
        self.random = random.Random(rank)

    def scan(self):
        paths = sorted(glob.glob(f"{self.folder}/{self.kind}_*.npy"))
        fresh = []
        for path in paths:
            if path in self.seen:
                continue
            self.seen.add(path)
            number = int(os.path.basename(path).rsplit("_", 1)[1][:-4]) + int(os.path.basename(path).rsplit("_", 2)[1])
            if self.kind not in ("chat", "text") and self.world > 1 and number % self.world != self.rank:
                continue  # of chat and text there is little: all take all
            rows = np.load(path)
            keys = np.load(path[:-4] + ".keys") if self.kind == "pairs" else None
            fresh += [(len(self.shards), i) for i in range(len(rows))]
            self.shards.append((rows, keys))
        if fresh:
            with self.lock:
                self.order = self.order[self.at:] + fresh
                self.at = 0
                self.random.shuffle(self.order)

    def size(self):
        return sum(len(rows) for rows, _ in self.shards)

    def take(self, n):
        """n rows (and for pairs their keys); begins again, in another order, when all were given."""
        with self.lock:
            out = []
            while len(out) < n:
                if self.at >= len(self.order):
                    self.order = [(s, i) for s, (rows, _) in enumerate(self.shards) for i in range(len(rows))]
                    self.random.shuffle(self.order)
                    self.at = 0
                k = min(n - len(out), len(self.order) - self.at)
                out += self.order[self.at:self.at + k]
                self.at += k
            self.served += n
            rows = np.stack([self.shards[s][0][i] for s, i in out])
            keys = np.stack([self.shards[s][1][i] for s, i in out]) if self.kind == "pairs" else None
            return rows, keys


class Rows:
    """Batches: always `pair_rows` rows of pairs first, then the other kinds as the mix says."""

    def __init__(self, a, rank, world):
        self.a = a
        self.sources = {k: Source(f"{a.work}/shards", k, rank, world) for k in KINDS}
        self.pair_rows = max(1, round(a.rows * MIX_LATE["pairs"])) if a.pair_weight > 0 else 0
        self.scanner = None

    def wait(self):
        """Until there is a shard of every kind for this process."""
        while True:
            for source in self.sources.values():
                source.scan()
            if all(s.order for s in self.sources.values()):
                return
            time.sleep(1)

    def scan_aside(self):
        if self.scanner is None or not self.scanner.is_alive():
            self.scanner = threading.Thread(target=lambda: [s.scan() for s in self.sources.values()], daemon=True)
            self.scanner.start()

    def batch(self, late):
        """int32 [rows, context] of packed tokens, int64 [pair_rows, PAIRS_MAX / 2] keys."""
        left = self.a.rows - self.pair_rows
        parts, keys = [], None
        if self.pair_rows:
            rows, keys = self.sources["pairs"].take(self.pair_rows)
            parts.append(rows)
        mix = {k: MIX_EARLY[k] * (1 - late) + MIX_LATE[k] * late for k in KINDS if k != "pairs"}
        whole = sum(mix.values())
        count = {k: int(left * p / whole + random.random()) for k, p in mix.items() if k != "desk"}
        count["desk"] = max(0, left - sum(count.values()))
        for kind, n in count.items():
            n = min(n, left - sum(len(p) for p in parts[1 if self.pair_rows else 0:]))
            if n > 0:
                parts.append(self.sources[kind].take(n)[0])
        rows = torch.from_numpy(np.concatenate(parts).astype(np.int32))
        return rows, None if keys is None else torch.from_numpy(keys.astype(np.int64))


# ---- the contrastive loss ----

def unit(x):
    """Scaled to length one; near zero smoothly to zero, so that the gradient is never more than 1,000 times what comes in."""
    return x * (x.square().sum(-1, keepdim=True) + 1e-6).rsqrt()


def pair_loss(states, documents, keys):
    """InfoNCE between the texts of pairs. Pooled as session_embed does: the sum of final-norm states, scaled to length one; compared as
    memory.c does: the mean of the facts is taken off, then the cosine. states [rows, n, dim], documents [rows, n]: number of the text
    in its row, from 1; texts 2i+1 and 2i+2 are pair i. keys [rows, PAIRS_MAX/2]: what the pair is about, 0 where there is none."""
    rows, n, dim = states.shape
    place = (documents - 1).clamp(0, PAIRS_MAX - 1) + PAIRS_MAX * torch.arange(rows, device=states.device)[:, None]
    pooled = torch.zeros(rows * PAIRS_MAX, dim, device=states.device).index_add(0, place.reshape(-1), states.reshape(-1, dim).float())
    pooled = unit(pooled).view(-1, 2, dim)
    keys = keys.reshape(-1)
    real = (keys != 0).float()
    mean = (pooled[:, 1] * real[:, None]).sum(0) / real.sum().clamp(min=1)
    ask, fact = unit(pooled[:, 0] - mean), unit(pooled[:, 1] - mean)
    score = ask @ fact.T / 0.05
    itself = torch.eye(len(keys), dtype=torch.bool, device=keys.device)
    clash = (keys[:, None] == keys[None]) & ~itself
    score = score.masked_fill(clash | (real == 0)[None] & ~itself, -1e4)
    both = score.log_softmax(1).diagonal() + score.masked_fill((real == 0)[:, None] & ~itself, -1e4).log_softmax(0).diagonal()
    return -(both * real).sum() / (2 * real.sum().clamp(min=1))


# ---- Muon ----

def orthogonalise(g):
    """Newton-Schulz (five steps, quintic) towards the nearest orthogonal matrix of each in the batch."""
    x = g.bfloat16()
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        m = x @ x.mT
        x = 3.4445 * x + (-4.7750 * m + 2.0315 * m @ m) @ x
    return x.float()


class Muon:
    def __init__(self, matrices, lr, compiled):
        self.matrices, self.lr = matrices, lr
        self.momentum = [torch.zeros_like(p) for p, _ in matrices]
        self.refused = torch.zeros((), device=matrices[0][0].device)  # matrices not moved because the iteration did not converge
        self.orthogonalise = torch.compile(orthogonalise, dynamic=False) if compiled else orthogonalise

    @torch.no_grad()
    def step(self, factor, beta):
        groups = {}
        for (p, splits), b in zip(self.matrices, self.momentum):
            b.lerp_(p.grad, 1 - beta)
            g, at = p.grad.lerp(b, beta), 0
            for size in splits:
                groups.setdefault(tuple(sorted((size, p.shape[2]))), []).append((p, at, size, g[:, at:at + size]))
                at += size
        for parts in groups.values():
            wide = [g if g.shape[1] <= g.shape[2] else g.mT for _, _, _, g in parts]
            all_ = self.orthogonalise(torch.cat(wide).contiguous())
            # Singular values end below 1.21; above 1.26 the iteration grows without bound.
            good = all_.square().sum((-2, -1), keepdim=True) < 1.6 * min(all_.shape[1:])
            self.refused += (~good).sum()
            all_ = torch.where(good, all_, 0.0)
            at = 0
            for p, start, size, g in parts:
                o = all_[at:at + len(g)]
                at += len(g)
                o = o if g.shape[1] <= g.shape[2] else o.mT
                part = p[:, start:start + size]
                part.mul_(1 - self.lr * factor * 0.01)
                part.add_(o, alpha=-self.lr * factor * max(1, size / p.shape[2]) ** 0.5)


# ---- training ----

def main():
    a = arguments()
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    cuda = a.device == "cuda"
    if cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
    device = torch.device("cuda", torch.cuda.current_device()) if cuda else torch.device("cpu")
    if world > 1:
        dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
    torch.manual_seed(1)
    random.seed(1000 + rank)
    torch.set_float32_matmul_precision("high")
    speak = lambda *words: print(*words, flush=True) if rank == 0 else None

    m = M.Model(M.Shape(a.layers, a.dim, a.ffn, a.heads, a.kv, context=a.context)).to(device)
    if a.init:
        M.load_directory(m, a.init)
    m.drops = a.dropout > 0
    parameters = sum(p.numel() for p in m.parameters())
    passes = max(1, min(a.step_rows, 64 * world) // (a.rows * world))
    speak(f"parameters {parameters / 1e6:.2f} M; {world} process(es), {passes} pass(es) of {a.rows} rows a step; start {a.init or 'from scratch'}")
    muon = Muon(m.matrices(), a.muon_lr, cuda)
    adam = torch.optim.AdamW([m.emb] + m.vectors(), lr=a.adam_lr, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.0, fused=cuda)
    step, used, tokens = 0, 0.0, 0
    checkpoint = f"{a.work}/checkpoint.pt"

    def restore():
        """The checkpoint's (step, seconds of training, tokens)."""
        c = torch.load(checkpoint, map_location=device, weights_only=True)
        m.load_state_dict(c["model"])
        adam.load_state_dict(c["adam"])
        muon.momentum = c["momentum"]
        return c["step"], c["used"], c["tokens"]

    if os.path.exists(checkpoint):
        step, used, tokens = restore()
        speak("goes on at step", step, "after", round(used), "s of training")

    forward = torch.compile(m, dynamic=False) if cuda else m
    documents = torch.zeros(a.rows, a.context, dtype=torch.int32, device=device)
    block_mask = torch.compile(create_block_mask) if cuda else None

    def same_document(b, h, q, k):  # one function for all steps: another one would be compiled again
        return (q >= k) & (documents[b, q] == documents[b, k])

    def mask_of():
        if cuda:
            return block_mask(same_document, a.rows, None, a.context, a.context, device="cuda")
        n = a.context
        causal = torch.ones(n, n, dtype=torch.bool, device=device).tril()
        return (documents[:, :, None] == documents[:, None, :])[:, None] & causal

    def one_pass(rows, keys, late, backward_scale):
        """(loss, mean loss over what is decided of what the assistant writes, contrastive loss), with gradients added."""
        packed = rows.to(device, non_blocking=True)
        token, kind, start = (packed & 0x1FFF).long(), (packed >> 13) & 3, packed >> 15
        documents.copy_(start.cumsum(1, dtype=torch.int32))
        value = torch.tensor([0.0, a.context_weight * (1 - .6 * late), a.wording_weight, 1.0], device=device)[kind.long()]
        value = torch.where(start > 0, 0.0, value)
        target, weight = torch.roll(token, -1, 1), torch.roll(value, -1, 1)
        weight[:, -1] = 0
        loss, each, states = forward(token, target, weight, mask_of())
        close, total = torch.zeros((), device=device), loss
        if keys is not None:
            close = pair_loss(states[:len(keys)], documents[:len(keys)], keys.to(device, non_blocking=True))
            total = loss + a.pair_weight * close
        (total * backward_scale).backward()
        with torch.no_grad():
            written = (torch.roll(kind, -1, 1) == 3) & (torch.roll(start, -1, 1) == 0)
            written[:, -1] = False
            said = (each.view_as(kind) * written).sum() / written.sum().clamp(min=1)
        return loss.detach(), said, close.detach()

    def examine(batch, keys, late):
        """Words on a pass that is not finite. Every row is tried alone, in all places of the batch, since the shape is compiled."""
        def bad(batch, keys):
            m.zero_grad(set_to_none=True)
            losses = zip(("loss", "", "pair loss"), one_pass(batch, keys, late, 1.0 / passes))
            return [n for n, x in losses if n and not x.isfinite()] + [n + ".grad" for n, p in m.named_parameters() if not p.grad.isfinite().all()]

        def alone(i):
            own = keys[i:i + 1].repeat(len(keys), 1) if keys is not None and i < len(keys) else None
            return bad(batch[i:i + 1].repeat(a.rows, 1), own)

        try:
            words = {"weights": [n for n, p in m.named_parameters() if not p.isfinite().all()], "again": bad(batch, keys), "without_pairs": bad(batch, None)}
            words["rows"] = {i: found for i in range(a.rows) if (found := alone(i))}
        except Exception:  # what is wrong with a step must not end the run
            words = {"failed": traceback.format_exc()}
        m.zero_grad(set_to_none=True)
        return words

    rows = Rows(a, rank, world)
    if cuda:  # compile on random rows while the shards are being made
        t = time.time()
        noise = torch.randint(0, 8192, (a.rows, a.context), dtype=torch.int32) | (2 << 13) | ((torch.rand(a.rows, a.context) < .05).int() << 15)
        key = torch.arange(1, PAIRS_MAX // 2 + 1).repeat(max(1, rows.pair_rows), 1)[:rows.pair_rows] if rows.pair_rows else None
        for _ in range(2):
            one_pass(noise, key, 0.0, 1.0)
            m.zero_grad(set_to_none=True)
        torch.cuda.synchronize()
        speak("compiled in", round(time.time() - t, 1), "s")
    rows.wait()
    if world > 1:
        dist.all_reduce(torch.zeros(1))  # all are ready
    speak("rows so far:", {k: s.size() for k, s in rows.sources.items()})

    budget = a.minutes * 60
    log = open(f"{a.work}/train_log.jsonl", "a") if rank == 0 else None

    def write_log(entry):
        if rank == 0:
            print(json.dumps(entry), flush=True)
            log.write(json.dumps(entry) + "\n")
            log.flush()

    names = [name for name, _ in m.named_parameters()]
    matrices = [p for p, _ in muon.matrices]
    if rank == 0 and not os.path.exists(checkpoint):
        save(m, adam, muon, step, used, tokens, checkpoint)  # something to go back to
    together(world, [0])
    sums, skipped, went_back, mended = [], [], False, 0
    small = {id(p) for p in m.vectors()}
    last_tokens, began = tokens, time.time()
    last = last_log = last_scan = began
    last_save = began + 30 - a.save  # the first one early
    first = step
    ready = rows.batch(0.0)
    while used < budget and step < a.max_steps:
        share = used / budget
        late = min(1.0, max(0.0, (share - 0.35) / 0.3))
        m.drop.fill_(a.dropout * min(1.0, 10 * (1 - share)))
        given, losses = [], []
        for _ in range(passes):
            given.append(ready)
            batch, keys = ready
            losses.append(one_pass(batch.pin_memory() if cuda else batch, keys, late, 1.0 / passes))
            ready = rows.batch(late)  # the next one, while the GPU computes
        gradients = [p.grad for p in m.parameters()]
        own_norms = torch.stack(torch._foreach_norm(gradients))
        if world > 1:
            waiting = [dist.all_reduce(g, async_op=True) for g in gradients]
            for w in waiting:
                w.wait()
            torch._foreach_div_(gradients, world)
        norms = torch.stack(torch._foreach_norm(gradients))
        # Now and then the gradient of one norm's weights is not finite while all others are, and is when computed again: the kernel's fault,
        # not the data's. Such weights stay as they are in this step.
        if not norms.isfinite().all():
            for p, n in zip(m.parameters(), norms):
                if id(p) in small and not n.isfinite():
                    p.grad.zero_()
                    mended += 1
            norms = torch.stack(torch._foreach_norm(gradients))
        # The slowest clock and the worst opinion count, so that all processes take the same branch.
        used, bad = together(world, [used, not norms.isfinite().all()])
        factor = min(1.0, (step - first + 1) / a.warmup) * min(1.0, max(0.0, (1 - share) / a.decay))
        if bad:
            not_finite = [not torch.stack([x[i] for x in losses]).isfinite().all() for i in (0, 2)] + (~own_norms.isfinite()).tolist()
            if any(not_finite) and not os.path.exists(f"{a.work}/bad_batch_{rank}.pt"):
                words = [examine(*part, late) for part in given]
                print(f"process {rank}, step {step}: examined: {json.dumps(words)}", flush=True)
                torch.save({"step": step, "late": late, "passes": given, "examined": words}, f"{a.work}/bad_batch_{rank}.pt")
            skipped = [s for s in skipped if s > step - SKIPPED_AMONG] + [step]
            where = together(world, not_finite)
            write_log({"step": step, "skipped": len(skipped), "not_finite": [n for n, x in zip(["loss", "pair_loss"] + names, where) if x]})
        else:
            sums += losses
            norm = torch.nn.utils.clip_grad_norm_(matrices, 1.0)
            torch.nn.utils.clip_grad_norm_([m.emb], 0.3)
            torch.nn.utils.clip_grad_norm_(m.vectors(), 0.3)
            muon.step(factor, min(0.95, 0.85 + 0.1 * step / 300))
            for group in adam.param_groups:
                group["lr"] = a.adam_lr * factor
            adam.step()
        m.zero_grad(set_to_none=True)
        if len(skipped) >= SKIPPED_MAX:
            if went_back:
                speak(f"{len(skipped)} of {SKIPPED_AMONG} steps were not finite, again: stopped; the last checkpoint is kept")
                if world > 1:
                    dist.destroy_process_group()
                raise SystemExit(1)
            step, _, tokens = restore()
            together(world, [0])  # all have read it before it may be written again
            sums, skipped, went_back, first, last_tokens = [], [], True, step, tokens
            write_log({"step": step, "went_back": True})
            continue
        step += 1
        tokens += a.rows * a.context * passes * world
        if cuda and (step % 10 == 0 or step - first < 4):
            torch.cuda.synchronize()
        now = time.time()
        if step - first > 3 or not cuda:
            used += now - last  # the first steps compile
        last = now
        if step % 500 == 0 and world > 1:
            for p in m.parameters():
                dist.broadcast(p.data, 0)
        if sums and (step % 50 == 0 or step - first in (10, 20)):
            mean = torch.stack([torch.stack(x) for x in sums]).mean(0).tolist()
            sums = []
            now = time.time()
            entry = {"step": step, "share": round(share, 4), "loss": round(mean[0], 4), "assistant_loss": round(mean[1], 4), "pair_loss": round(mean[2], 4),
                     "gradient": round(float(norm), 3), "refused": int(muon.refused), "mended": mended, "tokens_s": round((tokens - last_tokens) / (now - last_log)), "rate": round(factor, 4), "tokens": tokens,
                     "passes": {k: round(s.served / max(1, s.size()), 2) for k, s in rows.sources.items()}}
            last_tokens, last_log = tokens, now
            write_log(entry)
        if now - last_scan > 20 and share < .97:
            last_scan = now
            rows.scan_aside()
        if rank == 0 and now - last_save > a.save and not bad and all(p.isfinite().all() for p in m.parameters()):
            save(m, adam, muon, step, used, tokens, checkpoint)
            M.export(m, f"{a.work}/snapshot", a.template)
            last_save = time.time()
    if rank == 0:
        M.export(m, f"{a.work}/model", a.template)
        save(m, adam, muon, step, used, tokens, checkpoint)
        peak = torch.cuda.max_memory_allocated() / 2**30 if cuda else 0
        print(f"exported {parameters} parameters after {step} steps, {tokens} tokens; peak {peak:.1f} GiB", flush=True)
        with open(f"{a.work}/trained", "w") as out:
            json.dump({"steps": step, "tokens": tokens, "seconds": used, "world": world, "peak_gib": peak, "arguments": vars(a)}, out, indent=1)
    if world > 1:
        dist.all_reduce(torch.zeros(1))
        dist.destroy_process_group()


def together(world, values):
    """The largest of each value over the processes. Over the CPU: waits for no GPU."""
    values = torch.tensor([float(v) for v in values], dtype=torch.float64)
    if world > 1:
        dist.all_reduce(values, dist.ReduceOp.MAX)
    return values.tolist()


def save(m, adam, muon, step, used, tokens, path):
    torch.save({"model": m.state_dict(), "adam": adam.state_dict(), "momentum": muon.momentum, "step": step, "used": used, "tokens": tokens}, path + ".part")
    os.replace(path + ".part", path)


if __name__ == "__main__":
    main()
