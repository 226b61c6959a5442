#!/usr/bin/env python3
"""Writes a model directory of about so many GB, for `hearth bench load --model DIR`: a Llama shape in bf16 with random weights and
no tokenizer. Needs Python 3 alone; no part of the tests.

usage: large_model.py DIR GB
"""
import json
import os
import sys

DIM, FFN, HEADS, KV, VOCAB = 4096, 14336, 32, 8, 32000


def layer(i):
    kv = DIM // HEADS * KV
    shapes = {"input_layernorm": [DIM], "post_attention_layernorm": [DIM], "self_attn.q_proj": [DIM, DIM], "self_attn.k_proj": [kv, DIM],
              "self_attn.v_proj": [kv, DIM], "self_attn.o_proj": [DIM, DIM], "mlp.gate_proj": [FFN, DIM], "mlp.up_proj": [FFN, DIM],
              "mlp.down_proj": [DIM, FFN]}
    return {f"model.layers.{i}.{k}.weight": v for k, v in shapes.items()}


def size(shapes):
    return sum(2 * s[0] * (s[1] if len(s) > 1 else 1) for s in shapes.values())


def write_shard(path, shapes):
    header, at = {}, 0
    for name, shape in shapes.items():
        n = size({name: shape})
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + n]}
        at += n
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        block = bytes(b & 0x3f for b in os.urandom(1 << 20))  # no NaN among them
        while at:
            at -= file.write(block[:min(at, len(block))])


def main():
    folder, gb = sys.argv[1], float(sys.argv[2])
    outer = {"model.embed_tokens.weight": [VOCAB, DIM], "lm_head.weight": [VOCAB, DIM], "model.norm.weight": [DIM]}
    n_layer = max(1, round((gb * 1e9 - size(outer)) / size(layer(0))))
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/config.json", "w") as file:
        json.dump({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": DIM, "intermediate_size": FFN, "num_hidden_layers": n_layer,
                   "num_attention_heads": HEADS, "num_key_value_heads": KV, "vocab_size": VOCAB, "rms_norm_eps": 1e-5, "rope_theta": 5e5,
                   "max_position_embeddings": 4096, "tie_word_embeddings": False, "hidden_act": "silu", "eos_token_id": 2}, file)
    shards, names = [outer], {}
    for i in range(n_layer):
        if size(shards[-1]) > 4e9:
            shards.append({})
        shards[-1].update(layer(i))
    for i, shapes in enumerate(shards, 1):
        name = f"model-{i:05d}-of-{len(shards):05d}.safetensors"
        write_shard(f"{folder}/{name}", shapes)
        names.update({tensor: name for tensor in shapes})
    with open(f"{folder}/model.safetensors.index.json", "w") as file:
        json.dump({"metadata": {}, "weight_map": names}, file)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main()
