"""The built-in model in PyTorch: Qwen3 with tied embeddings. Weights are stacked over layers, one tensor for each kind, so that Muon
is a few batched products. `load_directory` reads a Hugging Face directory (bf16, or FP8 as Hearth writes it), `export` writes one."""
import glob
import json
import math
import os
import shutil

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.attention.flex_attention import flex_attention

HEAD = 64
SHARD_BYTES = 15 * 2**20 - 65536  # a file of weights stays below 15 MiB


class Shape:
    def __init__(self, layers=12, dim=512, ffn=1024, heads=8, kv=2, vocab=8192, context=4096, theta=10000.0):
        self.layers, self.dim, self.ffn, self.heads, self.kv = layers, dim, ffn, heads, kv
        self.vocab, self.context, self.theta = vocab, context, theta


def rms(x, weight):
    return F.rms_norm(x.float(), (x.shape[-1],), weight, 1e-6).to(x.dtype)


def fp8(w):
    """w as the FP8 export has it, e4m3 with one scale per row (engine/quantize.c); the gradient passes as if it were w, so that training
    finds weights that lose nothing when they are rounded."""
    with torch.no_grad():
        scale = (w.abs().amax(-1, keepdim=True) / 448).clamp(min=2.0**-126)
        change = (w / scale).to(torch.float8_e4m3fn).to(w.dtype) * scale - w
    return w + change


class Model(nn.Module):
    def __init__(self, shape):
        super().__init__()
        s = self.shape = shape
        q, k = s.heads * HEAD, s.kv * HEAD
        normal = lambda *size, std=0.02: nn.Parameter(torch.randn(*size) * std)
        ones = lambda *size: nn.Parameter(torch.ones(*size))
        small = 0.02 / math.sqrt(2 * s.layers)
        self.emb = normal(s.vocab, s.dim)
        self.wqkv = normal(s.layers, q + 2 * k, s.dim)
        self.wo = normal(s.layers, s.dim, q, std=small)
        self.w13 = normal(s.layers, 2 * s.ffn, s.dim)
        self.w2 = normal(s.layers, s.dim, s.ffn, std=small)
        self.n1, self.n2, self.nf = ones(s.layers, s.dim), ones(s.layers, s.dim), ones(s.dim)
        self.qn, self.kn = ones(s.layers, HEAD), ones(s.layers, HEAD)
        inverse = 1.0 / (s.theta ** (torch.arange(0, HEAD, 2).float() / HEAD))
        angle = torch.outer(torch.arange(s.context).float(), inverse)
        angle = torch.cat([angle, angle], -1)
        self.register_buffer("cos", angle.cos()[None, None], persistent=False)
        self.register_buffer("sin", angle.sin()[None, None], persistent=False)
        self.drops = False  # whether training leaves out a share `drop` of what each half of a layer adds
        self.register_buffer("drop", torch.zeros(()), persistent=False)

    def matrices(self):
        """Muon's parameters with the rows of the products stacked in each."""
        q, k = self.shape.heads * HEAD, self.shape.kv * HEAD
        return [(self.wqkv, [q, k, k]), (self.wo, [self.shape.dim]), (self.w13, [self.shape.ffn] * 2), (self.w2, [self.shape.dim])]

    def vectors(self):
        return [self.n1, self.n2, self.nf, self.qn, self.kn]

    def rope(self, x):
        a, b = x.chunk(2, -1)
        n = x.shape[2]
        turned = torch.cat([-b, a], -1)
        return (x.float() * self.cos[:, :, :n] + turned.float() * self.sin[:, :, :n]).to(x.dtype)

    def dropped(self, x):
        if not (self.drops and self.training):
            return x
        keep = torch.rand(x.shape, device=x.device) >= self.drop
        return x * (keep / (1 - self.drop)).to(x.dtype)

    def states(self, tokens, mask):
        """Final-norm states [rows, length, dim]. mask: a BlockMask, or a bool tensor [rows, 1, length, length]."""
        s, (rows, n) = self.shape, tokens.shape
        kind = torch.bfloat16
        q_size, k_size = s.heads * HEAD, s.kv * HEAD
        x = F.embedding(tokens, self.emb.to(kind))
        weights = [fp8(w).to(kind).unbind(0) for w in (self.wqkv, self.wo, self.w13, self.w2)]
        layers = zip(*weights, self.n1.unbind(0), self.n2.unbind(0), self.qn.unbind(0), self.kn.unbind(0))
        for wqkv, wo, w13, w2, n1, n2, qn, kn in layers:
            q, k, v = F.linear(rms(x, n1), wqkv).split([q_size, k_size, k_size], -1)
            q = self.rope(rms(q.view(rows, n, s.heads, HEAD), qn).transpose(1, 2))
            k = self.rope(rms(k.view(rows, n, s.kv, HEAD), kn).transpose(1, 2))
            v = v.view(rows, n, s.kv, HEAD).transpose(1, 2)
            if isinstance(mask, torch.Tensor):
                y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
            else:
                y = flex_attention(q, k, v, block_mask=mask, enable_gqa=True)
            x = x + self.dropped(F.linear(y.transpose(1, 2).reshape(rows, n, q_size), wo))
            gate, up = F.linear(rms(x, n2), w13).chunk(2, -1)
            x = x + self.dropped(F.linear(F.silu(gate) * up, w2))
        return rms(x, self.nf)

    def forward(self, tokens, target, weight, mask):
        """(weighted mean loss, loss of each token, states)."""
        x = self.states(tokens, mask)
        logits = F.linear(x, self.emb.to(x.dtype))
        loss = F.cross_entropy(logits.view(-1, self.shape.vocab).float(), target.reshape(-1), reduction="none")
        mean = (loss * weight.reshape(-1)).sum() / weight.sum().clamp(min=1)
        return mean, loss, x


# ---- Hugging Face directories ----

def tensors(model):
    """(name in the directory, tensor of the model or a part of it)."""
    s = model.shape
    q, k = s.heads * HEAD, s.kv * HEAD
    yield "model.embed_tokens.weight", model.emb
    yield "model.norm.weight", model.nf
    for i in range(s.layers):
        at = f"model.layers.{i}."
        yield at + "self_attn.q_proj.weight", model.wqkv[i, :q]
        yield at + "self_attn.k_proj.weight", model.wqkv[i, q:q + k]
        yield at + "self_attn.v_proj.weight", model.wqkv[i, q + k:]
        yield at + "self_attn.o_proj.weight", model.wo[i]
        yield at + "self_attn.q_norm.weight", model.qn[i]
        yield at + "self_attn.k_norm.weight", model.kn[i]
        yield at + "mlp.gate_proj.weight", model.w13[i, :s.ffn]
        yield at + "mlp.up_proj.weight", model.w13[i, s.ffn:]
        yield at + "mlp.down_proj.weight", model.w2[i]
        yield at + "input_layernorm.weight", model.n1[i]
        yield at + "post_attention_layernorm.weight", model.n2[i]


@torch.no_grad()
def load_directory(model, directory):
    from safetensors import safe_open
    found = {}
    for path in sorted(glob.glob(os.path.join(directory, "*.safetensors"))):
        with safe_open(path, "pt") as file:
            for name in file.keys():
                found[name] = file.get_tensor(name)
    for name, part in tensors(model):
        value = found[name].float()
        scale = found.get(name.replace(".weight", ".weight_scale"))
        if scale is not None:
            value = value * scale.float().reshape(-1, 1)
        part.copy_(value)


def export(model, directory, template):
    """Writes bf16 weights in shards, the configuration, and the tokenizer files of `template`."""
    from safetensors.torch import save_file
    os.makedirs(directory, exist_ok=True)
    shards, size, total, places = [{}], 0, 0, {}
    for name, part in tensors(model):
        value = part.detach().to(torch.bfloat16).cpu().contiguous()
        bytes_ = value.numel() * 2
        if size + bytes_ > SHARD_BYTES:
            shards.append({})
            size = 0
        shards[-1][name] = value
        size, total = size + bytes_, total + bytes_
    for i, shard in enumerate(shards):
        file = f"model-{i + 1:05d}-of-{len(shards):05d}.safetensors"
        save_file(shard, os.path.join(directory, file), metadata={"format": "pt"})
        places.update({name: file for name in shard})
    with open(os.path.join(directory, "model.safetensors.index.json"), "w") as out:
        json.dump({"metadata": {"total_size": total}, "weight_map": places}, out, indent=1)
    with open(os.path.join(template, "config.json")) as file:
        config = json.load(file)
    config.pop("quantization_config", None)
    s = model.shape
    config.update(num_hidden_layers=s.layers, max_window_layers=s.layers, hidden_size=s.dim, intermediate_size=s.ffn, num_attention_heads=s.heads,
                  num_key_value_heads=s.kv, vocab_size=s.vocab, max_position_embeddings=s.context, rope_theta=s.theta, head_dim=HEAD)
    with open(os.path.join(directory, "config.json"), "w") as out:
        json.dump(config, out, indent=1)
    for name in ("generation_config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(os.path.join(template, name), os.path.join(directory, name))
