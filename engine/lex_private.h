// Shared between the files of the lexical layer:
//
//   lex_set.c      sets of code points, and sets of words in byte order
//   lex_expr.c     expressions over code points: hash-consed, simplified, and their derivatives
//   lex_search.c   what an expression accepts: is it empty, the shortest text, how many texts
//   lex_fewest.c   how long the k-th shortest text is
//   lex_kinds.c    kinds of characters that a state does not tell apart
//   lex_alike.c    expressions that nobody can tell apart within a few characters
//   lex_clock.c    leap seconds
//   lex_string.c   the bytes of a JSON string (UTF-8, escapes) over expressions
//   lex_text.c     languages of plain text put together
//   lex_number.c   sets of numeric values and their boolean algebra
//   lex_digits.c   the bytes of a JSON number over those
//   lex_regex.c    ECMA-262 patterns become expressions
//   lex_format.c   the formats of JSON Schema, as patterns and words
//   lex.c          languages, states, and the rows of the automaton that is built while it is
//   walked
//
// A string language is an expression, and reading a character takes its derivative: the expression
// of what may follow. And, or and not are then just constructors, and a counter (`up to a million
// characters`) is one small node whose numbers go down. Expressions are interned, so that a state
// of the automaton is an expression, and finitely many come up because the constructors bring what
// means the same into the same form wherever that is cheap.
#pragma once
#include "base/arena.h"
#include "engine/lex.h"

typedef uint32_t expr;

// Lengths in bytes; counts of characters. FAR: there is none, or it is beyond what fits.
#define FAR     UINT32_MAX
#define UNKNOWN (UINT32_MAX - 1)
#define NO_MAX  UINT32_MAX // of a repetition: none

#define CODE_POINT_MAX 0x10ffffu

// Most states of one language, and most bytes of one lex, before lex_prepare gives up.
#define LEX_STATES_MAX   20000u
#define LEX_WORK_MAX     1000000u // operands put together
#define LEX_OPERANDS_MAX 20000u   // of one union or intersection

static inline uint32_t far_sum(uint32_t a, uint32_t b)
{
    return a >= UNKNOWN || b >= UNKNOWN || a + b < a || a + b >= UNKNOWN ? FAR : a + b;
}
static inline uint32_t far_product(uint32_t a, uint32_t b)
{
    uint64_t p = (uint64_t)a * b;
    return a == 0 || b == 0 ? 0 : p >= UNKNOWN ? FAR : (uint32_t)p;
}

// ---- interning ----

// A hash table of the ids of things that are kept elsewhere; an id's hash is kept beside it.
struct ids {
    struct ids_slot {
        uint32_t hash, id; // id 0: empty
    } * slot;
    uint32_t n, cap; // cap: a power of two
};
typedef bool same_fn(const lex *x, uint32_t id, const void *key);
// The id that is `same` as key, or 0 and the caller adds its new id under the same hash.
uint32_t ids_find(const struct ids *t, uint32_t hash, same_fn *same, const lex *x, const void *key);
void ids_add(struct ids *t, uint32_t hash, uint32_t id);
uint32_t hash_words(const uint32_t *p, size_t n, uint32_t seed);
// Makes room for one more element of `size` bytes in an array that doubles; new memory is zeroed.
void *array_room(void *p, uint32_t n, uint32_t *cap, size_t size);

// ---- sets of code points ----

struct span {
    uint32_t lo, hi; // both belong to it
};
// Ascending, apart from each other by at least one. Surrogates, which no text contains, belong to a
// set whenever U+D7FF does, so that equal sets look equal.
struct set {
    uint32_t n;
    const struct span *span;
    uint32_t cost; // bytes of the cheapest member in a JSON string
};
uint32_t set_of(lex *x, const struct span *s, size_t n); // any order, may overlap; 0: the empty set
uint32_t set_one(lex *x, uint32_t c);
uint32_t set_or(lex *x, uint32_t a, uint32_t b);
uint32_t set_and(lex *x, uint32_t a, uint32_t b);
uint32_t set_not(lex *x, uint32_t a);
bool set_has(const lex *x, uint32_t a, uint32_t c);
uint32_t span_cost(const lex *x, uint32_t lo,
                   uint32_t hi);              // bytes of the cheapest character in between
uint32_t span_size(uint32_t lo, uint32_t hi); // characters, surrogates not counted

// ---- sets of words ----

struct words {
    uint32_t n, hash;
    const char **text; // ascending by bytes, distinct
    uint32_t *len;
    uint32_t *cost, *by_cost; // bytes of each, and its words by them; NULL: not asked for
};
uint32_t wordset_of(lex *x, const char *const *text, const uint32_t *len, uint32_t n);
uint32_t wordset_union(lex *x, uint32_t a, uint32_t b);
// Bytes of a word in a JSON string, but for the first `off` of it.
uint32_t word_cost(const lex *x, const struct words *s, uint32_t i, uint32_t off);
// Narrows [lo, hi), which share `off` bytes, to those that go on with c; the bytes read, or 0.
uint32_t wordset_narrow(const lex *x, uint32_t set, uint32_t *lo, uint32_t *hi, uint32_t off,
                        uint32_t c);

// ---- expressions ----

enum expr_kind {
    EXPR_EMPTY,   // nothing
    EXPR_EPSILON, // the empty string
    EXPR_SET,     // one character of set a
    EXPR_THEN,    // a, then b; a is no EXPR_THEN
    EXPR_REPEAT,  // a, at least b and at most c times
    EXPR_OR,      // list[a], ascending
    EXPR_AND,     // list[a], ascending
    EXPR_NOT,     // what a does not match
    EXPR_SIZED,   // a, where it has at least b and at most c characters
    EXPR_WORDS,   // what follows the first d bytes of words [b, c) of set a
    EXPR_CLOCK, // what follows the first part `a` of hh:mm:60Z: hour b and minute c as far as read
    EXPR_LOOP   // loop a: stands for its body, whatever holds in between
};

enum { EXPR_NONE, EXPR_END, EXPR_CHARACTER, EXPR_ALL }; // nothing; ""; any character; any string

struct row { // what a character leads to: from[i] .. from[i + 1] - 1 lead to `to[i]`
    uint32_t n;
    uint32_t *from;
    expr *to;
};

struct expr_node {
    uint8_t kind;
    bool nullable; // the empty string belongs to it
    bool plain;    // has neither and nor not in it, and so is not empty
    bool sized;    // a length is among its operands: and, or, not pass through to it
    bool shape;    // it is not empty, and min_len, max_len, gap, cheap hold
    bool cheap;    // each of its lengths comes up with a string of as many bytes
    bool regular;  // made of sets, words, then, repeat and or alone
    uint8_t busy;  // while it is counted
    uint32_t a, b, c, d;
    const expr *list;
    uint32_t min_len, max_len; // in characters
    uint32_t gap;              // of so many lengths in a row in between, one comes up
    uint32_t stretch; // of a regular one: whatever is read, as few characters more complete it
    expr alike[LEX_REACHES]; // see lex_alike.c; EXPR_NONE: not asked for
    uint32_t rest;           // bytes of the shortest text; FAR: it is empty; or UNKNOWN
    uint32_t count;          // texts; UNKNOWN
    uint32_t mark;           // the derivative it was last part of
    expr memo;               // what it became there
    uint32_t seen, slot;     // the search that last found it, and where it put it
    struct row *row;
    lex_state state; // between two characters; 0: none yet
};

expr expr_set(lex *x, uint32_t set);
expr expr_then(lex *x, expr a, expr b);
expr expr_repeat(lex *x, expr a, uint32_t min, uint32_t max);
expr expr_or(lex *x, expr a, expr b);
expr expr_and(lex *x, expr a, expr b);
expr expr_not(lex *x, expr a);
expr expr_clock(lex *x, uint32_t part, uint32_t hour, uint32_t minute);
expr clock_derive(lex *x, uint32_t part, uint32_t hour, uint32_t minute, uint32_t c);
const char *clock_characters(uint32_t part); // those that may come next
uint32_t clock_rest(uint32_t part, uint32_t hour, uint32_t minute);
expr expr_or_of(lex *x, const expr *list, uint32_t n);
expr expr_words(lex *x, uint32_t set);
expr expr_words_at(lex *x, uint32_t set, uint32_t lo, uint32_t hi, uint32_t off);
// Stands for a body that is set later, and that is nullable if `leave` is: every other way through
// it reads something.
expr expr_loop(lex *x, expr leave);
void expr_loop_body(lex *x, expr a, expr body);
expr expr_length(lex *x, uint32_t min, uint32_t max);
bool expr_is_length(const lex *x, expr a, uint32_t *min, uint32_t *max);
const struct row *expr_row(lex *x, expr a);
expr row_find(const struct row *r, uint32_t c);

// Fewest bytes of a JSON string's content that a matches; FAR: a is empty (or it was too large to
// know: see too_large).
uint32_t expr_rest(lex *x, expr a);
uint32_t expr_count(lex *x, expr a);
bool expr_prepare(lex *x, expr a); // false: too large

bool expr_has(lex *x, expr a, const char *text, size_t n);
expr expr_alike(lex *x, expr a, enum lex_reach reach);
void expr_begin(lex *x); // makes EXPR_NONE, EXPR_END and EXPR_ALL

// After the lengths of what a sized expression limits have become known.
void expr_sized_again(lex *x, expr a);

// Characters of one byte that a string may hold as they are: U+0020 to U+007F but two. Of fewer
// words than these, one is always missing.
#define ONE_BYTE_CHARACTERS 94u

// ---- numbers ----

struct state;

enum { NUMBER_ANY = 1, NUMBER_NONE = 2 }; // sets of values

uint32_t number_and(lex *x, uint32_t a, uint32_t b);
uint32_t number_or(lex *x, uint32_t a, uint32_t b);
uint32_t number_not(lex *x, uint32_t a);
lex_lang number_lang(lex *x, uint32_t a);
bool number_has(lex *x, uint32_t a, const char *text, size_t n);
bool number_prepare(lex *x, uint32_t a);
lex_state number_start(lex *x, uint32_t a);
lex_state number_read(lex *x, const struct state *s, uint8_t byte);
uint32_t number_finish(lex *x, uint32_t a);
uint32_t number_count(lex *x, const struct state *s);

// ---- the automaton ----

// What a string state may stand in the middle of.
enum stage {
    STAGE_CHAR, // between two characters
    STAGE_ESCAPE,
    STAGE_UTF8_1, // so many continuation bytes to come
    STAGE_UTF8_2,
    STAGE_UTF8_3,
    STAGE_HEX_1, // so many hex digits of a \u escape to come
    STAGE_HEX_2,
    STAGE_HEX_3,
    STAGE_HEX_4,
    STAGE_LOW_1, // so many hex digits of the second half of a surrogate pair to come
    STAGE_LOW_2,
    STAGE_LOW_3,
    STAGE_LOW_4,
    STAGE_LOW_U, // its `u`
    STAGE_LOW_BACKSLASH,
    STAGE_NUMBER,
    STAGE_EXPONENT
};

struct state {
    uint8_t stage;
    bool same;    // strings: whatever the character turns out to be, a follows it
    bool accepts; // set when the state is made
    uint32_t a;   // strings: the expression before the character
    uint32_t b;   // strings: the least character that it may still be
    uint32_t rest, count;
    bool has_loops;
    struct kinds loops; // kinds of characters that lead back, where has_loops
};

struct lang {
    bool number;
    bool narrow; // leaves out texts that it should have, so that its complement cannot be trusted
    bool prepared;
    uint32_t a; // expression, or set of values
};

struct lex {
    struct lex_tables hot; // first: lex_step reads it
    enum lex_escapes escapes;
    uint32_t reach[LEX_REACHES]; // characters
    arena *mem;

    struct state *state;
    uint32_t n_state, cap_state;
    struct ids states;
    uint32_t cap_row;
    uint32_t n_block, cap_block;
    struct ids blocks;

    struct lang *lang;
    uint32_t n_lang, cap_lang;
    struct ids langs;

    struct expr_node *expr;
    uint32_t n_expr, cap_expr;
    struct ids exprs;
    expr *loop; // [n_loop] bodies
    uint32_t n_loop, cap_loop;
    uint32_t mark, n_search;
    expr *stack; // operands being gathered
    uint32_t n_stack, cap_stack;
    uint32_t n_explored; // by the call of lex_prepare that runs
    uint64_t work;       // operands put together; bounds the time of a search
    bool too_large;      // something had to be given up
    const char *why;     // what

    struct set *set;
    uint32_t n_set, cap_set;
    struct ids sets;
    uint32_t single[128]; // the sets of one ASCII character; 0: not made yet
    struct words *words;
    uint32_t n_words, cap_words;
    struct pattern { // what lex_regex was asked for
        const char *text;
        size_t n;
        bool whole; // it has to match the whole string
        lex_lang lang;
    } * pattern;
    uint32_t n_pattern, cap_pattern;
    struct ids patterns;

    struct tallies *tallies; // lex_fewest.c; NULL: none yet
    struct numbers *numbers; // lex_number.c, lex_digits.c; NULL: none yet
};

// The strings that the whole of a pattern without assertions matches.
lex_lang regex_whole(lex *x, const char *pattern, err *e);
lex_lang lang_of(lex *x, bool number, bool narrow, uint32_t a);
lex_state state_of(lex *x, enum stage stage, bool same, uint32_t a, uint32_t b, bool accepts);
lex_state string_state(lex *x, expr a);
lex_state string_step(lex *x, const struct state *s, uint8_t byte);
uint32_t string_count(lex *x, const struct state *s);
// Characters that the bytes of one so far leave open.
struct open_spans {
    struct span s[4];
    int n;
};
struct open_spans string_open(const lex *x, enum stage stage, uint32_t lo);
void tallies_free(struct tallies *t);
size_t tallies_bytes(const struct tallies *t);
void numbers_free(struct numbers *n);
size_t numbers_bytes(const struct numbers *n);
