// How fast a model's shape prefills and decodes here, and how near decoding comes to the speed at
// which the same threads read memory in the same run.
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

struct decode_bench_options {
    const char *model_dir; // a model to load, or NULL: a shape with random weights
    const char *shape;     // one of decode_bench_shape; without model_dir only
    const char *weights;   // "fp8" (NULL: this), "bf16", "nvfp4" or "mxfp4"; without model_dir
                           // only. Of gpt-oss those of experts: the others are bf16
    const char *head;      // the same for the output head; NULL: bf16, fp8 with nvfp4 and mxfp4,
                           // where all matrices have them
    const char
        *activations; // of many tokens, where the backend can: "fp8" at FP8 weights (NULL:
                      // this), "fp4" at NVFP4 weights, too, or "16bit"; without model_dir only
    const char *backend, *kv; // as engine_options
    int n_thread;             // 0: one per CPU
    int n_prompt, n_decode;   // tokens, the first at least 1; 0 decoded: prefill alone
    int n_row;                // tokens per step, 1 to 8
    int repeat;               // at least 1
};

struct decode_bench_result {
    char backend[32], weight_type[16], kv_type[16];
    int n_thread;
    uint64_t n_parameter, weight_bytes_per_token;
    double prefill_tflops; // 1e12 multiplications and additions per second while prefilling
    double prefill_tps, decode_tps; // tokens and steps per second: medians of the repetitions
    double decode_spread;           // (largest - smallest) / median of decode_tps
    // Of a step, from the logits on until the next step is issued: the choice of the token, on the
    // device and waited for, and all that the host does. A CPU computes the step in it, too.
    double between_us;
    double read_gbps;          // plain reading: the median
    double ratio;              // weight bytes read while decoding / plain reading
    double kv_bytes_per_token; // of keys and values that a step reads, in the middle of decoding
    double full_ratio;         // with those bytes, too
};

const char *decode_bench_shape(int i); // "builtin", "llama-3.2-1b", ...; NULL past the end

// `cancel` as in session_sync.
int decode_bench(const struct decode_bench_options *o, struct decode_bench_result *result,
                 const volatile int *cancel, err *e);
