// Shared by the parts of the validator:
//   schema.c          one schema object against one value; the table of keywords; messages
//   schema_index.c    which schema stands where: $id, anchors, drafts; following references
//   schema_number.c   order, equality, multiples
//   schema_array.c, schema_object.c, schema_branch.c   the keywords that hold further schemas
//   schema_pattern.c  ECMA-262 regular expressions
//   schema_format.c, schema_idn.c, uri.c   the named formats
#pragma once
#include "base/buf.h"
#include "engine/schema.h"

#include <stdint.h>

enum draft { DRAFT_4, DRAFT_6, DRAFT_7, DRAFT_2019, DRAFT_2020, DRAFT_ANY };

enum verdict { VALID, INVALID, REFUSED };

// ---- the index ----

// A schema with a URI of its own.
struct resource {
    char *uri;          // absolute where a base is known; "" for a root without $id
    char *found_at;     // of a document handed in: the URI it was handed in by; else NULL
    const json_t *root; // the schema object
    char *at;           // JSON pointer from the document's top; "URI#pointer" in another document
    enum draft draft;
};

struct anchor {
    size_t resource;
    char *name;
    const json_t *node;
    char *at;
    bool dynamic;
};

struct index {
    struct resource *resources; // [n_resource]; 0 is the schema itself
    size_t n_resource;
    struct anchor *anchors; // [n_anchor]
    size_t n_anchor;
    bool tracks; // an unevaluated* keyword occurs somewhere: what was evaluated must be known
    err *e;
};

// A place in a schema.
struct target {
    const json_t *node;
    size_t resource;
    buf at; // JSON pointer; owned by whoever asked
};

int index_add(struct index *x, const json_t *document, const char *uri, const char *at,
              enum draft draft);
void index_free(struct index *x);
// The resource that begins at this node; SIZE_MAX: none does.
size_t index_resource_at(const struct index *x, const json_t *node);
const struct anchor *index_anchor(const struct index *x, size_t resource, const char *name);
// Calls `see` for each schema object below and with `schema`, wherever a schema can stand.
void index_each(const json_t *schema, void see(const json_t *schema, void *context), void *context);
// Follows a reference made within `resource`. False: there is nothing, and `why` says what.
bool index_follow(const struct index *x, size_t resource, const char *ref, struct target *out,
                  char why[200]);

// ---- the check of one document ----

// Which members of one object or array have been evaluated by some schema; NULL: nobody asks.
struct seen {
    bool *member; // by position
    size_t n;
};

struct pattern;

struct validator {
    struct index index;
    bool formats;
    struct pattern *patterns[256]; // compiled, by hash of the text
};

struct checker {
    struct validator *v;
    size_t resource;  // in which the schema object at hand stands
    enum draft draft; // of it
    size_t *scope;    // [depth] resources entered, outermost first
    size_t n_scope;
    buf path;  // of the place in the document
    buf at;    // of the place in the schema
    int quiet; // > 0: nobody will read the message
    uint64_t steps, steps_max;
    int depth;
    struct schema_fault *f;
    size_t f_depth; // length of the path that *f is about
    int64_t end_us; // of the time allowed
};

struct rule {
    const json_t *schema; // the object that holds the keyword
    const json_t *value;  // of the keyword
    const char *keyword;
    struct seen *seen; // members of doc evaluated so far by this object; NULL: nobody asks
};

typedef enum verdict check(struct checker *c, const struct rule *r, const json_t *doc);

check check_pattern, check_format;
check check_minimum, check_maximum, check_above, check_below, check_multiple;
check check_items, check_prefix, check_additional_items, check_contains, check_unique;
check check_unevaluated_items;
check check_properties, check_required, check_pattern_properties, check_additional, check_names;
check check_dependencies, check_unevaluated_properties;
check check_all_of, check_any_of, check_one_of, check_not, check_if;
check check_ref, check_recursive_ref, check_dynamic_ref;

// Checks doc against a schema at the place that c->at tells; what it evaluates of doc is added to
// `seen` when it is valid.
enum verdict validate(struct checker *c, const json_t *schema, const json_t *doc,
                      struct seen *seen);
// The same with the place in the schema made longer by a name, or an index.
enum verdict validate_under(struct checker *c, const char *name, const json_t *schema,
                            const json_t *doc, struct seen *seen);
enum verdict validate_nth(struct checker *c, size_t i, const json_t *schema, const json_t *doc,
                          struct seen *seen);
// A member of the document: both places are the caller's to set.
enum verdict validate_item(struct checker *c, size_t i, const json_t *schema, const json_t *doc);
enum verdict validate_member(struct checker *c, const char *key, const json_t *schema,
                             const json_t *doc);

enum verdict invalid(struct checker *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
enum verdict refused(struct checker *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool spend(struct checker *c, unsigned steps); // false: the work allowed is used up

size_t path_enter(buf *path, const char *name); // appends a pointer's step; returns where it began
size_t path_enter_index(buf *path, size_t i);
void path_leave(buf *path, size_t before);

struct seen seen_new(const json_t *doc); // nothing evaluated; for an object or an array
void seen_free(struct seen *s);
void seen_merge(struct seen *to, const struct seen *from);
void seen_mark_item(struct seen *s, size_t i);

const char *json_kind(const json_t *v);
void put_short(buf *b, const json_t *v);
int order_numbers(const json_t *a, const json_t *b);
bool same_value(struct checker *c, const json_t *a, const json_t *b);
uint64_t hash_value(struct checker *c, const json_t *v); // equal values: equal hashes

// 1: matches, 0: does not, -1: refused, with the message set.
int pattern_matches(struct checker *c, const char *pattern, size_t pattern_n, const char *text,
                    size_t n);
void patterns_free(struct validator *s);
// Is this an ECMA-262 pattern (with the flag u, as the specification asks)?
bool pattern_is_ecma(const char *pattern, size_t n);

// Internationalised domain names, IDNA 2008.
char *idn_composed(const char *s, size_t n); // NFC; NULL: not UTF-8. The caller frees.
// The length of a U-label's ASCII form; 0: it is none. Sets *right_to_left where it holds letters
// that run so.
size_t idn_u_label(const char *label, size_t n, bool *right_to_left);
bool idn_is_a_label(const char *label, size_t n); // xn--...: decodes to a U-label and back
bool idn_order_holds(const char *name, size_t n); // RFC 5893, for all labels of a name
