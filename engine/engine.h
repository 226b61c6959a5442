// The engine: model files -> tokens -> logits -> one sampled token. It knows nothing of tools, of
// conversations or of SQLite. An `engine` is one loaded model and is read-only after engine_open; a
// `session` is one mutable timeline of tokens with its KV cache. All of a session's memory is
// allocated in session_new; nothing is allocated per token.
#pragma once
#include "base/err.h"
#include "engine/grammar.h"
#include "engine/loader.h"
#include "engine/plan.h"
#include "engine/tokenizer.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct engine engine;
typedef struct session session;

struct engine_options {
    const char *model_dir; // a Hugging Face directory: config.json, tokenizer.json, *.safetensors
    const char *backend;   // "cuda" (one NVIDIA GPU), "cpu" (threads and SIMD) or "ref" (scalar
                           // oracle); NULL: cuda where build and machine have it, else cpu
    int n_thread;          // 0: one per online CPU
    int ctx_max;           // tokens a session can hold; 0: what config.json says, at most 8192
    const char *kv; // type of a session's keys and values: "fp8", or what the backend has else:
                    // "bf16" (cuda), "f32" (cpu, ref); NULL: the latter
    int n_session;  // sessions that there will be at a time, for the plan; 0: one
    struct load_watch watch; // told while weights are copied to a device
};

struct engine_info {
    const char *architecture; // "qwen3", "qwen2", "llama", "qwen3_moe"
    const char *weight_type;  // "fp8_e4m3", "bf16", ... : the type most weight bytes have
    const char *backend;      // "ref", "cpu avx2", "cpu neon", ...
    int n_layer, dim, n_head, n_kv_head, head_dim, ffn_dim, n_vocab, ctx_max, n_thread;
    struct memory_plan plan; // made, and found to fit, before anything was loaded
    uint64_t n_parameter;
    uint64_t weight_bytes;           // resident bytes of all weights
    uint64_t weight_bytes_per_token; // bytes of weights one decode step reads
    char digest[65];                 // SHA-256 in hex of config.json and every safetensors header:
                                     // names the model in the store, so vectors of two never mix
};

// Loads, validates every tensor, and warms up. NULL and *e on failure (names file, tensor,
// expected, found).
engine *engine_open(const struct engine_options *o, err *e);
void engine_close(engine *en);
const struct engine_info *engine_info(const engine *en);
const tokenizer *engine_tokenizer(const engine *en);
const grammar_vocab *engine_vocab(const engine *en); // the token bytes, as grammars want them
const char *engine_chat_template(const engine *en); // Jinja source, or NULL when the model has none
bool engine_is_end(const engine *en, int32_t token); // any token at which the model stops; models
                                                     // name several, tokenizer_eos is one of them
const char *
engine_bos(const engine *en); // content of the named token, for the template; NULL: none
const char *engine_eos(const engine *en);

struct sample_options {
    float temperature; // 0: greedy, the rest is ignored
    float top_p;       // 1: off
    int top_k;         // 0: off
    float min_p;       // 0: off
    uint64_t seed;
};

session *session_new(engine *en, err *e);
void session_free(session *s);

// Makes the session's timeline equal tokens[0..n): keeps the common prefix already in the KV cache
// and runs the rest, so that session_logits holds the logits after the last token. n >= 1.
// *n_reused (may be NULL) gets the tokens that were not computed again. Fails with ERR_BUDGET when
// n exceeds ctx_max. `cancel` (may be NULL) is looked at every few milliseconds; when it becomes
// non-zero: ERR_CANCELLED.
int session_sync(session *s, const int32_t *tokens, size_t n, size_t *n_reused,
                 const volatile int *cancel, err *e);

const float *
session_logits(session *s); // [n_vocab] after the last token; valid until the next call
size_t session_length(const session *s); // tokens in the timeline
int session_ctx_max(const session *s);

// Picks a token from the current logits: the mask first (NULL: none), then temperature, top-k,
// top-p, min-p, then a draw with the generator that `session_seed` set. Does not advance the
// timeline. `mask` is a bitset of n_vocab bits; at least one must be set.
int32_t session_sample(session *s, const struct sample_options *o, const uint64_t *mask);
void session_seed(session *s, uint64_t seed);

// Appends one token and computes the logits after it; or n >= 1 tokens at once, at hardly more cost
// as long as they are few, and the logits after the last.
int session_step(session *s, int32_t token, err *e);
int session_append(session *s, const int32_t *tokens, size_t n, err *e);
// The same in two halves. What stands between them runs while the model does, where the model runs
// on a device of its own; a CPU that it keeps busy has done its work when session_issue returns.
// Nothing else may be asked of the session in between.
int session_issue(session *s, const int32_t *tokens, size_t n, err *e);
int session_await(session *s, err *e);

// The pooled hidden state of a text: mean over its tokens of the final normed hidden state, scaled
// to unit length. out is [dim]. Uses the session's KV memory: the timeline is empty afterwards.
int session_embed(session *s, const char *text, size_t n_bytes, float *out, err *e);
