#include "engine/stop.h"

#include <string.h>

// The longest end of text[from..n) that begins `stop` without being all of it.
static size_t begun(const char *stop, size_t len, const char *text, size_t from, size_t n)
{
    size_t most = len - 1 < n - from ? len - 1 : n - from;
    for (size_t k = most; k > 0; k--)
        if (memcmp(text + n - k, stop, k) == 0) return k;
    return 0;
}

size_t stop_find(const struct stop_list *s, const char *text, size_t from, size_t seen, size_t n,
                 size_t *held)
{
    size_t first = STOP_NONE;
    *held = 0;
    for (size_t i = 0; i < s->n; i++) {
        size_t len = strlen(s->text[i]);
        // A new match ends behind `seen`, so it begins at most len - 1 bytes in front of it.
        size_t start = seen - from >= len ? seen - len + 1 : from;
        if (n - from >= len)
            for (size_t at = start; at + len <= n; at++)
                if (memcmp(text + at, s->text[i], len) == 0) {
                    if (at < first) first = at;
                    break;
                }
        size_t k = begun(s->text[i], len, text, from, n);
        if (k > *held) *held = k;
    }
    return first;
}
