// Sets of numeric values, and what lex_digits.c needs of them. Private to the lexical layer.
#pragma once
#include "engine/lex_private.h"

// An exact decimal: digit[0] . digit[1] digit[2] ... times 10^exp, neither end a zero.
struct decimal {
    int sign;    // -1, 0, 1
    int32_t exp; // of the first digit
    uint32_t n;  // digits; 0: the value 0
    const uint8_t *digit;
};
bool decimal_of(const char *text, size_t n, uint8_t *digits, struct decimal *d);
int decimal_compare(const struct decimal *a, const struct decimal *b);

struct divisor { // size / 10^frac; size is no multiple of 10 where frac > 0
    uint32_t size, frac;
};
#define DIVISORS_MAX 5

// In draft 4 the spelling counts, too: 1.0 is no integer. So a set has its values twice, as they
// may be in digits alone (PLAIN) and as they may be with a point or an exponent (POINTED); where
// the spelling does not count both are the same.
enum { PLAIN, POINTED };
#define BOTH ((uint64_t)1 << 32 | 1)
static inline uint32_t half(uint64_t mask, int how)
{
    return (uint32_t)(mask >> 32 * how);
}
static inline uint32_t either(uint64_t mask)
{
    return half(mask, PLAIN) | half(mask, POINTED);
}

// A set of values: points cut the line into 2 n_point + 1 atoms (below the first point, the point,
// between it and the next, ...), and the divisors sort the values of an atom into patterns: bit i
// of a pattern: it is a multiple of divisor i. Bit p of half of mask[atom]: values of pattern p
// belong to the set, spelt so. Of a point, a half is all ones or 0. All in one form: equal sets
// have equal ids.
struct values {
    uint32_t n_point, n_divisor;
    const struct decimal *point; // ascending
    struct divisor divisor[DIVISORS_MAX];
    const uint64_t *mask; // [2 * n_point + 1]
    uint32_t spelled;     // what reads it: a `spelling`; 0: not made yet
};

// The points of one sign by their digits alone, and by size.
struct side {
    uint32_t n_rank, n_point;
    const struct decimal *rank; // [n_rank] ascending by digits; exp does not count
    struct magnitude {
        int32_t exp;
        uint32_t rank; // into rank
    } * point;         // [n_point] ascending
};

// The texts that a set of values may be written as.
struct spelling {
    uint32_t values;
    bool free;       // any exponent may follow any digits; else only d.ddde+-dd, or zeros
    bool minus_zero; // -0 may be written
    bool rounds; // multiples of something else than 1 matter: with a point, EXACT_DIGITS at most
    uint32_t int_max, frac_max; // digits
    uint32_t n_point, n_negative, n_divisor;
    bool has_zero; // point[n_negative] is 0
    bool dense;    // an open atom has values that are multiples of none
    const struct decimal *point;
    const uint64_t *mask; // as in values, with the numbers too close to a refused point taken out
    // [2 * n_point + 2] the first atom from here on whose mask is not 0, and that has multiples of
    // none: before a point is read and (POINTED) behind it
    const uint32_t *live[2], *live_none[2];
    struct divisor divisor[DIVISORS_MAX];
    struct side side[2]; // above 0, below 0
};

enum phase { PHASE_START, PHASE_MINUS, PHASE_ZERO, PHASE_INT, PHASE_DOT, PHASE_FRAC };

// How far the digits of a number are read. All bytes of the key count, so it is zeroed first.
struct digits_key {
    uint32_t spelling;
    uint8_t phase, minus, n_int, n_frac;
    uint8_t started;    // a digit other than 0 was read
    uint8_t normal;     // one digit, not 0, before the point: an exponent may follow
    uint8_t settled;    // all that may follow lies in atom `lo`
    uint8_t n_before;   // where the spelling rounds: digits before the point
    int32_t exp;        // of the first digit other than 0, once the point is read
    uint32_t lo, hi, k; // points of this sign that begin with the k digits read: ranks [lo, hi)
    int32_t scale;      // digits after the point, up to the last that is not 0
    uint32_t left[DIVISORS_MAX]; // those digits as a whole number, modulo each divisor
};
struct digits {
    struct digits_key key;
    uint32_t parent; // a text that leads here is one that leads there, and then byte
    uint8_t byte;
    bool accepts;
    uint32_t rest;      // UNKNOWN
    uint32_t exponents; // set of exponents that may follow `e`; 0: not known
    uint32_t seen, slot;
};

#define EXACT_DIGITS 15  // a reader that takes a double, and writes it, has them all
#define EXPONENT_MAX 307 // of a normal number: a double holds it
struct exponents {
    bool zero; // the digits before are all 0: one value, whatever the exponent
    uint64_t has[(2 * EXPONENT_MAX + 64) / 64];
};

struct numbers {
    struct values *values;
    uint32_t n_values, cap_values;
    struct ids value_ids;
    struct spelling *spelling;
    uint32_t n_spelling, cap_spelling;
    struct digits *digits;
    uint32_t n_digits, cap_digits, n_search;
    struct ids digit_ids;
    struct exponents *exponents;
    uint32_t n_exponents, cap_exponents;
    struct ids exponent_ids;
};

struct numbers *numbers_of(lex *x);
uint32_t spelling_of(lex *x, uint32_t values);
int compare_digits(const struct decimal *a, const struct decimal *b);
uint32_t atom_at(const struct spelling *s, bool minus, int32_t exp, uint32_t place);
uint32_t pattern_of(const struct divisor *d, uint32_t n, const struct decimal *v);
uint32_t power_of_ten(uint32_t exponent, uint32_t modulus);
struct decimal decimal_keep(lex *x, const struct decimal *d);
// The halves of an open atom of which some value belongs to the set, and those where it is not
// sure.
uint64_t atom_halves(const struct spelling *s, uint32_t atom); // bit 0 of each half
uint32_t digits_count(lex *x, uint32_t a);                     // distinct values from a position
