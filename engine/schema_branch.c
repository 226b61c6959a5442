// The keywords that apply further schemas to the same value, and references.
#include "engine/schema_private.h"

#include <string.h>

static bool is_list(struct checker *c, const struct rule *r)
{
    if (json_is_array(r->value) && json_array_size(r->value) > 0) return true;
    refused(c, "expected a list of schemas");
    return false;
}

enum verdict check_all_of(struct checker *c, const struct rule *r, const json_t *doc)
{
    if (!is_list(c, r)) return REFUSED;
    enum verdict v = VALID;
    for (size_t i = 0; v == VALID && i < json_array_size(r->value); i++)
        v = validate_nth(c, i, json_array_get(r->value, i), doc, r->seen);
    return v;
}

// Counts the branches that hold, `enough` at most; the message kept is of the branch that got
// furthest.
static enum verdict count_branches(struct checker *c, const struct rule *r, const json_t *doc,
                                   size_t enough, size_t *n)
{
    struct schema_fault best = {0};
    size_t best_depth = 0;
    *n = 0;
    if (!is_list(c, r)) return REFUSED;
    for (size_t i = 0; *n < enough && i < json_array_size(r->value); i++) {
        c->f_depth = c->path.n;
        enum verdict v = validate_nth(c, i, json_array_get(r->value, i), doc, r->seen);
        if (v == REFUSED) return REFUSED;
        *n += v == VALID;
        if (c->quiet || v == VALID) continue;
        if (best.code == ERR_NONE || c->f_depth > best_depth) {
            best = *c->f;
            best_depth = c->f_depth;
        }
    }
    if (*n == 0 && best.code != ERR_NONE) {
        *c->f = best;
        c->f_depth = best_depth;
    }
    return VALID;
}

enum verdict check_any_of(struct checker *c, const struct rule *r, const json_t *doc)
{
    size_t n;
    // What each branch evaluates counts, so all are looked at where somebody asks for that.
    if (count_branches(c, r, doc, r->seen ? SIZE_MAX : 1, &n) == REFUSED) return REFUSED;
    return n > 0 ? VALID : INVALID;
}

enum verdict check_one_of(struct checker *c, const struct rule *r, const json_t *doc)
{
    size_t n;
    if (count_branches(c, r, doc, SIZE_MAX, &n) == REFUSED) return REFUSED;
    if (n == 1) return VALID;
    return n == 0 ? INVALID
                  : invalid(c, "fits %zu of the alternatives; it must fit exactly one", n);
}

static enum verdict validate_quietly(struct checker *c, const json_t *schema, const json_t *doc,
                                     struct seen *seen)
{
    c->quiet++;
    enum verdict v = validate(c, schema, doc, seen);
    c->quiet--;
    return v;
}

enum verdict check_not(struct checker *c, const struct rule *r, const json_t *doc)
{
    enum verdict v = validate_quietly(c, r->value, doc, NULL);
    if (v == REFUSED) return REFUSED;
    return v == INVALID ? VALID : invalid(c, "is what must not be");
}

enum verdict check_if(struct checker *c, const struct rule *r, const json_t *doc)
{
    enum verdict v = validate_quietly(c, r->value, doc, r->seen);
    if (v == REFUSED) return REFUSED;
    const char *name = v == VALID ? "then" : "else";
    const json_t *next = json_object_get(r->schema, name);
    if (!next) return VALID;
    size_t before = c->at.n; // then and else stand beside if
    c->at.n -= strlen("/if");
    v = validate_under(c, name, next, doc, r->seen);
    if (c->at.p) memcpy(c->at.p + before - strlen("/if"), "/if", sizeof "/if");
    c->at.n = before;
    return v;
}

// ---- references ----

// Goes on at another place of the schema, as if it stood here.
static enum verdict validate_at(struct checker *c, size_t resource, const json_t *node,
                                const char *at, const struct rule *r, const json_t *doc)
{
    buf here = c->at;
    size_t before = c->resource;
    c->at = buf_new(here.max);
    buf_str(&c->at, at);
    c->resource = resource;
    enum verdict v = validate(c, node, doc, r->seen);
    buf_free(&c->at);
    c->at = here;
    c->resource = before;
    return v;
}

static bool follow(struct checker *c, const struct rule *r, struct target *t)
{
    char why[200];
    const char *ref = json_string_value(r->value);
    if (!ref)
        refused(c, "expected a reference, found %s", json_kind(r->value));
    else if (index_follow(&c->v->index, c->resource, ref, t, why))
        return true;
    else
        refused(c, "%s", why);
    return false;
}

enum verdict check_ref(struct checker *c, const struct rule *r, const json_t *doc)
{
    struct target t;
    if (!follow(c, r, &t)) return REFUSED;
    enum verdict v = validate_at(c, t.resource, t.node, buf_text(&t.at), r, doc);
    buf_free(&t.at);
    return v;
}

// 2019-09: where the resource at hand says $recursiveAnchor, its outermost caller that says so too
// is meant.
enum verdict check_recursive_ref(struct checker *c, const struct rule *r, const json_t *doc)
{
    const struct resource *all = c->v->index.resources;
    const char *ref = json_string_value(r->value);
    size_t meant = c->resource;
    if (!ref || strcmp(ref, "#") != 0) return refused(c, "expected the reference #");
    if (json_is_true(json_object_get(all[meant].root, "$recursiveAnchor")))
        for (size_t i = c->n_scope; i-- > 0;)
            if (json_is_true(json_object_get(all[c->scope[i]].root, "$recursiveAnchor")))
                meant = c->scope[i];
    return validate_at(c, meant, all[meant].root, all[meant].at, r, doc);
}

// Where the reference leads to a dynamic anchor, the outermost resource entered that has a dynamic
// anchor of the same name decides.
enum verdict check_dynamic_ref(struct checker *c, const struct rule *r, const json_t *doc)
{
    struct target t;
    const struct index *x = &c->v->index;
    if (!follow(c, r, &t)) return REFUSED;
    const char *hash = strchr(json_string_value(r->value), '#');
    const struct anchor *a = hash ? index_anchor(x, t.resource, hash + 1) : NULL;
    for (size_t i = 0; a && a->dynamic && i < c->n_scope; i++) {
        const struct anchor *outer = index_anchor(x, c->scope[i], a->name);
        if (outer && outer->dynamic) {
            a = outer;
            break;
        }
    }
    enum verdict v = a ? validate_at(c, a->resource, a->node, a->at, r, doc)
                       : validate_at(c, t.resource, t.node, buf_text(&t.at), r, doc);
    buf_free(&t.at);
    return v;
}
