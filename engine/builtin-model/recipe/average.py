#!/usr/bin/env python3
"""Averages the weights of two exports of one shape, in bf16: average.py DIR DIR NEW_DIR [share of the second, 0.5]. Needs numpy."""
import json
import os
import shutil
import sys

import numpy as np


def read(folder):
    """{name: (header, bf16 bits, file)}"""
    tensors = {}
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".safetensors"):
            continue
        with open(os.path.join(folder, name), "rb") as file:
            raw = file.read()
        start = 8 + int.from_bytes(raw[:8], "little")
        for key, meta in json.loads(raw[8:start]).items():
            if key == "__metadata__":
                continue
            if meta["dtype"] != "BF16":
                raise SystemExit(f"{folder}/{name}: {key}: expected BF16, found {meta['dtype']}")
            begin, end = meta["data_offsets"]
            tensors[key] = (meta, np.frombuffer(raw, np.uint16, (end - begin) // 2, start + begin), name)
    return tensors


def to_f32(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32)


def to_bf16(values):
    bits = values.view(np.uint32)
    return ((bits + 0x7fff + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def write(path, tensors):
    header, at = {}, 0
    for key, (meta, bits) in tensors.items():
        header[key] = {**meta, "data_offsets": [at, at + 2 * bits.size]}
        at += 2 * bits.size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, bits in tensors.values():
            file.write(bits.tobytes())


def main(first, second, new, share="0.5"):
    a, b, share = read(first), read(second), float(share)
    if {k: m["shape"] for k, (m, _, _) in a.items()} != {k: m["shape"] for k, (m, _, _) in b.items()}:
        raise SystemExit(f"{first} and {second} do not have the same tensors")
    os.makedirs(new, exist_ok=True)
    files = {}
    for key, (meta, bits, name) in a.items():
        files.setdefault(name, {})[key] = (meta, to_bf16((1 - share) * to_f32(bits) + share * to_f32(b[key][1])))
    for name, tensors in files.items():
        write(os.path.join(new, name), tensors)
    for name in os.listdir(first):
        if name.endswith(".json"):
            shutil.copyfile(os.path.join(first, name), os.path.join(new, name))


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
