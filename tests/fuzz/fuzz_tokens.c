// libs: engine base
// The first line is a kind of grammar (schema, regex, ebnf, tags), then comes its text up to a line
// that is ---, then bytes that each move one of four states: on by a token, back by some, to a copy
// of another. Whatever is done, a state's masks are those of a new one that its tokens lead to, and
// fast ones the slow ones.
#include "rule_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static grammar *compile(const char *kind, const char *text, uint64_t seed)
{
    err e;
    grammar *g = NULL;
    const grammar_vocab *v = walk_vocabulary();
    struct grammar_options o = {.spacing = (enum grammar_spacing)(seed % 3),
                                .order = (enum grammar_order)(seed / 3 % 3),
                                .escapes = (enum lex_escapes)(seed / 9 % 2),
                                .space_max = 3};
    if (strcmp(kind, "regex") == 0) return grammar_from_regex(v, text, &e);
    if (strcmp(kind, "ebnf") == 0) return grammar_from_ebnf(v, text, &e);
    json_t *spec = json_loads(text, JSON_DECODE_ANY, NULL);
    if (spec && strcmp(kind, "schema") == 0) g = grammar_from_schema(v, spec, &o, &e);
    if (spec && strcmp(kind, "tags") == 0) g = grammar_from_tags(v, spec, &o, &e);
    json_decref(spec);
    return g;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *all = (const char *)data, *line = n ? memchr(all, '\n', n) : NULL;
    if (!line || n > 3000) return 0;
    size_t head = (size_t)(line - all) + 1;
    const char *end = memmem(line, n - head + 1, "\n---\n", 5);
    if (!end || end < line + 1) return 0;
    char *kind = mem_strn(all, head - 1), *text = mem_strn(line + 1, (size_t)(end - line - 1));
    uint64_t seed = walk_seed(data, n);
    grammar *g = compile(kind, text, seed);
    if (g) {
        rng r = rng_seed(seed);
        const uint8_t *op = (const uint8_t *)end + 5;
        size_t n_op = n - (size_t)((const char *)op - all);
        walk_moves(g, op, n_op < 200 ? n_op : 200, &r);
        walk_to_end(g, &r);
    }
    grammar_free(g);
    free(kind);
    free(text);
    return 0;
}
