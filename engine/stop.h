// Stop strings: texts that end generation when they appear in what the model writes.
#pragma once
#include <stddef.h>

struct stop_list {
    const char *const *text; // [n], none empty
    size_t n;
};

#define STOP_NONE ((size_t)-1)

// Where the earliest stop string begins in text[from..n), or STOP_NONE. `seen` is how far an
// earlier call looked (from at first): only matches that end behind it are searched for. *held gets
// the number of bytes at the end that may be the beginning of a stop string and should not be shown
// yet.
size_t stop_find(const struct stop_list *s, const char *text, size_t from, size_t seen, size_t n,
                 size_t *held);
