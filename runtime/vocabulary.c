#include "vocabulary.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "engine/vocab.h"
#include "paths.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

// ---- the choices ----

const struct option_row grammar_option_rows[] = {
    {"spacing", OPTION_TEXT, "NAME",
     "compact: none; python: as json.dumps; flexible: any, up to a bound", NULL},
    {"order", OPTION_TEXT, "NAME", "of keys: schema (unless said otherwise), any, required-first",
     NULL},
    {"escapes", OPTION_TEXT, "NAME", "in strings: any of JSON's (unless said otherwise), minimal",
     NULL},
    {"closed", OPTION_FLAG, NULL,
     "objects that declare properties and say nothing of others take no others", NULL},
    {0},
};

static int choose(const struct command *c, const char *name, const char *const *words, int *out,
                  err *e)
{
    const char *text = cli_text(c, name);
    if (!text) return 0;
    for (*out = 0; words[*out]; (*out)++)
        if (strcmp(words[*out], text) == 0) return 0;
    buf known = buf_new(200);
    for (int i = 0; words[i]; i++) buf_printf(&known, "%s%s", i ? ", " : "", words[i]);
    err_set(e, ERR_USAGE, "--%s: expected one of %s; found `%s`", name, buf_text(&known), text);
    buf_free(&known);
    return -1;
}

int grammar_options_read(const struct command *c, struct grammar_options *o, err *e)
{
    // In the order of their enums.
    static const char *const spacings[] = {"compact", "python", "flexible", NULL},
                             *const orders[] = {"schema", "any", "required-first", NULL},
                             *const escapes[] = {"any", "minimal", NULL};
    int spacing = (int)o->spacing, order = (int)o->order, escape = (int)o->escapes;
    if (choose(c, "spacing", spacings, &spacing, e) || choose(c, "order", orders, &order, e) ||
        choose(c, "escapes", escapes, &escape, e))
        return -1;
    o->spacing = (enum grammar_spacing)spacing;
    o->order = (enum grammar_order)order;
    o->escapes = (enum lex_escapes)escape;
    o->closed = cli_flag(c, "closed");
    return 0;
}

// ---- the vocabulary ----

// The token that ends a turn, by the names that families give it.
static int32_t end_token(const tokenizer *t)
{
    static const char *const names[] = {"<|im_end|>", "<|eot_id|>", "<|end_of_text|>",
                                        "<|endoftext|>", "</s>"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (tokenizer_id(t, names[i]) >= 0) return tokenizer_id(t, names[i]);
    return -1;
}

static size_t heap_bytes(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

static char *tokenizer_path(const char *given, err *e)
{
    if (given) return mem_str(given);
    char *dir = paths_model(NULL, e), *path = dir ? path_join(dir, "tokenizer.json") : NULL;
    free(dir);
    return path;
}

static int open_tokenizer(struct vocabulary *v, const char *given, err *e)
{
    char *path = tokenizer_path(given, e);
    v->t = path ? tokenizer_open(path, e) : NULL;
    int rc = v->t ? 0 : -1;
    if (rc == 0 && end_token(v->t) < 0)
        rc = err_set(e, ERR_INPUT,
                     "%s: added_tokens: expected one that ends a turn, such as <|im_end|>", path);
    free(path);
    return rc;
}

int vocabulary_open(struct vocabulary *v, const char *given, err *e)
{
    bool of_bytes = given && strcmp(given, "bytes") == 0;
    *v = (struct vocabulary){0};
    if (!of_bytes && open_tokenizer(v, given, e)) return -1;
    size_t before = heap_bytes();
    int64_t start = clock_us();
    int rc = of_bytes ? vocab_of_bytes(&v->v, e)
                      : vocab_make(&v->v, v->t, tokenizer_size(v->t), end_token(v->t), e);
    v->ms = (double)(clock_us() - start) / 1e3;
    v->bytes = heap_bytes() - before;
    return rc;
}

void vocabulary_close(struct vocabulary *v)
{
    vocab_free(&v->v);
    tokenizer_close(v->t);
}
