// Languages of scalars: which strings, and which numbers, a schema allows, as automata that are
// built while they are walked. A language is a set of texts closed under and, or and not; a state
// is a position in one, reached by the bytes of JSON text. Equal languages get equal ids where that
// is cheap to see, and the same state always has the same id, so ids can be keys of caches.
//
// Strings: a language is a set of decoded strings (any sequence of Unicode scalar values, U+0000
// included). A state reads what stands between the quotes: raw UTF-8, \" \\ \/ \b \f \n \r \t and
// \uXXXX with surrogate pairs, as the escape policy allows.
//
// Numbers: a language is a set of decimal values (of which some may be in it in one spelling only:
// lex_plain_integer); a state reads the JSON text of one, spelled so:
//   - At most 18 digits before the point and 20 after it (up to 40 and 60 where a bound has more).
//     Zeros may end a fraction: 600.0 is an integer.
//   - An exponent has up to three digits. Where no bound but 0 and no multiple but whole numbers is
//     asked for it may follow any digits, up to e280; else only one digit other than 0 before the
//     point (1e-06, 2.5e+16), up to e307, or zeros alone (0e1). So every value fits a double and
//     none but 0 becomes 0.
//   - -0 is written where 0 and some number below it are allowed.
//   - Where multiples of something but 1 are asked for, a number with a point has 15 digits at most
//     (zeros at its end aside), so that a double still has them all.
//   - A number that a double could round onto a value that the language refuses is not written.
//
// A state is alive: some continuation is accepted; a step that would leave only dead ends gives
// LEX_DEAD at once. What is too large to decide (more than 20,000 states of one language) or to
// enforce exactly is refused by lex_regex and its like, lex_and, lex_or, lex_not or lex_prepare.
// Nothing else fails, and nothing aborts.
//
// A `lex` belongs to one thread at a time.
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lex lex;
typedef uint32_t lex_lang;
typedef uint32_t lex_state;

enum { LEX_EMPTY = 0, LEX_ANY_STRING = 1, LEX_ANY_NUMBER = 2, LEX_NO_NUMBER = 3 }; // lex_lang
#define LEX_FAILED UINT32_MAX                                                      // lex_lang
enum { LEX_DEAD = 0 };                                                             // lex_state
#define LEX_MANY UINT32_MAX // lex_count: more than 65,535

enum lex_escapes {
    ESCAPES_ANY,     // every escape of JSON
    ESCAPES_MINIMAL, // raw UTF-8; only what must be escaped is, in its short form (\n, else \u00XX)
    ESCAPES_NONE     // no JSON string but plain text: every character stands for itself
};

lex *lex_new(enum lex_escapes escapes);
void lex_free(lex *x);
size_t lex_bytes(const lex *x);

// ---- languages; LEX_FAILED (with *e, where there is one): not exact, or too large ----

// Strings in which the ECMA-262 pattern (by code points, not anchored) matches somewhere. Refused
// are back-references, look-behind, scripts (\p{Script=...}) and what other dialects add.
lex_lang lex_regex(lex *x, const char *pattern, size_t n, err *e);
// Strings of a format of the JSON Schema specifications; found = false: no such format (an
// annotation). LEX_FAILED: a format that is known and cannot be enforced exactly (regex, idn-email,
// idn-hostname). A hostname is never one with an encoded label (xn--), so that its complement, and
// that of what is made from it, is LEX_FAILED.
lex_lang lex_format(lex *x, const char *name, bool *found, err *e);
lex_lang lex_length(lex *x, uint64_t min, uint64_t max); // code points; max UINT64_MAX: none
// The same, but where max is greater than LEX_LENGTH_MAX only the strings of at most so many code
// points: each count is a state, of half a kilobyte. A greater min is LEX_FAILED.
#define LEX_LENGTH_MAX 25000
lex_lang lex_short_length(lex *x, uint64_t min, uint64_t max);
// Exactly these decoded strings (UTF-8; distinct, any order).
lex_lang lex_words(lex *x, const char *const *text, const size_t *len, size_t n);

// Numbers. `text` is a JSON number; its decimal value counts exactly.
lex_lang lex_integer(lex *x);       // 1, 1.0, 1e0
lex_lang lex_plain_integer(lex *x); // 1, but neither 1.0 nor 1e0: the integers of draft 4
lex_lang lex_at_least(lex *x, const char *text, bool exclusive, err *e);
lex_lang lex_at_most(lex *x, const char *text, bool exclusive, err *e);
lex_lang lex_multiple(lex *x, const char *text, err *e);
lex_lang lex_number(lex *x, const char *text, err *e); // equal to it

// Both of strings or both of numbers; lex_not is the complement among strings / among numbers. The
// complement of LEX_EMPTY is LEX_ANY_STRING; no numbers are LEX_NO_NUMBER. LEX_FAILED stays that.
lex_lang lex_and(lex *x, lex_lang a, lex_lang b);
lex_lang lex_or(lex *x, lex_lang a, lex_lang b);
lex_lang lex_not(lex *x, lex_lang a);
// Of strings: a, then b; a at least min and at most max times (UINT32_MAX: any number).
lex_lang lex_then(lex *x, lex_lang a, lex_lang b);
lex_lang lex_repeat(lex *x, lex_lang a, uint32_t min, uint32_t max);
bool lex_is_plain(const lex *x, lex_lang a); // a string language made without and, not

// Decides emptiness. -1 with *e when that takes more than the caps allow; after 0 no later call on
// this language or its states fails. lex_start belongs after it.
int lex_prepare(lex *x, lex_lang a, err *e);
bool lex_is_empty(lex *x, lex_lang a);                           // after lex_prepare
bool lex_has(lex *x, lex_lang a, const char *decoded, size_t n); // decoded string, or number text

// ---- states ----

lex_state lex_start(lex *x, lex_lang a); // strings: after the opening quote; LEX_DEAD: empty
static inline lex_state lex_step(lex *x, lex_state s, uint8_t byte);
bool lex_accepts(const lex *x, lex_state s); // the closing quote / the end of the number may come
uint32_t lex_rest(lex *x, lex_state s);      // fewest further bytes until it accepts
// Decoded texts (of numbers: values) accepted from here. LEX_MANY also where there are fewer, but
// thousands of characters long.
uint32_t lex_count(lex *x, lex_state s);
// Of a string state: bytes, as of lex_rest, of the k-th shortest of its texts that are left, where
// those that cost `spent` (see lex_rest_of) are not. It is at least `least`. *upto, at least k: how
// many are counted; then how many are left that take no more. LEX_NONE: there are fewer than k;
// LEX_UNKNOWN: it was too much to find out.
uint32_t lex_rest_left(lex *x, lex_state s, const uint32_t *spent, uint32_t n_spent, uint32_t least,
                       uint32_t k, uint32_t *upto);
// Bytes by which this decoded text, from the character on in which s stands, is completed;
// LEX_NONE: it is not accepted.
uint32_t lex_rest_of(lex *x, lex_state s, const char *text, size_t n);
#define LEX_NONE    UINT32_MAX
#define LEX_UNKNOWN (UINT32_MAX - 1)
// A string state, between two characters, from which exactly those continuations are accepted that
// have *min to *max more code points (UINT32_MAX: any number): no byte but the quote has to be
// looked at.
bool lex_is_free(const lex *x, lex_state s, uint32_t *min, uint32_t *max);
// Kinds of characters: of ASCII each but the control characters is one, by its code.
enum {
    KIND_BEYOND,  // not ASCII, and no white space
    KIND_WHITE,   // white space of ECMA-262 beyond ASCII
    KIND_OTHER,   // what is no UTF-8: in no text
    KIND_MIDDLE,  // no kind: a character is not complete
    KIND_CONTROL, // control characters below U+0020: in no JSON string
    KINDS = 128
};
struct kinds {
    uint64_t w[KINDS / 64];
};
static inline bool kinds_has(const struct kinds *k, uint32_t kind)
{
    return k->w[kind / 64] >> (kind % 64) & 1;
}
static inline void kinds_add(struct kinds *k, uint32_t kind)
{
    k->w[kind / 64] |= 1ull << (kind % 64);
}
static inline bool kinds_none(const struct kinds *k)
{
    return (k->w[0] | k->w[1]) == 0;
}
static inline bool kinds_within(const struct kinds *k, const struct kinds *all)
{
    return ((k->w[0] & ~all->w[0]) | (k->w[1] & ~all->w[1])) == 0;
}
static inline uint32_t kinds_count(const struct kinds *k)
{
    return (uint32_t)(__builtin_popcountll(k->w[0]) + __builtin_popcountll(k->w[1]));
}
uint32_t lex_kind(uint32_t c); // of a code point
// Those of which every character leads from s, a state of a string or of plain text between two
// characters, back to s.
struct kinds lex_loops(lex *x, lex_state s);
// Those of which every character leads from s to death; a quote is one where s does not accept.
struct kinds lex_doomed(lex *x, lex_state s);
struct lex_run {
    // Of these kinds any `most` (UINT32_MAX: any number of) characters lead to life, whatever their
    // order; `dead`: and one more to death.
    struct kinds kinds;
    uint32_t most;
    bool dead;
    uint32_t rest;       // the most bytes that are still needed anywhere in it
    struct kinds doomed; // every one of these leads to death, wherever in the run it comes
};
// The run that begins at s; false: none is known. `many`: no state on the way has few members,
// where `most` is UINT32_MAX.
bool lex_run(lex *x, lex_state s, bool many, struct lex_run *run);
bool lex_is_end(const lex *x, lex_state s);  // a string state that accepts, and nothing more
bool lex_between(const lex *x, lex_state s); // a string state between two characters
// A state from which every text of at most as many characters as that reach has leads to life, and
// to the end of a member, exactly where it does from s. Counters that are far from their ends are
// alike, so that many states have one: the same mask holds for all of them.
enum lex_reach { REACH_NEAR, REACH_FAR, LEX_REACHES };
void lex_set_reach(lex *x, uint32_t near, uint32_t far); // characters; before lex_alike
lex_state lex_alike(lex *x, lex_state s, enum lex_reach reach);
// An upper bound of lex_rest after any characters that a token may have, where `seen` is one for
// the states alike.
uint32_t lex_furthest(lex *x, lex_state s, uint32_t seen);
// Of a lex_words language: the words (indices into the caller's order, sorted by bytes first:
// *lo, *hi count in byte order) that begin with what was read; *hi == *lo + 1 and lex_accepts: it
// is that one. In the middle of a character or an escape: those the characters before it allow.
bool lex_words_range(const lex *x, lex_state s, uint32_t *lo, uint32_t *hi);

// Of a lex_words language (all of it): how many words; 0: it is none.
uint32_t lex_words_count(const lex *x, lex_lang a);
// `taken` [a bit for each word, in byte order]: words that no longer count. Is some continuation of
// s, a state of that language, another word?
bool lex_words_left(lex *x, lex_state s, const uint64_t *taken);
uint32_t lex_words_next(const uint64_t *taken, uint32_t lo,
                        uint32_t hi);                                // first other one; hi: none
uint32_t lex_words_rest(lex *x, lex_state s, const uint64_t *taken); // as lex_rest; LEX_NONE: none
// Bytes of the k words of such a language that are not taken (NULL: none is) and come after the
// `skip` shortest ones; skip LEX_NONE: of the k longest. LEX_NONE: there are fewer.
uint32_t lex_words_sum(lex *x, lex_lang a, const uint64_t *taken, uint32_t skip, uint32_t k);

// The rows that are known: row[s] has a block of 16 targets for each upper half of a byte; block 0
// stands for one that nobody has asked for. Equal blocks are shared.
struct lex_tables {
    uint32_t (*row)[16];
    lex_state (*block)[16];
};
lex_state lex_step_new(lex *x, lex_state s, uint8_t byte); // where the row has no answer yet
static inline lex_state lex_step(lex *x, lex_state s, uint8_t byte)
{
    const struct lex_tables *t = (const struct lex_tables *)x;
    uint32_t b = t->row[s][byte >> 4];
    return b ? t->block[b][byte & 15] : lex_step_new(x, s, byte);
}
