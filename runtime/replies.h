// Replies written down in advance, in place of a model's. All else of a turn is real: the prompt is
// rendered and must fit the context, each reply is taken apart into tokens that the grammar's mask
// allows, budgets count them, calls run in their boxes. So a task can be shown to be solvable, and
// a loop can be tested, without a model that happens to answer so.
#pragma once
#include "base/err.h"
#include "engine/chat.h"
#include "tools/tool.h"

typedef struct replies replies;

// list: one reply for each step, used in order: text, a call ["NAME", {arguments}], or a list of
// calls. NULL: every reply is the empty text. Owned by the caller, as is `where`, the name for
// errors. NULL and *e (ERR_INPUT) when an item is none of these.
replies *replies_open(const json_t *list, const char *where, err *e);
void replies_close(replies *r);
size_t replies_left(const replies *r);

// Takes the next reply, written as a model with this template would write it. ERR_FAILED when none
// is left.
int replies_next(replies *r, const chat *c, const tool *const *tools, size_t n_tool, err *e);

// The longest token that the mask allows and that the reply goes on with, or the end token. -1 with
// *e (ERR_FAILED) when the mask allows none.
int32_t replies_token(replies *r, const grammar_vocab *v, const uint64_t *mask, err *e);
