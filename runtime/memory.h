// What an agent knows beyond one conversation: short facts, each with the vector of its text.
// Recall asks two witnesses, words (FTS5, BM25) and meaning (exact scan of the vectors of the
// loaded model), and fuses their ranks. Vectors of two models are never compared: each names its
// model by digest.
#pragma once
#include "base/err.h"
#include "engine/engine.h"
#include "store.h"

typedef struct memory memory;

// Borrows the store, the engine and a session of it that is free to be overwritten (NULL engine:
// words only). agent: whose memories these are.
memory *memory_open(store *s, int64_t agent, engine *en, session *embed, err *e);
void memory_close(memory *m);

// Saves a fact and its vector in one transaction. Saying the same again (but for case and spaces)
// touches the old one. Returns its id, -1 with *e.
int64_t memory_remember(memory *m, int64_t conversation, const char *text, err *e);

// New array of {id, text, score, words_rank, vector_rank, created_us}, best first, at most k; ranks
// count from 1, 0 means not found by that witness. Any text is a valid query.
json_t *memory_recall(memory *m, const char *query, int k, err *e);

int64_t memory_count(memory *m, err *e);
