// Constrained decoding: which tokens may come next. A `grammar` is a compiled constraint over one
// vocabulary (read-only, shared); a `grammar_state` is one position in it. Exact by construction:
// the mask holds a token if and only if some completion of the text so far followed by that token
// satisfies the constraint, and the budget. What cannot be enforced is refused at compile time with
// a JSON pointer to the keyword.
//
// Of all the documents that a schema allows, these are written (the validator accepts the others):
//   - An object's declared keys come in the schema's order, optional ones may be left out, and keys
//     that it does not declare come last, each new, 64 at most. Without `additionalProperties` an
//     object that has `properties` takes no others; one that has none takes any.
//   - Where `type` is absent, the keywords present decide it: `properties` speaks of objects,
//     `items` of arrays, and so on; no such keyword: any value.
//   - Keys, and the values of enum and const, are spelt as Python's json.dumps spells them; 1.0 of
//     an enum may also be written 1. Free strings may use every escape of JSON.
//   - Numbers have 18 digits before the point at most (more where a bound demands it) and 20 after
//     it. Exponents have two digits and come only where no bound but zero has to be kept. With an
//     exclusive bound on a number there are 15 digits in all, so that reading it as a double cannot
//     round it onto the bound. An integer has neither point nor exponent. -0 is written only where
//     negative numbers are allowed.
//   - White space is exactly that of the spacing chosen.
//   - From 500 levels of nesting on, only what is required is written.
// Bounds given as real numbers count as the shortest decimal that reads back as them. Enforced are
// type, enum, const, properties, required, additionalProperties, min/maxProperties, items,
// prefixItems, min/maxItems, min/maxLength (in code points), minimum, maximum, both exclusive
// bounds, anyOf, and $ref within the schema; $ref, anyOf, enum and const only alone or beside type.
// Annotations are ignored, and so are names of formats that no specification defines.
#pragma once
#include "base/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum vocab_kind {
    VOCAB_TEXT,   // ordinary bytes
    VOCAB_ADDED,  // an added token such as <tool_call>: matched by id, its bytes are its content
    VOCAB_SPECIAL // a control token: only where a grammar names it (the end token)
};

typedef struct grammar_vocab {
    int n_token;
    const char **bytes;  // [n_token]
    const uint32_t *len; // [n_token]
    const uint8_t *kind; // [n_token], enum vocab_kind
    int32_t end;         // the token that ends a turn
    void *prepared;      // tables made once by grammar_vocab_prepare; owned by the vocabulary
} grammar_vocab;

// Builds the token trie. Every byte of UTF-8 text must be a token of its own (byte-level BPE).
int grammar_vocab_prepare(grammar_vocab *v, err *e);
void grammar_vocab_release(grammar_vocab *v); // frees what prepare made

typedef struct grammar grammar;
typedef struct grammar_state grammar_state;

enum grammar_spacing {
    SPACING_COMPACT, // {"a":1,"b":[1,2]}
    SPACING_PYTHON   // {"a": 1, "b": [1, 2]}: what json.dumps writes and tool-calling models were
                     // trained on
};

// A whole answer that is one JSON value under `schema`, then the end token.
grammar *grammar_from_schema(const grammar_vocab *v, const json_t *schema,
                             enum grammar_spacing spacing, err *e);

enum tool_choice { CHOICE_AUTO, CHOICE_NONE, CHOICE_REQUIRED, CHOICE_NAMED };

struct grammar_tool {
    const char *name;
    const json_t *parameters; // JSON Schema of type object; NULL: no arguments
};

// Free text, then calls. With the Hermes format of Qwen: text* (open name-part arguments-part
// close)*, where
//   call = begin  {"name": "NAME", "arguments": ARGS}  end
struct grammar_tools_options {
    const struct grammar_tool *tools;
    size_t n_tool;
    enum tool_choice choice;
    const char *named; // CHOICE_NAMED: the tool
    bool parallel;     // more than one call in a turn
    const char *begin; // "<tool_call>\n": where begin[..] starts with an added token's content,
                       // that token (only) opens a call; otherwise these bytes do; "": a call
                       // is the whole answer, and an answer that begins like one is one
    const char *before_name, *after_name, *after_args; // {"name": " / ", "arguments": / }
    const char *end;                                   // "\n</tool_call>"
    const char *between; // "\n": between two calls; NULL: the format has no second call
    enum grammar_spacing spacing;
};
grammar *grammar_from_tools(const grammar_vocab *v, const struct grammar_tools_options *o, err *e);

void grammar_free(grammar *g);
size_t grammar_bytes(const grammar *g); // memory it holds

// A state belongs to one thread at a time; states of one grammar may be used by several. The
// grammar and its vocabulary outlive their states.
grammar_state *grammar_start(const grammar *g);
grammar_state *grammar_copy(const grammar_state *s);
void grammar_state_free(grammar_state *s);

// Fills bits [n_token] (a bitset, 64 per word). `budget` is the number of tokens that may still be
// made, the end token included; < 0: no limit. Tokens after which the text could no longer be
// finished within it are left out, so a call is never cut short. Returns the number of bits set: 0
// only when even the shortest finish does not fit the budget.
int grammar_mask(const grammar_state *s, int budget, uint64_t *bits);

// The slow twin: the same answer by walking every token alone. For tests.
int grammar_mask_slow(const grammar_state *s, int budget, uint64_t *bits);

bool grammar_accept(grammar_state *s, int32_t token); // false (state unchanged) when not allowed
bool grammar_may_end(const grammar_state *s);         // the end token is allowed now
bool grammar_in_call(const grammar_state *s);         // between begin and end of a tool call
int grammar_shortest_finish(
    const grammar_state *s); // upper bound in tokens, the end token included

// Bytes that must come next whatever the model says; "" when there is a choice. For forcing tokens.
size_t grammar_forced(const grammar_state *s, char *out, size_t cap);

// Our own validator, which shares no code with the compiler: 0 when `doc` satisfies `schema`,
// else -1 and *e holds the JSON pointer and what was expected (ERR_FAILED), or says what of the
// schema is not checked here (ERR_INPUT). Draft 2020-12, format as an annotation; beyond what the
// grammar enforces also pattern, multipleOf, uniqueItems, contains, oneOf, allOf, not, if,
// dependent*, patternProperties and propertyNames.
int schema_validate(const json_t *schema, const json_t *doc, err *e);
