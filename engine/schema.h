// The validator: does a JSON document satisfy a JSON Schema? It shares no code with the grammar
// compiler, so that each can judge the other; every tool call passes through it before it runs.
//
// Drafts 4, 6, 7, 2019-09 and 2020-12, chosen by `$schema`. Without one: 2020-12 and beside it the
// older names that schemas in the wild still use (definitions, dependencies, a list as `items` with
// additionalItems, boolean exclusiveMinimum). What cannot be checked is refused and never taken for
// true: an unknown `$schema`, a reference to a document that was not handed in, a keyword with a
// value of the wrong kind, a pattern that is not ECMA-262.
#pragma once
#include "base/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct validator validator;

struct schema_options {
    bool formats_ignored;    // `format` is an annotation, as the specification has it by default;
                             // else the standard names are enforced and unknown ones ignored
    const json_t *documents; // {URI: schema}: what references may lead to; NULL: nothing outside
};

// Reads the schema; it is borrowed and must outlive the result. `o` may be NULL. NULL and *e
// (ERR_INPUT) where it cannot be one. Much is looked at only when a document needs it: the pattern
// of a property that no document has is not compiled.
validator *validator_open(const json_t *text, const struct schema_options *o, err *e);
void validator_close(validator *s);

// What a document does wrong, or what of the schema is refused.
struct schema_fault {
    enum err_code code; // ERR_FAILED: the document is invalid; ERR_INPUT: the schema is refused, or
                        // asks for too much work
    char instance[400]; // JSON pointer into the document; "": the whole of it
    char rule[400];     // JSON pointer into the schema: the keyword that does not hold
    char text[500];     // what was expected and what was found
};

// 0: the document satisfies the schema; -1 and *f. One thread at a time (patterns are kept).
int validator_check(validator *s, const json_t *doc, struct schema_fault *f);

// Both at once, formats enforced: 0, or -1 and *e holds the place in the document and what was
// expected (ERR_FAILED), in words that help a small model to repair its call, or what of the schema
// is refused (ERR_INPUT).
int schema_validate(const json_t *text, const json_t *doc, err *e);

// Which keywords occur and how often: {"asserted": {NAME: n}, "ignored": {NAME: n}}. Ignored are
// annotations, keywords that no draft knows, and `format` with a name that none defines, as
// "format NAME". Asserted means that the validator checks it; a grammar may still refuse it. The
// caller frees.
json_t *schema_survey(const json_t *text);

// The keyword that a name which is none was perhaps meant to be (minlength, requird); NULL: none.
const char *schema_keyword_meant(const char *name);

// Is the text of the format? Unknown names: true. The slow parts of the validator, for tests.
bool schema_format_holds(const char *name, const char *text, size_t n);
bool schema_format_known(const char *name);
