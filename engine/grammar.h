// Constrained decoding: which tokens may come next. A `grammar` is a compiled constraint over one
// vocabulary (read-only, shared); a `grammar_state` is one position in it. Exact by construction:
// the mask holds a token if and only if some completion of the text so far followed by that token
// satisfies the constraint, and the budget. What cannot be enforced is refused at compile time with
// a JSON pointer to the keyword.
//
// JSON Schema 2020-12, 2019-09 and draft 7 are enforced: all keywords that assert, `format` and
// `pattern` among them, and all ways to combine schemas as true boolean algebra. Of all the
// documents that a schema allows, these are written (the validator accepts the others):
//   - Keys in the order chosen. Names that a schema declares, and the strings of enum and const, in
//     any spelling that the escapes chosen allow.
//   - No key twice. White space as chosen, in no gap more than space_max bytes of it.
//   - Numbers as lex.h says: 18 digits before the point (more where a bound demands it), 20 after.
//   - Under 500 levels of nesting only what is required.
//   - Of strings with a maxLength beyond 25,000, those of at most 25,000 characters; any length
//     where the schema sets no limit. A minLength or a repetition beyond that is refused.
//   - Of elements that must differ, 96, or 48 where arrays or objects are among them; more where
//     the schema asks for more, and any number of enumerated strings.
// An array whose elements must differ compares them by value. Formats that no specification defines
// are annotations, as the specification says; remote references are refused.
#pragma once
#include "base/err.h"
#include "engine/lex.h"
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
    // How the tokenizer itself writes a text: puts up to `cap` ids of text tokens into out and
    // returns how many there are. NULL: grammar_force forces nothing.
    size_t (*encode)(const void *user, const char *text, size_t n, int32_t *out, size_t cap);
    const void *user;
} grammar_vocab;

// Builds the token trie. Every byte of UTF-8 text must be a token of its own (byte-level BPE).
int grammar_vocab_prepare(grammar_vocab *v, err *e);
void grammar_vocab_release(grammar_vocab *v);       // frees what prepare made
size_t grammar_vocab_bytes(const grammar_vocab *v); // memory of what prepare made

typedef struct grammar grammar;
typedef struct grammar_state grammar_state;

enum grammar_spacing {
    SPACING_COMPACT, // {"a":1,"b":[1,2]}
    SPACING_PYTHON,  // {"a": 1, "b": [1, 2]}: what json.dumps writes and tool-calling models were
                     // trained on
    SPACING_FLEXIBLE // any white space, in each gap at most space_max bytes of it
};
#define GRAMMAR_SPACE_DEFAULT 64

enum grammar_order {
    ORDER_SCHEMA,        // declared keys as the schema lists them, undeclared ones last; a key of
                         // several alternatives where the first of them lists it
    ORDER_ANY,           // as the model likes
    ORDER_REQUIRED_FIRST // the required ones as the schema lists them, then the others
};

struct grammar_options { // all zero: what a small model does best with
    enum grammar_spacing spacing;
    enum grammar_order order;
    enum lex_escapes escapes;
    uint32_t space_max; // 0: GRAMMAR_SPACE_DEFAULT
    bool closed;        // an object that declares properties, says nothing of others, and is not
                        // combined with another schema takes no others
};

// A whole answer that is one JSON value under `schema`, then the end token. `o` may be NULL.
grammar *grammar_from_schema(const grammar_vocab *v, const json_t *schema,
                             const struct grammar_options *o, err *e);

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
    bool at_once;      // CHOICE_REQUIRED, CHOICE_NAMED: no text before the call
    const char *begin; // "<tool_call>\n": where begin[..] starts with an added token's content,
                       // that token (only) opens a call; otherwise these bytes do; "": a call
                       // is the whole answer, and an answer that begins like one is one
    const char *before_name, *after_name, *after_args; // {"name": " / ", "arguments": / }
    const char *end;                                   // "\n</tool_call>"
    const char *between; // "\n": between two calls; NULL: the format has no second call
    // A span of reasoning may come first, in which anything goes: begin and end spell added tokens;
    // think_begin "": it has begun already, and has to end; think_end NULL: there is none.
    const char *think_begin, *think_end;
    struct grammar_options json;
};
grammar *grammar_from_tools(const grammar_vocab *v, const struct grammar_tools_options *o, err *e);

// A whole answer as structural tags say, a JSON object {"type": ...}:
//   const_string   value: this text; where it spells an added token, that token too
//   json_schema    json_schema: a value under it, written as `o` says
//   regex          pattern: a text that matches as a whole
//   grammar        grammar: EBNF, as below
//   any_text       excludes: [text...] (or nothing): text in which none of these stands
//   token          token: content of an added token, special ones too; only that token
//   sequence, or   elements: [...]
//   optional       content; the same with star, plus, and repeat: min, max
//   tag            begin, content, end: texts around a content
//   triggered_tags triggers: [text...], tags: [tag...], at_least_one, stop_after_first: free text;
//                  what spells a trigger begins one of the tags whose begin begins so
//   tags_with_separator  tags, separator, at_least_one, stop_after_first
//   reasoning      begin, end, required: a span in which anything goes until `end` (texts; where
//                  they spell an added token, only that); begin "": it has begun already
// {"type": "structural_tag", "format": ...} stands for its format. A trigger, an exclude and
// `begin` that spell an added token mean that token; the same text by bytes is text.
grammar *grammar_from_tags(const grammar_vocab *v, const json_t *tags,
                           const struct grammar_options *o, err *e);

// A whole answer that matches an ECMA-262 pattern from its first to its last character.
grammar *grammar_from_regex(const grammar_vocab *v, const char *pattern, err *e);

// A whole answer by rules. NAME = EXPRESSION ; or NAME ::= EXPRESSION, up to the next rule; the
// rule `root` is the answer. Expressions: "text", 'text', [a-z] and [^...] as in patterns, . (any
// character but line ends), NAME, (...), a sequence by standing beside, alternatives by |, and ? *
// + {n} {m,n} {m,} behind any of them. In texts \n \t \r \\ \" \' \xHH \uHHHH \u{H...}. <name>: an
// added token. Comments: # to the end of the line, (* ... *). Rules may call themselves, in front
// also. Errors name line and column.
grammar *grammar_from_ebnf(const grammar_vocab *v, const char *text, err *e);

void grammar_free(grammar *g);
size_t grammar_bytes(const grammar *g); // memory it holds

// A state belongs to one thread at a time; states of one grammar may be used by several. The
// grammar and its vocabulary outlive their states.
grammar_state *grammar_start(const grammar *g);
grammar_state *grammar_copy(const grammar_state *s); // a count goes up
void grammar_state_free(grammar_state *s);

// Fills bits [n_token] (a bitset, 64 per word). `budget` is the number of tokens that may still be
// made, the end token included; < 0: no limit. Tokens after which the text could no longer be
// finished within it are left out, so a call is never cut short. Returns the number of bits set: 0
// only when even the shortest finish does not fit the budget.
int grammar_mask(const grammar_state *s, int budget, uint64_t *bits);

// The slow twin: the same answer by walking every token alone. For tests.
int grammar_mask_slow(const grammar_state *s, int budget, uint64_t *bits);
// Names where the state stands: states of one grammar with the same digest have the same mask, and
// masks are kept under it.
void grammar_digest(const grammar_state *s, uint64_t digest[2]);

bool grammar_accept(grammar_state *s, int32_t token); // false (state unchanged) when not allowed
size_t grammar_length(const grammar_state *s);        // tokens accepted
void grammar_rollback(grammar_state *s, size_t n);    // takes back the last n of them
bool grammar_may_end(const grammar_state *s);         // the end token is allowed now
bool grammar_in_call(const grammar_state *s);         // between begin and end of a tool call
// Memory of the last `n` tokens' steps (their frames, texts and threads included), as the history
// keeps it; what states share is counted once.
size_t grammar_state_bytes(const grammar_state *s, size_t n);
int grammar_shortest_finish(
    const grammar_state *s); // upper bound in tokens, the end token included

// Bytes that must come next whatever the model says; "" when there is a choice.
size_t grammar_forced(const grammar_state *s, char *out, size_t cap);

// Tokens that must come next, written as the tokenizer writes the text so far with what must
// follow: at most `cap` go to out; returns how many, 0 also without v->encode. Tokens that might be
// written otherwise once what follows is known are left to the model: every text that the tokenizer
// writes with the tokens so far, it goes on writing with these. The state does not move.
size_t grammar_force(const grammar_state *s, int32_t *out, size_t cap);
bool grammar_must_end(const grammar_state *s); // no token but the end may come
