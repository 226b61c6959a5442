#include "constraint.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "verb_schema.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[CONSTRAINT_KINDS] = {"schema", "regex", "ebnf", "tags"};

const char *constraint_name(enum constraint_kind kind)
{
    return names[kind];
}

int constraint_of(const char *name)
{
    for (int i = 0; i < CONSTRAINT_KINDS; i++)
        if (strcmp(names[i], name) == 0) return i;
    return -1;
}

int constraint_read(struct constraint *c, enum constraint_kind kind, const char *path, err *e)
{
    *c = (struct constraint){.kind = kind};
    if (kind == CONSTRAINT_SCHEMA || kind == CONSTRAINT_TAGS) {
        c->json = json_from(path, e);
        return c->json ? 0 : -1;
    }
    size_t n;
    c->text = text_from(path, &n, e);
    if (!c->text) return -1;
    if (strlen(c->text) != n) return err_set(e, ERR_INPUT, "%s: a NUL byte", path);
    if (kind == CONSTRAINT_REGEX && n > 0 && c->text[n - 1] == '\n') c->text[--n] = 0;
    if (kind == CONSTRAINT_REGEX && n > 0 && c->text[n - 1] == '\r') c->text[--n] = 0;
    return 0;
}

void constraint_free(struct constraint *c)
{
    json_decref(c->json);
    free(c->text);
    *c = (struct constraint){0};
}

// The constraint as a structural tag.
static json_t *as_tag(const struct constraint *c)
{
    switch (c->kind) {
    case CONSTRAINT_SCHEMA:
        return json_pack("{s:s, s:O}", "type", "json_schema", "json_schema", c->json);
    case CONSTRAINT_REGEX: return json_pack("{s:s, s:s}", "type", "regex", "pattern", c->text);
    case CONSTRAINT_GRAMMAR: return json_pack("{s:s, s:s}", "type", "grammar", "grammar", c->text);
    default: return json_incref(c->json);
    }
}

grammar *constraint_compile(const struct constraint *c, const grammar_vocab *v,
                            const struct grammar_options *o, const char *think_begin,
                            const char *think_end, err *e)
{
    if (think_end) { // a thinking model leaves a line or two between its thoughts and the answer
        json_t *tags = json_pack("{s:s, s:[{s:s, s:s, s:s}, {s:s, s:s}, o]}", "type", "sequence",
                                 "elements", "type", "reasoning", "begin", think_begin, "end",
                                 think_end, "type", "regex", "pattern", "\\n{0,2}", as_tag(c));
        grammar *g = grammar_from_tags(v, tags, o, e);
        json_decref(tags);
        return g;
    }
    switch (c->kind) {
    case CONSTRAINT_SCHEMA: return grammar_from_schema(v, c->json, o, e);
    case CONSTRAINT_REGEX: return grammar_from_regex(v, c->text, e);
    case CONSTRAINT_GRAMMAR: return grammar_from_ebnf(v, c->text, e);
    default: return grammar_from_tags(v, c->json, o, e);
    }
}
