// Shared between the files of the constrained decoder:
//
//   grammar_schema.c  a JSON Schema becomes sets of values (compile time; the refusals)
//   grammar_uri.c     where $ref leads: $id, $anchor, JSON pointers
//   grammar_set.c     sets of JSON values as boolean algebra, split by the six types
//   grammar_object.c  what an object may still become: keys, their values, the cheapest end
//   grammar_array.c   the same for arrays
//   grammar_cheapest.c  the members of a set from the cheapest one on
//   grammar_step.c    positions, one byte further, and the bytes of the shortest finish
//   grammar_vocab.c   the vocabulary as a trie, and masks that hold for every grammar
//   grammar_lexeme.c  the tokens that may come within a string, by state of its language
//   grammar_mask.c    masks: walks over the trie, short cuts, the cache
//   grammar_rules.c   texts by rules: their pieces become a net
//   grammar_net.c     positions in it
//   grammar_walk.c    their masks
//   grammar_trial.c   which rules take too long
//   grammar_tools.c   free text and tool calls as rules
//   grammar_tags.c    structural tags, given as JSON, as rules
//   grammar_ebnf.c    EBNF as rules
//   grammar_force.c   what must come next, as bytes and as the tokenizer's tokens
//   grammar.c         the public functions
//
// A schema is a set of values. Types are disjoint, so a set is a union of one part for each type:
// literals by name, numbers and strings as languages (lex.h), arrays and objects as `form`s. and,
// or and not work on each part alone. A form is a boolean formula over conditions on one container,
// in negation normal form; a condition that a property or an element has to meet names another set,
// through the node of a subschema, so recursion always passes through a container.
//
// A position is a stack of frames, one for each open container, with a lexeme on top. JSON's
// brackets are visible, so one stack is enough: all ambiguity lies within a frame, as a list of
// `item`s, forms that have all survived the same text. Writing a property splits an item into
// terms, pairs of a set for the value and a form for the rest; what the value turns out to be
// decides which survive. An item knows which items of the frame below it serves. Every item is
// alive, that is, some text completes it; hence no position is a dead end.
#pragma once
#include "base/buf.h"
#include "engine/grammar.h"
#include "engine/lex.h"

#include <pthread.h>
#include <stdatomic.h>

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
static inline uint32_t min_of(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}
static inline uint32_t max_of(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}
static inline uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ h >> 32) * 0xd6e8feb86659fd93u; // first h alone, so that h and v do not cancel out
    h = ((h ^ h >> 32) + v) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}

static inline bool has_bit(const uint64_t *row, uint32_t i)
{
    return row[i / 64] >> (i % 64) & 1;
}
static inline void set_bit(uint64_t *row, uint32_t i)
{
    row[i / 64] |= 1ull << (i % 64);
}
static inline uint32_t bit_words(uint32_t n)
{
    return (n + 63) / 64;
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
void *chunk_alloc(struct chunks *p, size_t n); // zeroed
struct chunk_mark chunk_mark(const struct chunks *p);
void chunk_rewind(struct chunks *p, struct chunk_mark m);
void chunk_free(struct chunks *p);
size_t chunk_bytes(const struct chunks *p);

// Ids by hash: slots hold id + 1, the owner compares.
struct table {
    uint32_t *slot, n, cap;
};
// The slot to look at first; go on with (i + 1) & (cap - 1) while slot[i] is not 0.
void table_room(struct table *t, uint64_t (*hash_of)(const void *owner, uint32_t id),
                const void *owner);
size_t table_bytes(const struct table *t);

// ---- sets of values ----

typedef uint32_t set_id;
typedef uint32_t form_id;
typedef uint32_t name_id;
enum { SET_NONE, SET_ALL };
enum { FORM_FALSE, FORM_TRUE };
enum { LITERAL_NULL = 1, LITERAL_TRUE = 2, LITERAL_FALSE = 4, LITERAL_ALL = 7 };

struct set {
    uint8_t literals;
    lex_lang number, string;
    form_id array, object;
    uint32_t scalar_cost; // bytes of the shortest scalar; FAR: none
    set_id complement;    // NONE: not made yet
};

enum form_kind {
    F_FALSE,
    F_TRUE,
    F_AND, // list
    F_OR,
    O_PROPS,    // every property meets the set that props a gives its key
    O_BAD,      // some property does not; list: names that can no longer be the one
    O_HAS,      // list: all these names are there
    O_LACKS,    // name a is not there
    O_MIN,      // at least a properties
    O_MAX,      // at most a
    O_NAMES,    // every key is in language a
    O_BAD_NAME, // some key is not
    A_ITEMS,    // every element meets the set that items a gives its index
    A_BAD,      // some element from index b on does not
    A_MIN,
    A_MAX,
    A_CONTAINS, // between b and c elements are in the set of node a
    A_UNIQUE
};

struct form {
    uint8_t kind;
    uint8_t cost_state; // 0: cost not known, 1: being found out, 2: known
    bool plain;         // conditions without alternatives: neither OR nor BAD nor BAD_NAME within
    bool compares;      // A_UNIQUE within
    bool lives;         // there is such a container; false: not known
    uint8_t many;       // see array_many, object_many; 0: not asked, 1: no, 2: yes
    name_id many_name;
    uint8_t answer; // of the question `asked`: a form may stand in many places of another
    uint32_t asked;
    uint32_t a, b, c;
    uint32_t n;
    const uint32_t *list; // [n] forms of AND and OR; names, sorted
    form_id complement;   // NONE: not made yet
    uint32_t cost;        // bytes of the shortest such container, brackets included
    uint32_t members;     // 1 + at most how many there are, or LEX_MANY; 0: not counted
    uint32_t settled;     // a count at or beyond this is as good as any greater one
};

struct prop {
    name_id name;
    uint32_t node;
};
struct pattern {
    lex_lang lang;
    uint32_t node;
};
struct props {
    uint32_t n, n_pattern;
    struct prop *p;    // [n] in the schema's order
    uint32_t *by_name; // [n] indices of p, sorted by name
    struct pattern *pattern;
    uint32_t extra; // node of what neither p nor a pattern names
};
struct items {
    uint32_t n;
    uint32_t *prefix; // [n] nodes
    uint32_t rest;    // node
};

struct name {
    const char *text;
    uint32_t len;
    uint32_t quoted; // bytes as a JSON key, quotes included
};

enum { NODE_NONE, NODE_ALL }; // the schemas false and true
struct node {
    set_id set;
    uint8_t state; // 0: not looked at, 1: being computed, 2: set is known
    bool open;     // combined with another schema: the option `closed` does not apply
    const json_t *schema;
    uint32_t base; // resource it belongs to
};

// A set for the value and a form for the rest of its container.
struct term {
    set_id value;
    form_id rest;
};

// Which keys an object with certain forms can tell apart: its declared names, and classes of other
// keys by the patterns they match. A symbol is an index into name, or n + an index into class.
struct key_class {
    lex_lang lang;
    lex_state start;
    uint32_t cost;            // bytes of its shortest key with quotes, and some to make it new
    uint32_t *named, n_named; // declared names in it: what each costs (lex_rest_of)
    uint64_t in[2];           // which of keys.lang hold
};
struct keys {
    uint32_t n, n_class, n_lang;
    name_id *name;      // [n] in the order in which they are to be written
    uint32_t *by_name;  // [n] indices of name, sorted by id
    uint32_t *by_bytes; // [n] indices of name in the order of lex_words_range
    form_id *form;      // [n_form] what these are the keys of
    uint32_t n_form;
    lex_state words;           // the names as a language; LEX_DEAD: none
    lex_lang *lang;            // [n_lang] of patterns and property names
    struct key_class *cls;     // [n_class]
    lex_lang left_out;         // keys of classes that no form lets in
    struct together *together; // what keys_together was last asked
};

struct grammar;
set_id values_make(struct grammar *g, struct set s);
set_id values_and(struct grammar *g, set_id a, set_id b);
set_id values_or(struct grammar *g, set_id a, set_id b);
set_id values_not(struct grammar *g, set_id a);
set_id values_minus(struct grammar *g, set_id a, set_id b); // a and not b
uint32_t values_cost(struct grammar *g, set_id a); // bytes of the shortest member; FAR: empty
bool values_live(struct grammar *g, set_id a);     // not empty: sooner known than the cost
bool values_is_scalar(const struct grammar *g, set_id a);  // its containers are none or all
set_id values_of_json(struct grammar *g, const json_t *v); // exactly this value
// How many there are at most, exactly where they are scalars; LEX_MANY: more than are counted.
uint32_t values_count(struct grammar *g, set_id a);
set_id values_but_cheapest(struct grammar *g, set_id s); // without a member that costs least

form_id form_make(struct grammar *g, struct form f);
form_id form_atom(struct grammar *g, enum form_kind kind, uint32_t a, uint32_t b, uint32_t c);
form_id form_names(struct grammar *g, enum form_kind kind, uint32_t a, const name_id *list,
                   uint32_t n);
form_id form_and(struct grammar *g, form_id a, form_id b);
form_id form_or(struct grammar *g, form_id a, form_id b);
form_id form_not(struct grammar *g, form_id a);
uint32_t form_cost(struct grammar *g, form_id a, bool object);
bool form_lives(struct grammar *g, form_id a, bool object);   // cost < FAR
bool forms_disjoint(struct grammar *g, form_id a, form_id b); // cheaply seen; false: perhaps not

name_id name_of(struct grammar *g, const char *text, size_t len);
set_id prop_set(struct grammar *g, const struct props *p, const struct keys *k, uint32_t symbol);
bool symbol_in(struct grammar *g, const struct keys *k, uint32_t symbol, lex_lang lang);
uint32_t quoted_bytes(const char *p, size_t n); // as a JSON string, quotes included
void props_sort(struct grammar *g, struct props *p);
void grammar_too_much(struct grammar *g, const char *why);
void grammar_effort(struct grammar *g, uint64_t n); // counts work; too much while compiling
set_id node_set(struct grammar *g, uint32_t node);
uint32_t node_of_set(struct grammar *g, set_id s);
uint32_t prop_node(const struct props *p, name_id name);

// Terms of a form for one symbol of keys, or (keys NULL) for the element with this index.
const struct term *form_terms(struct grammar *g, form_id f, const struct keys *k, uint32_t symbol,
                              uint32_t *n);

// ---- objects ----

#define NEW_KEY 5 // bytes that make an undeclared key a new one, where that is not worked out

struct seen_key { // undeclared keys of an object, the last one first; decoded
    const struct seen_key *before;
    uint32_t len;
    char text[];
};

struct object_at { // how far an object is written
    const struct keys *k;
    const uint64_t *seen;         // [bit_words(k->n)]
    uint32_t next;                // declared keys before this one can no longer come
    uint32_t count;               // properties so far
    const struct seen_key *extra; // undeclared ones
    uint32_t more;                // 1 + the class of a further one; 0: there is none
};

const struct keys *keys_of(struct grammar *g, const form_id *f, uint32_t n);
// Where the keys of these classes (a bit for each) begin as one language; LEX_DEAD: not known.
lex_state keys_together(struct grammar *g, const struct keys *k, uint64_t classes);
uint32_t keys_find(const struct keys *k, name_id name);
bool object_closes(struct grammar *g, form_id f, const struct object_at *at);
// Bytes from after a property (or the opening bracket, when count is 0) to the end of the object;
// FAR: nothing completes it. `any`: less than FAR says only that something does.
uint32_t object_rest(struct grammar *g, form_id f, const struct object_at *at, bool any);
// The same with any = false, remembered for the places of late.
uint32_t object_finish(struct grammar *g, form_id f, const struct object_at *at);
// Is there a completion with this declared key, which is not there yet? A short search.
enum may { MAY_NOT, MAY, MAY_UNKNOWN };
enum may object_may_have(struct grammar *g, form_id f, const struct object_at *at, uint32_t symbol);
uint32_t symbol_bytes(struct grammar *g, const struct object_at *at, uint32_t symbol);
// Bytes of the k-th shortest key of class c that can still come, with quotes; FAR: there is none.
// `least` and *upto: see lex_rest_left.
uint32_t class_bytes(struct grammar *g, const struct object_at *at, uint32_t c, uint32_t least,
                     uint32_t k, uint32_t *upto);
// Are there more objects of this form than elements are ever compared, for certain? Where a
// declared property has to come for that, it is *name; NONE: none does.
bool object_many(struct grammar *g, form_id f, name_id *name);
// Where there are: bytes by which an object gets to be another one than k others, from any place
// where such a property may still come; FAR: not known.
uint32_t object_more(struct grammar *g, form_id f, uint32_t k);

// ---- arrays ----

bool array_closes(struct grammar *g, form_id f, uint32_t count);
// Elements so far, where they are compared.
struct used {
    set_id set;
    lex_lang words; // LEX_EMPTY, or that of all elements, and a bit for each word taken
    const uint64_t *taken;
    bool writing; // one more is being written, and counted,
    set_id open;  // a value of this set
    uint32_t n;   // where some are not in `set`: how many there are; else 0
};
// Bytes from after an element (or the bracket) to the end.
uint32_t array_rest(struct grammar *g, form_id f, uint32_t count, const struct used *used);
// Where elements have to differ: the values of `one` that an element may have before this, so that
// enough are left for those that have to come (Hall's condition). Otherwise: `one`.
set_id array_spare(struct grammar *g, form_id f, uint32_t count, const struct used *used,
                   set_id one);
// The language of which all elements are words, where that is so and they have to differ; else
// LEX_EMPTY.
lex_lang array_words(struct grammar *g, form_id f);
// Of an array under plain conditions, the same for each element: the set of these; else SET_NONE.
set_id array_even(struct grammar *g, form_id f);
// More members than elements are ever compared, for certain; false: not known.
bool array_many(struct grammar *g, form_id f);
uint32_t array_more(struct grammar *g, form_id f, uint32_t k); // see object_more
// A bound of the k-th cheapest member of a set of many, as dear as anything that values_cost finds.
uint32_t many_cost(struct grammar *g, set_id a, uint32_t k);
#define NUMBER_BYTES 140 // of any number
bool values_many(struct grammar *g, set_id a);
bool scalars_many(struct grammar *g, set_id a);
bool form_compares(const struct grammar *g, form_id f); // A_UNIQUE within

// ---- compile time ----

// Where the parts of a schema document are that references can name.
struct place {
    char *uri; // of a resource; with fragment: of an anchor
    const json_t *schema;
    uint32_t base; // index of the resource it belongs to
    bool dynamic;  // $dynamicAnchor
};
struct places {
    struct place *v;
    uint32_t n, cap;
    bool recursive_anchor; // $recursiveAnchor: true somewhere
    bool ref_alone;        // draft 7 and before: nothing counts beside $ref, $id neither
};
void places_add(struct places *p, const json_t *document);
// What `ref`, standing in resource *base, names; *base becomes its resource. NULL: *why says why.
const json_t *places_find(const struct places *p, const char *ref, uint32_t *base,
                          const char **why);
uint32_t places_dynamic(const struct places *p, const char *anchor); // how many have this name
void places_free(struct places *p);

// Adds a schema; the node of its root, or NONE with *e. `what` opens messages.
uint32_t schema_add(struct grammar *g, const json_t *schema, const char *what, bool object_only,
                    err *e);

// JSON text of a scalar, quotes included.
void json_scalar_text(buf *b, const json_t *v);
void json_quoted(buf *b, const char *s, size_t n);

// ---- positions ----

struct item {
    form_id form;
    set_id child; // set of the value being or about to be written; SET_NONE: none may come
};

#define UNMERGED_MAX 3
enum frame_kind { FRAME_ROOT, FRAME_ARRAY, FRAME_OBJECT };

struct frame {
    const struct frame *parent;
    const struct keys *keys;      // of an object
    const struct seen_key *extra; // keys it does not name, written so far
    uint64_t hash[2];             // of all this and the frames below
    atomic_uint refs;
    bool kept;   // on the heap, counted; else in scratch memory
    bool record; // the text of each element is needed, here or below
    uint8_t kind;
    uint32_t depth, n, words;
    uint32_t n_seen;             // words of seen bits
    uint32_t count;              // elements or properties complete, as far as it matters
    uint32_t next;               // first declared key that may still come
    const struct column *column; // FRAME_ROOT: the thread that goes on behind the value, by
    uint32_t entry, edge;        // rules; NULL: none does
    set_id used;                 // elements so far, where they are compared
    uint32_t n_used;             // how many
    uint8_t unmerged; // the last of these are not in `used` yet, where g->guess is on: so many that
                      // differ; UNMERGED_MAX: more, or they may be the same
    bool unmerged_box;            // some of them are containers
    bool guessed;                 // in an element behind one of those
    const struct text_byte *last; // end of the text of the last of them
    lex_lang distinct; // FRAME_ARRAY of distinct words of this language: seen bits are those taken
    const struct text_byte *start; // FRAME_ARRAY that compares: text before the element
    // struct item item[n]; uint64_t serves[n][words]; uint64_t seen[n_seen] follow
};
#define FRAME_ITEMS(f)  ((struct item *)((f) + 1))
#define FRAME_SERVES(f) ((uint64_t *)(FRAME_ITEMS(f) + (f)->n))
#define FRAME_SEEN(f)   (FRAME_SERVES(f) + (size_t)(f)->n * (f)->words)

// One reading of the lexeme on top.
struct choices {
    uint32_t n, words;
    // lex_state state[n rounded up to 2]; uint64_t serves[n][words] follow
};
#define CHOICE_STATES(x) ((lex_state *)((x) + 1))
#define CHOICE_SERVES(x) ((uint64_t *)(CHOICE_STATES(x) + (((x)->n + 1) & ~1u)))

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
    M_RULES // by rules, outside of JSON (or in several readings)
};

enum utf8_sub { // how much of a character stands
    STR_PLAIN,
    STR_U1, // so many continuation bytes follow
    STR_U2,
    STR_U3,
    STR_E0, // the next byte is restricted: after e0, ed, f0, f4
    STR_ED,
    STR_F0,
    STR_F4
};
int utf8_step(uint8_t sub, uint8_t c); // -1: not UTF-8

struct text_byte { // written text, the last byte first
    const struct text_byte *before;
    uint32_t len;
    char byte;
    bool kept;   // on the heap, in a piece of text that is counted
    uint16_t at; // where in it
};

struct pos {
    uint8_t mode, sub;
    uint8_t literal; // M_WORD: which of null, true, false
    uint16_t space;  // bytes of white space in this gap
    uint32_t off;    // bytes of the word, colon
    lex_state s;     // string, number: the state when there is one choice; key: of the names
    lex_state other; // key: the state of undeclared keys when there is one class
    const struct frame *top;
    const struct choices *choices; // string, number; key: the classes when there are several
    const struct text_byte *key;   // key: bytes so far
    const struct text_byte *text;  // where elements are compared: all bytes since the array
    const struct threads *threads; // M_RULES
};

struct mask_cache;
struct lexeme_cache;

#define ALLOWED_MAX 64
#define JOINED_MAX  256
#define RESTS_MAX   2048
struct allowed { // of the frame with this hash, symbol by symbol
    uint64_t hash[2];
    uint32_t cap;
    uint8_t *may; // 0: not known, 1: no, 2: yes
};

struct grammar {
    const grammar_vocab *v;
    struct grammar_options o;
    pthread_mutex_t lock; // everything below grows while masks are made
    struct chunks mem;    // interned things; they never move
    lex *x;
    lex *raw;            // of plain text
    struct rules *rules; // NULL: the text is one JSON value
    set_id root;         // set of the document, without rules

    struct set *sets;
    struct form *forms;
    struct name *names;
    struct node *nodes;
    struct props **props;
    struct items **items;
    struct keys **keys;
    uint32_t n_set, cap_set, n_form, cap_form, n_name, cap_name, n_node, cap_node, n_props,
        cap_props, n_items, cap_items, n_keys, cap_keys;
    struct table set_table, form_table, name_table, keys_table, term_table, node_table,
        cheapest_table;
    struct cheapest {
        set_id of, rest; // rest: without its cheapest member
    } * cheapest;
    uint32_t n_cheapest, cap_cheapest;
    struct term_entry *terms;
    uint32_t n_term, cap_term;
    bool guess;       // masks: elements that end are left out of `used` until that matters
    bool least;       // finishes: those elements that were left out do not count: a lower bound
    uint8_t guesses;  // most of these in one array, as unmerged counts them, since it was set to 0
    bool cut;         // a cost was taken as FAR because it is being found out
    uint32_t finding; // costs being found out
    struct chunks work; // scratch memory of one call
    struct chunks step; // frames of positions that do not stay
    struct compiler *compiler;
    uint32_t n_made;   // sets and forms
    uint32_t question; // see form.asked
    uint64_t effort;   // members of forms looked at while compiling
    bool too_much;     // an operation went beyond its cap
    bool trying;       // only what is beyond those of the whole matters
    bool beyond;       // and that is the time or the memory of the whole
    char why[160];     // and which
    struct mask_cache *cache;
    struct lexeme_cache *lexemes;
    struct walk_room *room; // of mask walks
    struct joined {
        set_id a, b, result; // a 0: empty
    } joined[JOINED_MAX];    // what was and-ed of late
    struct allowed *allowed; // [ALLOWED_MAX] which keys may come, for frames of late
    struct rest_known {
        uint64_t hash[2]; // of the form and how far the object is written
        uint32_t rest;
    } * rests;   // [RESTS_MAX] object_rest of late; NULL: not asked yet
    bool forget; // nothing of it is used: for the slow twin
};
size_t grammar_interned_bytes(const struct grammar *g);

void pos_start(struct grammar *g, struct chunks *mem, struct pos *p);
// One byte further; false: no completion begins so.
bool pos_step(struct grammar *g, struct chunks *mem, const struct pos *from, uint8_t c,
              struct pos *to);
// False: no step with c can succeed; cheap.
bool pos_may_begin(const struct grammar *g, const struct pos *p, uint8_t c);
// An added token further.
bool pos_added(struct grammar *g, struct chunks *mem, const struct pos *from, int32_t token,
               struct pos *to);
// Where steps guess: does whether p is alive depend on elements that were not compared? If so, the
// steps have to be taken again without. So it is where these are more than `most`.
bool pos_unclear(struct grammar *g, struct chunks *mem, const struct pos *p, uint32_t most);
// Any token further.
bool pos_token(struct grammar *g, struct chunks *mem, const struct pos *from, int32_t token,
               struct pos *to);
// Only reading i of a string or number that has several.
struct pos pos_reading(struct chunks *mem, const struct pos *p, uint32_t i);
// Each reading as the state that is like it for all tokens; x when they are that already.
const struct choices *choices_alike(struct grammar *g, struct chunks *mem, const struct choices *x);
// The same string where no other element of its array stands yet; false: there is none.
bool pos_without_taken(struct chunks *mem, const struct pos *p, struct pos *to);
// A string with one reading ends, wherever in it; a key that becomes `symbol`, whatever it is,
// ends.
bool pos_close_string(struct grammar *g, struct chunks *mem, const struct pos *from,
                      struct pos *to);
bool pos_close_key(struct grammar *g, struct chunks *mem, const struct pos *from, uint32_t symbol,
                   struct pos *to);
// The classes of keys that may come in this object, a bit for each.
uint64_t pos_classes(struct grammar *g, struct chunks *mem, const struct pos *p);
// A number that may end does.
bool pos_end_number(struct grammar *g, struct chunks *mem, const struct pos *from, struct pos *to);
bool pos_may_end(struct grammar *g, struct chunks *mem, const struct pos *p);
// Tokens of the shortest finish if every byte is one, the end token not counted.
uint32_t pos_finish(struct grammar *g, const struct pos *p);
struct digest {
    uint64_t h[2];
};
struct digest pos_digest(const struct pos *p);
// Heap memory that the position p holds and `before`, the one it came from, does not.
size_t pos_bytes(const struct pos *p, const struct pos *before);
size_t threads_bytes(const struct threads *x, const struct threads *before);
struct digest rules_digest(const struct pos *p);
// A position that stands on heap memory, and giving it back.
struct pos pos_keep(const struct pos *p);
void pos_drop(struct pos *p);

// ---- rules (grammar_rules.h) ----

void rules_free(struct rules *r);
size_t rules_bytes(const struct rules *r);
void rules_start(struct grammar *g, struct chunks *mem, struct pos *to);
bool rules_step(struct grammar *g, struct chunks *mem, const struct pos *from, uint8_t c,
                struct pos *to);
bool rules_token(struct grammar *g, struct chunks *mem, const struct pos *from, int32_t token,
                 struct pos *to);
// The JSON value of the root frame f is complete.
bool rules_json_done(struct grammar *g, struct chunks *mem, const struct frame *f, struct pos *to);
uint32_t rules_finish(struct grammar *g, const struct pos *p);
uint32_t rules_json_tail(const struct grammar *g, const struct frame *root);
bool rules_may_end(const struct pos *p);
bool rules_in_call(const struct grammar *g, const struct pos *p);
const struct column *column_keep(const struct column *c);
void column_drop(const struct column *c);
const struct threads *threads_keep(const struct threads *x);
void threads_drop(const struct threads *x);
const struct frame *frame_root(struct chunks *mem, set_id child);

int tools_add(struct grammar *g, const struct grammar_tools_options *o, err *e);
int tags_add(struct grammar *g, const json_t *spec, err *e);
int ebnf_add(struct grammar *g, const char *text, size_t n, err *e);

// ---- what must come ----

enum { FORCE_CONTEXT = 48 }; // tokens in front that the tokenizer is shown
size_t force_bytes(struct grammar *g, const struct pos *p, char *out, size_t cap);
bool force_end(struct grammar *g, const struct pos *p);
// `before`: the n last tokens of text, the last one first.
size_t force_tokens(struct grammar *g, const struct pos *p, const int32_t *before, size_t n,
                    int32_t *out, size_t cap);

// ---- the vocabulary and masks ----

struct trie_node {
    uint32_t skip;    // index after the subtree
    uint32_t token;   // first in trie.token; those of a subtree stand together
    uint16_t n_token; // how many end here
    uint16_t depth;
    uint8_t byte;
    uint8_t safe_from; // the greatest of the subtree's tokens, see trie.safe_from
    uint8_t kind;      // of the character that is complete here (lex.h); KIND_MIDDLE
    uint8_t deepest;   // bytes of the longest path below it; 255: as many or more
    // Kinds of the characters that are complete below it, KIND_BEYOND and KIND_WHITE where a token
    // ends within one, KIND_OTHER where one is no UTF-8.
    struct kinds below;
};
struct trie {
    uint32_t n, n_token;
    struct trie_node *node; // depth first
    int32_t *token;
    // From this byte on a token may stand in a string of any content, begun before: no quote,
    // backslash or control character, and UTF-8 as far as it goes; 255: more
    uint8_t *safe_from;
    uint32_t depth;      // longest token
    uint32_t first[257]; // [b]: node of the first byte b, or the next there is
};

#define SAFE_POINTS 64
#define FEW_POINTS  16
#define KINDS_MAX   64
#define KIND_BLOCKS 9
#define NONE_GROUP  UINT16_MAX
struct kind_mask {
    struct kinds first, kinds; // of the first character, of the others
    int n;
    uint64_t *bits;
};
struct quote_token { // what may stand in a string, then a quote that ends it
    int32_t token;
    uint32_t suffix; // what comes after the quote: index into trie.token of the suffixes
    uint32_t points; // characters before it
    bool escaped;    // some of them as escapes
};
// Tokens inside a string of free content, under one policy of escapes.
struct string_tables {
    struct trie suffixes;      // what comes after the quote of those that end it; ids of groups
    uint32_t *group;           // [suffixes.n_token + 1] where each begins in `quote`
    bool *simple;              // [suffixes.n_token] no whole value is in it
    bool *of_key;              // [suffixes.n_token] a colon or a blank comes first
    struct quote_token *quote; // [n_quote] by group
    uint32_t n_quote;
    uint16_t *group_of; // by token; NONE_GROUP: ends no string
    uint64_t *open;     // those that stay in a string of any length
    uint64_t *closed;   // and those that end it with their last byte
    int n_open, n_closed;
};
struct vocab_tables {
    int words;           // 64-bit words in a mask
    struct trie all;     // text tokens
    struct trie escaped; // those in which a backslash comes before any quote
    struct string_tables string[2];
    struct quote_token *odd; // safe ones of more than SAFE_POINTS, or that end within a character
    uint32_t n_odd, points_max;  // most code points of any token, begun ones included
    uint64_t *safe[SAFE_POINTS]; // [i]: string-safe tokens of at most i + 1 code points
    int n_safe[SAFE_POINTS];
    struct trie many; // text tokens of more than FEW_POINTS code points
    uint64_t *few;    // all other tokens
    uint32_t reach;   // most code points of any token, valid UTF-8 or not
    uint64_t *text;   // text tokens that valid text may go on with
    int n_text;
    // [KINDS] tokens whose first character, and in which some other one, is of this kind; NULL:
    // there are none. A token that ends within a character is there as BEYOND and as WHITE.
    uint64_t *first[KINDS], *later[KINDS];
    uint64_t *first_block[KIND_BLOCKS], *later_block[KIND_BLOCKS]; // of several kinds together
    struct kind_mask *kinds; // [n_kinds] tokens made of some kinds of characters only
    uint32_t n_kinds;
    pthread_mutex_t lock; // of kinds, which is made when first asked for
    int32_t *added;       // every added token, the longest content first
    int n_added;
};

// Tokens whose first character is of the kinds `first`, and every other one of `kinds`; NULL: there
// is no more room for masks, and vocab_kinds_fill makes it anew.
const struct kind_mask *vocab_kinds(const grammar_vocab *v, struct kinds first, struct kinds kinds);
void vocab_kinds_fill(const grammar_vocab *v, struct kinds first, struct kinds kinds,
                      uint64_t *bits);
int count_bits(const uint64_t *bits, int words);

// ---- tokens within strings ----

#define NO_LIMIT UINT32_MAX

struct token_list {
    int32_t *v;
    uint32_t n, cap;
};
struct shared_bits { // a mask, counted
    uint32_t refs;
    uint64_t w[];
};
// The tokens that may come at a state of a string's or an undeclared key's language.
struct lexeme {
    const uint64_t *base; // those that stay within it; NULL: none
    int n_base;
    struct shared_bits *own;   // the base when it is not one of the vocabulary
    struct token_list inside;  // more of them
    struct token_list closing; // a quote in it may end the string: what follows is to be judged
    struct token_list few;     // it stays within, at a state with few members
    struct token_list nodes; // of the trie: quotes, where the state is in the middle of a character
    uint32_t furthest;       // the most bytes that the string may need after any of them
};
// `counts`: tokens that lead to states of few members are put apart.
const struct lexeme *lexeme_of(struct grammar *g, lex_state s, bool counts); // until the next call
// Only tokens after which the string needs at most `most` bytes.
void lexeme_make(struct grammar *g, lex_state s, bool counts, uint32_t most, struct lexeme *out);
void lexeme_release(struct lexeme *x);
void bits_release(struct shared_bits *b);
struct lexeme_cache *lexeme_cache_new(void);
void lexeme_cache_free(struct lexeme_cache *c);
size_t lexeme_cache_bytes(const struct lexeme_cache *c);

// A mask being made: what walks outside of grammar_mask.c put into it.
struct fill;
void fill_bits(struct fill *f, const uint64_t *bits);        // all of these
void fill_base(struct fill *f, const uint64_t *bits, int n); // all of these, before anything else
bool fill_fits(struct fill *f, const struct pos *p);         // may tokens that lead to p be put?
bool fill_counts(const struct fill *f);                      // do finishes matter at all?
bool fill_fits_at(struct fill *f, uint32_t finish);          // or to a position with this finish?
void rules_fill(struct grammar *g, struct fill *f, const struct pos *p);
// The tokens that may come right behind the number at p.
void rules_fill_behind(struct grammar *g, struct fill *f, const struct pos *p);

int mask_make(struct grammar *g, const struct pos *p, int budget, uint64_t *bits);
int mask_make_slow(struct grammar *g, const struct pos *p, int budget, uint64_t *bits);
void walk_room_free(struct walk_room *r);
struct mask_cache *mask_cache_new(void);
void mask_cache_free(struct mask_cache *c);
size_t mask_cache_bytes(const struct mask_cache *c);
