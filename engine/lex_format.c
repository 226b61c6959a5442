// The formats of JSON Schema as patterns, each from the grammar that the specification names: RFC
// 3339 (dates, times, durations), RFC 5321 (Mailbox), RFC 1123 (host names), RFC 4291, RFC 3986 and
// 3987, RFC 6570, RFC 6901, RFC 4122. Two are a little narrower than their grammar, never wider: a
// leap second is written only in UTC, and a label of a host name may not look like an encoded one
// (xn--), since whether that decodes to something allowed is not a question of shape. Those have no
// complement.
#include "engine/lex_private.h"

#include <string.h>

#define HEX     "[0-9A-Fa-f]"
#define H16     "[0-9A-Fa-f]{1,4}"
#define OCTET   "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
#define IPV4    OCTET "(?:\\." OCTET "){3}"
#define LS32    "(?:" H16 ":" H16 "|" IPV4 ")"
#define H(n)    "(?:" H16 ":){" #n "}"               // n groups with their colons
#define UPTO(n) "(?:(?:" H16 ":){0," #n "}" H16 ")?" // up to n + 1 groups

#define IPV6                                                                                       \
    "(?:" H(6) LS32 "|::" H(5) LS32 "|(?:" H16 ")?::" H(4) LS32 "|" UPTO(1) "::" H(3) LS32         \
        "|" UPTO(2) "::" H(2) LS32 "|" UPTO(3) "::" H(1) LS32                                      \
        "|" UPTO(4) "::" LS32 "|" UPTO(5) "::" H16 "|" UPTO(6) "::)"
// RFC 5321 has :: stand for two groups at least.
#define IPV6_MAIL                                                                                  \
    "(?:" H(6) LS32 "|::" H(4) LS32 "|(?:" H16 ")?::" H(3) LS32 "|" UPTO(1) "::" H(2) LS32         \
        "|" UPTO(2) "::" H(1) LS32 "|" UPTO(3) "::" LS32 "|" UPTO(4) "::" H16 "|" UPTO(5) "::)"

#define DAY28     "(?:0[1-9]|1\\d|2[0-8])"
#define LEAP_YEAR "(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
#define DATE                                                                                       \
    "(?:\\d{4}-(?:(?:0[1-9]|1[0-2])-" DAY28 "|(?:0[13-9]|1[0-2])-(?:29|30)|"                       \
    "(?:0[13578]|1[02])-31)|" LEAP_YEAR "-02-29)"
#define HOUR   "(?:[01]\\d|2[0-3])"
#define MINUTE "[0-5]\\d"
// Seconds up to 59: see lex_clock.c for the sixtieth.
#define TIME          HOUR ":" MINUTE ":" MINUTE "(?:\\.\\d+)?(?:[Zz]|[+-]" HOUR ":" MINUTE ")"
#define DURATION_TIME "T(?:\\d+H(?:\\d+M(?:\\d+S)?)?|\\d+M(?:\\d+S)?|\\d+S)"
#define DURATION                                                                                   \
    "P(?:(?:\\d+D|\\d+M(?:\\d+D)?|\\d+Y(?:\\d+M(?:\\d+D)?)?)(?:" DURATION_TIME ")?|" DURATION_TIME \
    "|\\d+W)"

#define ATEXT  "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
#define QUOTED "\"(?:[ !#-\\[\\]-~]|\\\\[ -~])*\""
#define DOMAIN "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
#define EMAIL                                                                                      \
    "(?:" ATEXT "(?:\\." ATEXT ")*|" QUOTED ")@(?:" DOMAIN "(?:\\." DOMAIN ")*|\\[(?:" IPV4        \
    "|[Ii][Pp][Vv]6:" IPV6_MAIL ")\\])"

#define ALNUM "[A-Za-z0-9]"
#define ALDH  "[A-Za-z0-9-]"
#define LABEL                                                                                      \
    ALNUM "(?:" ALNUM "|" ALDH ALNUM "|" ALDH "{2}" ALNUM "|" ALDH "(?:" ALNUM ALDH "|-" ALNUM     \
          ")" ALDH "{0,58}" ALNUM ")?"
#define HOSTNAME LABEL "(?:\\." LABEL ")*"

// u: more unreserved characters, q: more characters of a query.
#define PERCENT      "%" HEX HEX
#define PCHAR(u)     "(?:[A-Za-z0-9._~!$&'()*+,;=:@" u "-]|" PERCENT ")"
#define PCHAR_NC(u)  "(?:[A-Za-z0-9._~!$&'()*+,;=@" u "-]|" PERCENT ")"
#define REG_NAME(u)  "(?:[A-Za-z0-9._~!$&'()*+,;=" u "-]|" PERCENT ")*"
#define USER(u)      "(?:[A-Za-z0-9._~!$&'()*+,;=:" u "-]|" PERCENT ")*@"
#define IP_LITERAL   "\\[(?:" IPV6 "|[Vv]" HEX "+\\.[A-Za-z0-9._~!$&'()*+,;=:-]+)\\]"
#define AUTHORITY(u) "//(?:" USER(u) ")?(?:" IP_LITERAL "|" REG_NAME(u) ")(?::\\d*)?"
#define SEGMENTS(u)  "(?:/" PCHAR(u) "*)*"
#define ROOTED(u)    "/(?:" PCHAR(u) "+" SEGMENTS(u) ")?"
#define ENDS(u, q)   "(?:\\?(?:" PCHAR(u q) "|[/?])*)?(?:#(?:" PCHAR(u) "|[/?])*)?"
#define SCHEME       "[A-Za-z][A-Za-z0-9+.-]*:"
#define URI(u, q)                                                                                  \
    SCHEME "(?:" AUTHORITY(u) SEGMENTS(u) "|" ROOTED(u) "|" PCHAR(u) "+" SEGMENTS(u) ")?" ENDS(u, q)
#define REFERENCE(u, q)                                                                            \
    "(?:" URI(u, q) "|(?:" AUTHORITY(u)                                                            \
        SEGMENTS(u) "|" ROOTED(u) "|" PCHAR_NC(u) "+" SEGMENTS(u) ")?" ENDS(u, q) ")"
#define UCSCHAR                                                                                    \
    "\\u00A0-\\uD7FF\\uF900-\\uFDCF\\uFDF0-\\uFFEF\\u{10000}-\\u{1FFFD}\\u{20000}-\\u{2FFFD}"      \
    "\\u{30000}-\\u{3FFFD}\\u{40000}-\\u{4FFFD}\\u{50000}-\\u{5FFFD}\\u{60000}-\\u{6FFFD}"         \
    "\\u{70000}-\\u{7FFFD}\\u{80000}-\\u{8FFFD}\\u{90000}-\\u{9FFFD}\\u{A0000}-\\u{AFFFD}"         \
    "\\u{B0000}-\\u{BFFFD}\\u{C0000}-\\u{CFFFD}\\u{D0000}-\\u{DFFFD}\\u{E1000}-\\u{EFFFD}"
#define IPRIVATE "\\uE000-\\uF8FF\\u{F0000}-\\u{FFFFD}\\u{100000}-\\u{10FFFD}"

#define VARCHAR "(?:[A-Za-z0-9_]|" PERCENT ")"
#define VARSPEC VARCHAR "(?:\\.?" VARCHAR ")*(?::[1-9]\\d{0,3}|\\*)?"
#define URI_TEMPLATE                                                                               \
    "(?:[!#-$&-;=?-\\[\\]_a-z~" UCSCHAR IPRIVATE "]|" PERCENT "|\\{[+#./;?&=,!@|]?" VARSPEC        \
    "(?:," VARSPEC ")*\\})*"
#define POINTER "(?:/(?:[^~/]|~[01])*)*"

static const struct format {
    const char *name, *pattern; // NULL: no regular language
    uint32_t max;               // characters; 0: any number
    bool narrow;                // less than the grammar allows
    bool time;                  // what follows the pattern
} formats[] = {
    {"date", DATE, 0},
    {"date-time", DATE "[Tt]", 0, false, true},
    {"duration", DURATION, 0},
    {"email", EMAIL, 0},
    {"hostname", HOSTNAME, 253, true},
    {"idn-email", NULL, 0},
    {"idn-hostname", NULL, 0},
    {"ipv4", IPV4, 0},
    {"ipv6", IPV6, 0},
    {"iri", URI(UCSCHAR, IPRIVATE), 0},
    {"iri-reference", REFERENCE(UCSCHAR, IPRIVATE), 0},
    {"json-pointer", POINTER, 0},
    {"regex", NULL, 0},
    {"relative-json-pointer", "(?:0|[1-9]\\d*)(?:#|" POINTER ")", 0},
    {"time", "", 0, false, true},
    {"uri", URI("", ""), 0},
    {"uri-reference", REFERENCE("", ""), 0},
    {"uri-template", URI_TEMPLATE, 0},
    {"uuid", HEX "{8}-" HEX "{4}-" HEX "{4}-" HEX "{4}-" HEX "{12}", 0},
};

static lex_lang then_time(lex *x, lex_lang before, err *e)
{
    lex_lang most = regex_whole(x, TIME, e);
    expr time = expr_or(x, x->lang[most].a, expr_clock(x, 0, 0, 0));
    return lang_of(x, false, false, expr_then(x, x->lang[before].a, time));
}

lex_lang lex_format(lex *x, const char *name, bool *found, err *e)
{
    const struct format *f = NULL;
    for (size_t i = 0; i < sizeof formats / sizeof *formats && !f; i++)
        if (strcmp(formats[i].name, name) == 0) f = &formats[i];
    *found = f != NULL;
    if (!f) return LEX_FAILED;
    if (!f->pattern) {
        err_set(e, ERR_INPUT, "%s cannot be enforced exactly", name);
        return LEX_FAILED;
    }
    lex_lang all = regex_whole(x, f->pattern, e);
    if (f->time) all = then_time(x, all, e);
    if (f->max) all = lex_and(x, all, lex_length(x, 0, f->max));
    return f->narrow ? lang_of(x, false, true, x->lang[all].a) : all;
}
