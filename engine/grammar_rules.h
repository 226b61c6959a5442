// Texts by rules: what a grammar is beyond one JSON value. A `piece` is a language: text under a
// regular expression, a JSON value, one token, a call of a rule, and what is put together from
// these. At compile time pieces become a net: nodes with edges, one part of the net for each rule.
//
// A position in the net is a set of threads, one for each way to read the text so far that can
// still be completed. A thread stands in one edge (within a text, a JSON value, or before a token)
// and knows where its rule goes on once it is complete: an entry of a column. A column holds the
// rules that were entered at one place of the text, and for each the edges behind which it was
// called; rules entered at the same place by several threads share an entry, so that the number of
// threads stays small whatever the rules, and a rule may call itself first. Columns point to
// earlier ones, never change, and are shared and counted like frames.
//
// Where one thread alone is left and stands before a JSON value, the position is that of the JSON
// decoder, whose outermost frame keeps the thread: all its short cuts apply.
#pragma once
#include "engine/grammar_private.h"

typedef uint32_t piece;
enum { PIECE_NONE, PIECE_EMPTY }; // no text at all; the empty text

enum piece_kind {
    PIECE_IS_NONE,
    PIECE_IS_EMPTY,
    PIECE_LANG,     // a: language of g->raw
    PIECE_JSON,     // a: set
    PIECE_TOKEN,    // a: token
    PIECE_ANY,      // any text with any added tokens but a
    PIECE_RULE,     // a: rule
    PIECE_SEQUENCE, // a, then b
    PIECE_CHOICE,   // a or b
    PIECE_REPEAT,   // a, at least b times, at most c
    PIECE_CALL      // a, which is (part of) a call
};

// Each gives PIECE_FAILED with *e when the language is too large, or when one was failed.
#define PIECE_FAILED UINT32_MAX
piece piece_text(struct grammar *g, const char *text, size_t n);
piece piece_lang(struct grammar *g, lex_lang l);
// The strings that match a pattern (ECMA-262) as a whole.
piece piece_pattern(struct grammar *g, const char *pattern, size_t n, err *e);
// Any text in which none of these stands.
piece piece_without(struct grammar *g, const char *const *words, size_t n, err *e);
// Any text that ends with words[i], and in which none of them stands before.
piece piece_until(struct grammar *g, const char *const *words, size_t n, size_t i, err *e);
piece piece_not_beginning(struct grammar *g, const char *text, err *e);
piece piece_json(struct grammar *g, set_id s);
piece piece_token(struct grammar *g, int32_t token);
piece piece_any(struct grammar *g, int32_t except);
piece piece_rule(struct grammar *g, uint32_t rule);
piece piece_then(struct grammar *g, piece a, piece b);
piece piece_or(struct grammar *g, piece a, piece b);
piece piece_or_all(struct grammar *g, const piece *list, uint32_t n); // halves, then their halves
piece piece_repeat(struct grammar *g, piece a, uint32_t min, uint32_t max); // max UINT32_MAX: none
piece piece_call(struct grammar *g, piece a);
// A span in which anything goes until `end`; not required: or nothing. begin "": it is open.
piece reasoning_piece(struct grammar *g, const char *begin, const char *end, bool required, err *e);
// The longest added or special token (but the end) that text begins with; -1: none.
int32_t rules_named(struct grammar *g, const char *text, size_t n);
// Text in which what spells such a token may also come as that token.
piece piece_format(struct grammar *g, const char *text);

// EBNF, see grammar_from_ebnf.
piece ebnf_piece(struct grammar *g, const char *text, size_t n, err *e);

uint32_t rule_new(struct grammar *g); // its piece is set later
void rule_set(struct grammar *g, uint32_t rule, piece p);

// Makes the net, with `root` as the whole text. -1 with *e: too large, or no text satisfies it.
int rules_compile(struct grammar *g, piece root, err *e);
uint32_t rules_unproductive(const struct grammar *g); // a rule that no text satisfies, or NONE

// ---- the net ----

#define RULES_NODES_MAX 100000u
#define RULES_OPEN_MAX  300u
#define RULES_WAYS_MAX  5000u

struct rules_node {
    uint32_t first;  // edge
    uint32_t cost;   // fewest tokens to the end of its rule
    uint32_t starts; // the rule that begins here, or NONE
    bool is_end;     // of its rule
    bool is_last;    // nothing but the end of its rule can come
};

struct rules_edge {
    uint8_t kind; // enum piece_kind; PIECE_IS_EMPTY: silent
    bool call;
    uint32_t a;    // as of the piece
    lex_state s;   // PIECE_LANG, PIECE_ANY: its start
    uint32_t cost; // fewest tokens
    uint32_t to;   // node
    uint32_t next; // edge of the same node
};

struct rules_rule {
    piece piece;
    uint32_t start, end; // nodes
    uint32_t cost;
    bool nullable;
};

struct rules {
    struct rules_piece *piece; // while compiling
    struct rules_rule *rule;
    struct rules_node *node;
    struct rules_edge *edge;
    uint32_t n_piece, cap_piece, n_rule, cap_rule, n_node, cap_node, n_edge, cap_edge;
    int32_t *named; // [n_named] added and special tokens
    uint32_t n_named;
    uint32_t root; // rule
    bool too_large;
};

// ---- positions ----

struct rules_entry {
    uint32_t first, n; // of column.back
    uint32_t cost;     // fewest tokens from the end of the rule to the end of the text
};
struct rules_back {
    uint32_t to;                 // node behind the call; NONE: the end of the text
    uint32_t entry;              // of the rule that called
    const struct column *column; // NULL: this one
};
struct column {
    atomic_uint refs;
    bool kept;
    const struct column *copy; // while a position is kept: its copy on the heap
    uint64_t hash[2];
    uint32_t n, n_back;
    // struct rules_entry entry[n]; struct rules_back back[n_back] follow
};
#define COLUMN_ENTRIES(c) ((struct rules_entry *)((c) + 1))
#define COLUMN_BACK(c)    ((struct rules_back *)(COLUMN_ENTRIES(c) + (((c)->n + 1) & ~1u)))

struct thread {
    uint32_t edge, entry;
    const struct column *column;
    lex_state s;            // PIECE_LANG, PIECE_ANY
    const struct pos *json; // PIECE_JSON
};
struct threads {
    uint32_t n;
    bool accepts; // the text may end here
    uint64_t hash[2];
    // struct thread thread[n] follows
};
#define THREADS(x) ((struct thread *)((x) + 1))

// What may follow once the thread is complete.
bool rules_after(struct grammar *g, struct chunks *mem, uint32_t edge, const struct column *c,
                 uint32_t entry, struct pos *to);
// The same for any of n threads.
bool rules_after_any(struct grammar *g, struct chunks *mem, const struct thread *const *t,
                     uint32_t n, struct pos *to);
struct pos rules_alone(struct chunks *mem, const struct thread *t); // one thread as a position
// Fewest tokens to the end of the text behind the thread's edge.
uint32_t rules_tail(const struct grammar *g, uint32_t edge, const struct column *c, uint32_t entry);
uint32_t rules_thread_finish(struct grammar *g, const struct thread *t);
