#!/usr/bin/env python3
"""The pinned logits of test_experts.c: python3 experts.py DIR, with DIR the directory that tiny_make
("Qwen3MoeForCausalLM", "F32", 9) writes. Needs torch and transformers; never needed to build or test."""
import json
import sys

import torch
from safetensors.torch import load_file
from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

folder, tokens = sys.argv[1], [1, 100, 57, 200, 3, 3, 250]
fields = json.load(open(f"{folder}/config.json"))
model = Qwen3MoeForCausalLM(Qwen3MoeConfig(**fields)).float().eval()
if hasattr(model, "set_experts_implementation"):
    model.set_experts_implementation("eager")
weights = load_file(f"{folder}/model.safetensors")
if "model.layers.0.mlp.experts.0.gate_proj.weight" not in model.state_dict():  # newer versions keep experts together
    for layer in range(fields["num_hidden_layers"]):
        base = f"model.layers.{layer}.mlp.experts"
        each = [[weights.pop(f"{base}.{e}.{p}_proj.weight") for p in ("gate", "up", "down")] for e in range(fields["num_experts"])]
        weights[f"{base}.gate_up_proj"] = torch.stack([torch.cat([g, u]) for g, u, _ in each])
        weights[f"{base}.down_proj"] = torch.stack([d for _, _, d in each])
missing = model.load_state_dict({k: v.float() for k, v in weights.items()}, strict=False)
assert not missing.missing_keys and not missing.unexpected_keys, missing
with torch.no_grad():
    logits = model(torch.tensor([tokens])).logits[0, -1]
print(", ".join(f"{{{i}, {logits[i].item():.7f}}}" for i in range(0, len(logits), 23)))
