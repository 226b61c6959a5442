// The keywords of arrays.
#include "engine/schema_private.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

// Items from..to of doc, each against the same schema; they count as evaluated.
static enum verdict check_each(struct checker *c, const json_t *schema, const json_t *doc,
                               size_t from, struct seen *seen)
{
    enum verdict v = VALID;
    for (size_t i = from; v == VALID && i < json_array_size(doc); i++) {
        v = validate_item(c, i, schema, json_array_get(doc, i));
        seen_mark_item(seen, i);
    }
    return v;
}

// The first items, each against the schema of its place.
enum verdict check_prefix(struct checker *c, const struct rule *r, const json_t *doc)
{
    enum verdict v = VALID;
    if (!json_is_array(r->value)) return refused(c, "expected a list of schemas");
    for (size_t i = 0; v == VALID && i < json_array_size(r->value) && i < json_array_size(doc);
         i++) {
        size_t before = path_enter_index(&c->at, i);
        v = validate_item(c, i, json_array_get(r->value, i), json_array_get(doc, i));
        path_leave(&c->at, before);
        seen_mark_item(r->seen, i);
    }
    return v;
}

static size_t prefix_size(const struct checker *c, const json_t *schema)
{
    return c->draft >= DRAFT_2020 ? json_array_size(json_object_get(schema, "prefixItems")) : 0;
}

enum verdict check_items(struct checker *c, const struct rule *r, const json_t *doc)
{
    if (!json_is_array(doc)) return VALID;
    if (json_is_array(r->value)) return check_prefix(c, r, doc);
    return check_each(c, r->value, doc, prefix_size(c, r->schema), r->seen);
}

enum verdict check_additional_items(struct checker *c, const struct rule *r, const json_t *doc)
{
    const json_t *items = json_object_get(r->schema, "items");
    if (!json_is_array(doc) || !json_is_array(items)) return VALID;
    return check_each(c, r->value, doc, json_array_size(items), r->seen);
}

enum verdict check_unevaluated_items(struct checker *c, const struct rule *r, const json_t *doc)
{
    enum verdict v = VALID;
    for (size_t i = 0; v == VALID && i < json_array_size(doc); i++) {
        if (r->seen->member[i]) continue;
        v = validate_item(c, i, r->value, json_array_get(doc, i));
        r->seen->member[i] = true;
    }
    return v;
}

// ---- contains ----

// A bound of the count; `fallback` where the keyword is absent or of a later draft.
static double bound(const struct checker *c, const json_t *schema, const char *keyword,
                    double fallback)
{
    const json_t *v = json_object_get(schema, keyword);
    return c->draft >= DRAFT_2019 && json_is_number(v) ? json_number_value(v) : fallback;
}

static enum verdict count_matches(struct checker *c, const struct rule *r, const json_t *doc,
                                  size_t *n)
{
    enum verdict v = VALID;
    *n = 0;
    c->quiet++;
    for (size_t i = 0; v != REFUSED && i < json_array_size(doc); i++) {
        v = validate_item(c, i, r->value, json_array_get(doc, i));
        *n += v == VALID;
        if (v == VALID && c->draft >= DRAFT_2020) seen_mark_item(r->seen, i);
    }
    c->quiet--;
    return v == REFUSED ? REFUSED : VALID;
}

enum verdict check_contains(struct checker *c, const struct rule *r, const json_t *doc)
{
    size_t n;
    if (!json_is_array(doc)) return VALID;
    if (count_matches(c, r, doc, &n) == REFUSED) return REFUSED;
    double least = bound(c, r->schema, "minContains", 1),
           most = bound(c, r->schema, "maxContains", (double)n);
    if ((double)n < least)
        return invalid(c, "has %zu of the items it must contain, needs %.0f", n, least);
    if ((double)n > most)
        return invalid(c, "has %zu items of a kind, at most %.0f may be", n, most);
    return VALID;
}

// ---- uniqueItems ----

struct hashed {
    uint64_t hash;
    size_t i;
};

static int by_hash(const void *a, const void *b)
{
    const struct hashed *x = a, *y = b;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    return (x->i > y->i) - (x->i < y->i);
}

// Equal items have equal hashes, so only items of one hash are compared.
enum verdict check_unique(struct checker *c, const struct rule *r, const json_t *doc)
{
    size_t n = json_array_size(doc);
    if (!json_is_boolean(r->value)) return refused(c, "expected true or false");
    if (!json_is_true(r->value) || n < 2) return VALID;
    struct hashed *all = mem_new(n * sizeof *all);
    for (size_t i = 0; i < n; i++)
        all[i] = (struct hashed){hash_value(c, json_array_get(doc, i)), i};
    qsort(all, n, sizeof *all, by_hash);
    enum verdict v = VALID;
    for (size_t i = 1; v == VALID && i < n; i++)
        for (size_t k = i; v == VALID && k-- > 0 && all[k].hash == all[i].hash;) {
            if (!spend(c, 1))
                v = refused(c, "too many items to compare");
            else if (same_value(c, json_array_get(doc, all[i].i), json_array_get(doc, all[k].i)))
                v = invalid(c, "items %zu and %zu are equal; all must differ", all[k].i, all[i].i);
        }
    free(all);
    return v;
}
