// libs: engine base
// The input is EBNF: it compiles, or is refused with a line and a column, within its caps; its fast
// masks are the slow ones, it never runs into a dead end, and the budget holds.
#include "rule_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    err e = {0};
    int line, column;
    if (n > 1500) return 0;
    char *text = mem_strn((const char *)data, n);
    grammar *g = grammar_from_ebnf(walk_vocabulary(), text, &e);
    if (g)
        walk_anyhow(g, walk_seed(data, n));
    else
        walk_check(sscanf(e.msg, "grammar: %d:%d: ", &line, &column) == 2 ||
                       strstr(e.msg, "too large") || strstr(e.msg, "no text") ||
                       strstr(e.msg, "too many ways"),
                   e.msg);
    grammar_free(g);
    free(text);
    return 0;
}
