// Memory of one turn: many small allocations, freed together. Blocks are kept on reset, so a second
// turn of the same size allocates nothing.
#pragma once
#include <stddef.h>

typedef struct arena arena;

arena *arena_new(size_t block_bytes);
void arena_free(arena *a);
void arena_reset(arena *a);                  // everything handed out is gone; blocks stay
void *arena_alloc(arena *a, size_t n_bytes); // zeroed, aligned to 16
char *arena_strn(arena *a, const char *s, size_t n);
size_t arena_used(const arena *a); // bytes handed out since the last reset
