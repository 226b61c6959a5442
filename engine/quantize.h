// Makes an FP8 copy of a model directory.
#pragma once
#include "base/err.h"

// Reads the bf16, f16 or f32 model in in_dir and writes it to out_dir, which must not exist yet:
// the projections of all layers become F8_E4M3 with one f32 scale per row (NAME_scale [N, 1]),
// everything else stays as it is. One model.safetensors; config.json gains quantization_config; the
// tokenizer's files are copied. The directory appears whole or not at all.
int model_quantize(const char *in_dir, const char *out_dir, err *e);
