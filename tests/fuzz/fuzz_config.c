// libs: engine base
// The text of a config.json, and the same as that of a hf_quant_config.json. What is accepted has a
// shape that the rest of the engine can rely on.
#include "engine/config.h"

#include <assert.h>
#include <math.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    err e = {ERR_NONE, ""};
    struct config c;
    if (config_parse(&c, (const char *)data, n, "fuzz.json", &e) == 0) {
        assert(c.architecture && c.n_layer >= 1 && c.dim >= 1 && c.ffn_dim >= 1 && c.n_vocab >= 1);
        assert(c.head_dim >= 2 && c.head_dim <= HEAD_DIM_MAX && c.head_dim % 2 == 0);
        assert(c.n_kv_head >= 1 && c.n_head % c.n_kv_head == 0);
        assert(c.n_expert_used <= c.n_expert && c.n_eos <= EOS_MAX);
        assert(c.n_layer <= LAYER_MAX && c.rope_scale > 0 && isfinite(c.rope_scale));
        for (int l = 0; l < c.n_layer; l++) assert(!c.windowed[l] || c.window >= 1);
        for (int i = 0; i < c.head_dim / 2; i++) assert(!isnan(c.inv_freq[i]));
        for (int i = 0; i < c.n_eos; i++) assert(c.eos[i] >= 0 && c.eos[i] < c.n_vocab);
    } else {
        assert(e.code == ERR_INPUT && strncmp(e.msg, "fuzz.json: ", 11) == 0);
    }
    c = (struct config){0};
    e = (err){ERR_NONE, ""};
    if (config_parse_modelopt(&c, (const char *)data, n, "fuzz.json", &e))
        assert(e.code == ERR_INPUT && strncmp(e.msg, "fuzz.json: ", 11) == 0);
    return 0;
}
