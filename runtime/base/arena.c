#include "base/arena.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

struct block {
    struct block *next;
    size_t cap, used;
    _Alignas(16) char bytes[];
};

struct arena {
    struct block *first, *current;
    size_t block_bytes, used;
};

arena *arena_new(size_t block_bytes)
{
    arena *a = mem_new(sizeof *a);
    a->block_bytes = block_bytes ? block_bytes : 4096;
    return a;
}

void arena_free(arena *a)
{
    if (!a) return;
    for (struct block *b = a->first, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(a);
}

void arena_reset(arena *a)
{
    for (struct block *b = a->first; b; b = b->next) b->used = 0;
    a->current = a->first;
    a->used = 0;
}

void *arena_alloc(arena *a, size_t n_bytes)
{
    size_t n = (n_bytes + 15) & ~(size_t)15;
    struct block *b = a->current;
    while (b && b->cap - b->used < n) b = b->next;
    if (!b) {
        size_t cap = n > a->block_bytes ? n : a->block_bytes;
        b = mem_grow(NULL, sizeof *b + cap);
        *b = (struct block){.next = a->first, .cap = cap};
        a->first = b;
    }
    a->current = b;
    void *p = b->bytes + b->used;
    b->used += n;
    a->used += n;
    memset(p, 0, n);
    return p;
}

char *arena_strn(arena *a, const char *s, size_t n)
{
    char *copy = arena_alloc(a, n + 1);
    memcpy(copy, s, n);
    return copy;
}

size_t arena_used(const arena *a)
{
    return a->used;
}
