// What engine.h calls a session, over a model and its tokenizer.
#pragma once
#include "engine/engine.h"
#include "engine/model.h"

// The sampler picks only ids that `t` has; without one (NULL) any, and session_embed is not
// allowed.
session *session_open(const struct model *m, const tokenizer *t, int ctx_max, err *e);
