// What engine.h calls a session, over a model and its tokenizer.
#pragma once
#include "engine/engine.h"
#include "engine/model.h"

// The sampler picks only ids that `t` has; without one (NULL) any, and session_embed is not
// allowed.
session *session_open(const struct model *m, const tokenizer *t, int ctx_max, err *e);

// session_step of n tokens at once, n <= 8: what checking drafted tokens costs. session_logits are
// those after the last.
int session_steps(session *s, const int32_t *tokens, int n, err *e);
