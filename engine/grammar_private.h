// Shared between the files of the constrained decoder:
//
//   grammar_schema.c  a JSON Schema becomes `node`s and `alt`s (compile time; the only refusals)
//   grammar_number.c  decimal arithmetic: which digits may follow inside a numeric range
//   grammar_step.c    one byte further: the automaton, and the length of the shortest finish
//   grammar_vocab.c   the vocabulary as a trie, and masks that hold for every grammar
//   grammar.c         the public functions: masks, their cache, tool calls
//
// A position is a stack of frames, one per open container, with a lexeme on top. JSON's brackets
// are visible, so one stack is enough whatever the schema says: all ambiguity (anyOf, lists of
// types) lies within a frame, as a list of `item`s that have all survived the same text. An item
// knows which items of the frame below it serves; when its container closes, exactly those survive.
// Every item is alive, that is, some text completes it; hence no state is a dead end.
#pragma once
#include "base/buf.h"
#include "engine/grammar.h"

#include <pthread.h>

#define NONE UINT32_MAX

// Lengths are in bytes; FAR stands for "no end within reach" and is absorbing.
#define FAR (1u << 28)
static inline uint32_t far_add(uint32_t a, uint32_t b)
{
    return a >= FAR || b >= FAR || a + b >= FAR ? FAR : a + b;
}
static inline uint32_t far_mul(uint32_t a, uint32_t b)
{
    uint64_t p = (uint64_t)a * b;
    return p >= FAR ? FAR : (uint32_t)p;
}

// ---- memory ----

// Bump allocation in chunks that never move, with marks to go back to.
struct chunk;
struct chunks {
    struct chunk *first, *current;
    size_t used;  // in current
    size_t least; // least size of a chunk; 0: for scratch memory
};
struct chunk_mark {
    struct chunk *chunk;
    size_t used;
};
void *chunk_alloc(struct chunks *p, size_t n);
struct chunk_mark chunk_mark(const struct chunks *p);
void chunk_rewind(struct chunks *p, struct chunk_mark m);
void chunk_free(struct chunks *p);
size_t chunk_bytes(const struct chunks *p);

// ---- the compiled schema ----

// Byte strings in order; a position among them is a range [lo, hi) that shares the bytes so far.
struct words {
    uint32_t n;
    uint32_t shortest;
    const char **text;
    uint32_t *len;
    uint32_t *id; // what the word stands for
};
struct words words_of(struct chunks *mem, const char *const *text, const uint32_t *id, uint32_t n);
bool words_narrow(const struct words *w, uint32_t *lo, uint32_t *hi, uint32_t off, uint8_t c);

// A decimal with an exact value: digits before and after the point, most significant first.
#define DECIMAL_INT  40
#define DECIMAL_FRAC 60
#define DECIMAL_ALL  (DECIMAL_INT + DECIMAL_FRAC)
struct decimal {
    uint8_t d[DECIMAL_ALL];
};

struct bound {
    bool given, exclusive, negative;
    struct decimal size;
};

struct range {
    bool integer;
    bool exponent;       // 1e5 may be written (where no bound would make it inexact)
    bool nonzero;        // with exponent: exclusiveMinimum 0
    bool minus;          // a sign may be written
    bool bounded;        // the digits have to be compared with low and high
    uint32_t int_digits; // most digits before the point
    uint32_t frac_digits;
    uint32_t digits; // most digits in all
    struct bound low, high;
};

enum alt_kind { ALT_STRING, ALT_NUMBER, ALT_WORDS, ALT_ARRAY, ALT_OBJECT };

struct property {
    uint32_t node;
    bool required;
    uint32_t key_len; // of the quoted key
    bool usable;      // its schema can be satisfied
};

struct object {
    uint32_t n; // properties in schema order
    struct property *p;
    struct words keys;       // closing quote included, opening quote not; id: property
    struct words names;      // every declared name, decoded: what no additional key may be
    uint32_t extra;          // node of additional properties, or NONE
    uint32_t min, max;       // number of properties
    uint32_t *required_from; // [n + 1] required properties at or after
    uint32_t *cost_from;     // [n + 1] bytes of those: separator, key, colon, value
    uint32_t *next_required; // [n + 1] first required at or after; n when none
    uint32_t *usable_from;   // [n + 1] usable properties at or after
};

struct array {
    uint32_t n_prefix;
    uint32_t *prefix; // [n_prefix] nodes
    uint32_t items;   // node or NONE
    uint32_t min, max;
    uint32_t *cost; // [n_prefix + 1] bytes of the first elements, separators included
};

struct alt { // one way in which a value may look
    enum alt_kind kind;
    uint32_t shortest;
    union {
        struct {
            uint32_t min, max; // code points
        } string;
        struct range *range;
        struct words *words; // scalars of enum, const, true, false, null as JSON text
        struct array *array;
        struct object *object;
    };
};

struct node { // a set of alternatives
    uint32_t n;
    uint32_t *alt;
    uint32_t shortest;
};

struct schema {
    struct chunks mem;
    struct node *node;
    struct alt *alt;
    uint32_t n_node, n_alt;
    enum grammar_spacing spacing;
    struct build_node *build; // while compiling
    uint32_t cap_build, cap_alt;
};

// Adds a schema to s; the node of its root, or NONE with *e. `what` opens messages.
uint32_t schema_add(struct schema *s, const json_t *schema, const char *what, bool object_only,
                    err *e);
// After the last schema_add: lengths, pruning. `roots` must all be satisfiable.
int schema_finish(struct schema *s, const uint32_t *roots, size_t n_root, const char *const *what,
                  err *e);

void schema_release_build(struct schema *s);
// Bytes from the end of a property to the close of its object, at the least: next is the first
// property that may still come, count how many there are, n_used how many of them undeclared.
uint32_t object_rest(const struct schema *s, const struct object *o, uint32_t next, uint32_t count,
                     uint32_t n_used);

// JSON text of a scalar as Python writes it, quotes included.
void json_scalar_text(buf *b, const json_t *v);
void json_quoted(buf *b, const char *s, size_t n);

// ---- numbers ----

enum number_sub { NUM_MINUS, NUM_ZERO, NUM_INT, NUM_DOT, NUM_FRAC, NUM_E, NUM_ESIGN, NUM_EXP };

struct number { // a number as far as it is written
    uint8_t sub;
    bool minus, nonzero;
    uint8_t n_int, n_frac, n_exp;
    uint8_t digit[DECIMAL_ALL + 2]; // before and after the point; kept where a bound is compared
};

bool number_begin(struct number *n, uint8_t c);
bool number_step(struct number *n, uint8_t c);
// Bytes that must still follow until the number is in range; FAR: none do.
uint32_t number_rest(const struct range *r, const struct number *n);
bool bound_from_json(struct bound *b, const json_t *v);
void range_close_integer(struct range *r);
bool range_finish(struct range *r); // sets the digit caps; false: cannot be exact
int bound_compare(const struct bound *a, const struct bound *b);

// ---- positions ----

struct item {
    uint32_t alt;
    uint32_t next;  // object: first property that may still come
    uint32_t count; // elements or properties complete
    uint32_t child; // node of the value being or about to be written; NONE: no further element
    uint32_t up;    // bytes from the close of this container to the end of the document
    uint32_t after; // bytes from the end of the child to the end of the document
};

// Keys of an object that its schema does not name, in the order written.
struct used_keys {
    uint32_t n;
    const char *text[64];
    uint32_t len[64];
};
#define EXTRA_KEYS_MAX  64
#define EXTRA_KEY_BYTES 5 // quotes and what makes a key new: an upper bound

enum frame_kind { FRAME_ROOT, FRAME_ARRAY, FRAME_OBJECT };

struct frame {
    const struct frame *parent;
    const struct used_keys *used; // NULL: none
    uint32_t kind, depth, n, words;
    uint32_t tool; // FRAME_ROOT: which
    // struct item item[n]; uint64_t serves[n][words] follow
};
#define FRAME_ITEMS(f)  ((struct item *)((f) + 1))
#define FRAME_SERVES(f) ((uint64_t *)(FRAME_ITEMS(f) + (f)->n))
static inline uint32_t bit_words(uint32_t n)
{
    return (n + 63) / 64;
}

// One reading of the lexeme on top.
struct choice {
    uint32_t alt;  // value: the alternative; key: the item of the object
    uint32_t a, b; // range in words: literals, declared keys
    uint32_t c, d; // key: range in the names that an additional key must not be
    uint32_t tail; // value: bytes from its end to the end of the document
};
struct choices {
    uint32_t n, words;
    // struct choice choice[n]; uint64_t serves[n][words] follow
};
#define CHOICE_LIST(x)   ((struct choice *)((x) + 1))
#define CHOICE_SERVES(x) ((uint64_t *)(CHOICE_LIST(x) + (x)->n))

enum mode {
    M_DEAD,
    M_ENDED, // the end token was taken
    M_DONE,  // the document is complete
    M_VALUE, // a value begins
    M_FIRST, // after [ or {
    M_NEXT,  // after an element
    M_COMMA, // after the comma: the space, where the spacing has one
    M_QUOTE, // a key begins
    M_KEY,
    M_COLON, // after a key: colon and space
    M_STRING,
    M_NUMBER,
    M_WORD,
    M_TEXT,   // free text
    M_ANCHOR, // free text so far equal to the beginning of a call that has no tag
    M_LITERAL,
    M_NAME,
    M_BEGIN, // the token that opens a call must come
    M_AFTER  // after a call
};

enum string_sub {
    STR_PLAIN,
    STR_U1, // so many continuation bytes follow
    STR_U2,
    STR_U3,
    STR_E0, // the next byte is restricted: after e0, ed, f0, f4
    STR_ED,
    STR_F0,
    STR_F4,
    STR_ESCAPE,
    STR_HEX,         // hex: digits so far in `digits`
    STR_HIGH,        // a high surrogate stands: \ must come
    STR_HIGH_ESCAPE, // then u
    STR_LOW          // then four digits dc00 to dfff
};

struct pos {
    uint8_t mode, sub;
    uint8_t digits;   // of \uXXXX
    uint8_t literal;  // M_LITERAL: which
    uint16_t unit;    // \uXXXX so far
    uint16_t high;    // the high surrogate before it
    uint32_t off;     // bytes of the lexeme so far (literals, keys, colon, trigger)
    uint32_t points;  // string: code points complete; key: bytes decoded
    uint64_t similar; // key: used keys that begin like this one
    uint32_t a, b;    // M_NAME: range in the names
    const struct frame *top;
    const struct choices *choices;
    const struct number *number;
    const struct key_byte *key; // key: decoded so far, the last byte first
};

struct key_byte {
    const struct key_byte *before;
    char byte;
};

enum literal { LIT_OPEN, LIT_RETRY, LIT_CLOSE, LIT_BETWEEN, LIT_COUNT };

struct literal_text {
    char *text;
    uint32_t len;
    uint32_t *cost; // [len + 1] tokens to write the rest
};

struct tools {
    bool on;
    enum tool_choice choice;
    bool parallel;
    bool anchored;       // begin is empty: a call is the whole answer
    int32_t begin_token; // the added token that opens a call, or -1
    char *trigger;       // the bytes that do, when there is no such token
    uint32_t trigger_len;
    uint32_t *failure; // [trigger_len + 1] Knuth, Morris and Pratt
    struct literal_text literal[LIT_COUNT];
    struct words names; // name and what follows it; id: tool
    uint32_t *node;     // [n_tool]
};

struct mask_cache;

struct grammar {
    const grammar_vocab *v;
    struct schema s;
    struct tools tools;
    uint32_t root; // node of the document; NONE with tools
    struct mask_cache *cache;
};

// ---- steps ----

void pos_start(const grammar *g, struct chunks *mem, struct pos *p);
// One byte further; false: no completion begins so.
bool pos_step(const grammar *g, struct chunks *mem, const struct pos *from, uint8_t c,
              struct pos *to);
// An added token further.
bool pos_added(const grammar *g, struct chunks *mem, const struct pos *from, int32_t token,
               struct pos *to);
bool pos_may_end(const grammar *g, const struct pos *p);
// Tokens of the shortest finish if every byte is one, the end token not counted.
uint32_t pos_finish(const grammar *g, const struct pos *p);
// Upper bound of the finish after any token without a quote, where choice ch is an additional key.
uint32_t extra_key_finish(const grammar *g, const struct pos *p, const struct choice *ch);
void pos_copy(struct chunks *mem, const struct pos *from, struct pos *to);
bool pos_equal(const struct pos *a, const struct pos *b);
uint64_t pos_hash(const struct pos *p);

// One byte of UTF-8 or of a JSON string from sub-state to sub-state; see grammar_step.c.
int utf8_step(uint8_t sub, uint8_t c); // -1: not UTF-8
// Do these bytes go on within a JSON string, from between two characters?
bool string_goes_on(const char *p, uint32_t n);
#define CHARACTER_REST_MAX 8 // bytes that may be missing of a character that has been begun

// ---- the vocabulary ----

struct trie_node {
    uint32_t skip;  // index after the subtree
    uint32_t token; // first in trie.token, and how many end here
    uint16_t n_token;
    uint8_t byte;
    uint8_t pad;
    uint32_t depth;
};
struct trie {
    uint32_t n;
    struct trie_node *node; // depth first
    int32_t *token;
    uint32_t depth; // longest token
};

#define SAFE_POINTS 64
struct vocab_tables {
    int words;                   // 64-bit words in a mask
    struct trie all;             // text tokens
    struct trie unsafe;          // those that are not string-safe
    struct trie quoted;          // those with a quote in them
    uint64_t *safe[SAFE_POINTS]; // [i]: safe tokens of at most i + 1 code points
    uint64_t *open;              // those without a quote that a string of any length may go on with
    uint64_t *text;              // text tokens that valid text may go on with
    int32_t *added;              // every added token, the longest content first
    int n_added;
};
