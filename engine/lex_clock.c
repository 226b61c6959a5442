// The times of leap seconds: hh:mm:60, which are only there when it is 23:59 in UTC, so that the
// offset follows from the time before it. As alternatives of a pattern these would be thousands;
// they are an expression that knows how far it is read and what hour and minute it is.
#include "engine/lex_private.h"

enum { // what is read
    CLOCK_START,
    CLOCK_HOUR_TENS,
    CLOCK_HOUR,
    CLOCK_HOUR_COLON,
    CLOCK_MINUTE_TENS,
    CLOCK_MINUTE,
    CLOCK_MINUTE_COLON,
    CLOCK_SECOND_TENS, // 6
    CLOCK_SECOND,      // 0
    CLOCK_POINT,
    CLOCK_FRACTION
};

#define DAY 1440u // minutes

static expr digit_of(lex *x, uint32_t c)
{
    return expr_set(x, set_one(x, c));
}

// The offset, hh:mm.
static expr offset_of(lex *x, uint32_t minutes)
{
    const uint32_t text[5] = {'0' + minutes / 600, '0' + minutes / 60 % 10, ':',
                              '0' + minutes % 60 / 10, '0' + minutes % 10};
    expr a = EXPR_END;
    for (int i = 4; i >= 0; i--) a = expr_then(x, digit_of(x, text[i]), a);
    return a;
}

// After 60, and after its fraction: where it is 23:59 in UTC.
static expr clock_zone(lex *x, uint32_t time, uint32_t c)
{
    if (c == '+') return offset_of(x, (time + 1) % DAY);
    if (c == '-') return offset_of(x, DAY - 1 - time);
    return (c == 'Z' || c == 'z') && time == DAY - 1 ? EXPR_END : EXPR_NONE;
}

expr clock_derive(lex *x, uint32_t part, uint32_t hour, uint32_t minute, uint32_t c)
{
    bool is_digit = c >= '0' && c <= '9';
    uint32_t v = c - '0';
    switch (part) {
    case CLOCK_START: return is_digit && v <= 2 ? expr_clock(x, part + 1, v, 0) : EXPR_NONE;
    case CLOCK_HOUR_TENS:
        return is_digit && hour * 10 + v < 24 ? expr_clock(x, part + 1, hour * 10 + v, 0)
                                              : EXPR_NONE;
    case CLOCK_HOUR_COLON: return is_digit && v <= 5 ? expr_clock(x, part + 1, hour, v) : EXPR_NONE;
    case CLOCK_MINUTE_TENS:
        return is_digit ? expr_clock(x, part + 1, hour, minute * 10 + v) : EXPR_NONE;
    case CLOCK_HOUR:
    case CLOCK_MINUTE: return c == ':' ? expr_clock(x, part + 1, hour, minute) : EXPR_NONE;
    case CLOCK_MINUTE_COLON: return c == '6' ? expr_clock(x, part + 1, hour, minute) : EXPR_NONE;
    case CLOCK_SECOND_TENS: return c == '0' ? expr_clock(x, part + 1, hour, minute) : EXPR_NONE;
    default: break;
    }
    if (part == CLOCK_SECOND && c == '.') return expr_clock(x, CLOCK_POINT, hour, minute);
    if (part != CLOCK_SECOND && is_digit) return expr_clock(x, CLOCK_FRACTION, hour, minute);
    return part == CLOCK_POINT ? EXPR_NONE : clock_zone(x, hour * 60 + minute, c);
}

const char *clock_characters(uint32_t part)
{
    static const char *const next[] = {
        [CLOCK_START] = "012",         [CLOCK_HOUR_TENS] = "0123456789",   [CLOCK_HOUR] = ":",
        [CLOCK_HOUR_COLON] = "012345", [CLOCK_MINUTE_TENS] = "0123456789", [CLOCK_MINUTE] = ":",
        [CLOCK_MINUTE_COLON] = "6",    [CLOCK_SECOND_TENS] = "0",          [CLOCK_SECOND] = "+-.Zz",
        [CLOCK_POINT] = "0123456789",  [CLOCK_FRACTION] = "+-0123456789Zz"};
    return next[part];
}

// Fewest characters to come: a Z is the shortest zone, where 23:59 is still possible.
uint32_t clock_rest(uint32_t part, uint32_t hour, uint32_t minute)
{
    bool utc = part == CLOCK_START || (part == CLOCK_HOUR_TENS && hour == 2) ||
               (hour == 23 && (part <= CLOCK_HOUR_COLON ||
                               (part == CLOCK_MINUTE_TENS && minute == 5) || minute == 59));
    uint32_t left = part <= CLOCK_SECOND ? CLOCK_SECOND - part : part == CLOCK_POINT ? 1 : 0;
    return left + (utc ? 1 : 6);
}
