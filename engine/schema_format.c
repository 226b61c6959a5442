// The named formats, each by the grammar of the RFC that the specification names. A row of the
// table is a function over the bytes; it counts in every draft, also in those that did not know the
// name yet. Names that no draft defines are annotations.
#include "base/utf8.h"
#include "engine/schema_private.h"
#include "engine/uri.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef bool format(const char *s, size_t n);

// ---- small readers: they move *s and say whether they found what they want ----

struct cursor {
    const char *p, *end;
};

static bool over(const struct cursor *c)
{
    return c->p == c->end;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static bool is_hex(char c)
{
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static bool one(struct cursor *c, const char *set)
{
    if (over(c) || !*c->p || !strchr(set, *c->p)) return false;
    c->p++;
    return true;
}

// Exactly n digits.
static bool number(struct cursor *c, int n, int *out)
{
    *out = 0;
    for (; n > 0; n--, c->p++) {
        if (over(c) || !is_digit(*c->p)) return false;
        *out = *out * 10 + (*c->p - '0');
    }
    return true;
}

static bool some_digits(struct cursor *c)
{
    const char *start = c->p;
    while (!over(c) && is_digit(*c->p)) c->p++;
    return c->p > start;
}

// ---- time: RFC 3339 ----

static bool read_date(struct cursor *c)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, day;
    if (!number(c, 4, &year) || !one(c, "-") || !number(c, 2, &month) || !one(c, "-") ||
        !number(c, 2, &day))
        return false;
    if (month < 1 || month > 12 || day < 1) return false;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return day <= days[month - 1] + (month == 2 && leap);
}

// The offset from UTC in minutes.
static bool read_offset(struct cursor *c, int *minutes)
{
    int hour, minute, sign;
    *minutes = 0;
    if (one(c, "zZ")) return true;
    sign = !over(c) && *c->p == '-' ? -1 : 1;
    if (!one(c, "+-") || !number(c, 2, &hour) || !one(c, ":") || !number(c, 2, &minute))
        return false;
    *minutes = sign * (hour * 60 + minute);
    return hour <= 23 && minute <= 59;
}

// A 61st second is one only in the last minute of a day of UTC.
static bool read_time(struct cursor *c)
{
    int hour, minute, second, offset;
    if (!number(c, 2, &hour) || !one(c, ":") || !number(c, 2, &minute) || !one(c, ":") ||
        !number(c, 2, &second))
        return false;
    if (one(c, ".") && !some_digits(c)) return false;
    if (!read_offset(c, &offset) || hour > 23 || minute > 59 || second > 60) return false;
    int utc = (hour * 60 + minute - offset + 2 * 1440) % 1440;
    return second < 60 || utc == 1439;
}

static bool is_date(const char *s, size_t n)
{
    struct cursor c = {s, s + n};
    return read_date(&c) && over(&c);
}

static bool is_time(const char *s, size_t n)
{
    struct cursor c = {s, s + n};
    return read_time(&c) && over(&c);
}

static bool is_date_time(const char *s, size_t n)
{
    struct cursor c = {s, s + n};
    return read_date(&c) && one(&c, "tT") && read_time(&c) && over(&c);
}

// Numbers with the units named, each at most once, in this order and without a gap in it: 1Y2M, not
// 1Y2D. Appendix A of RFC 3339.
static bool read_units(struct cursor *c, const char *units)
{
    const char *next = NULL;
    while (!over(c) && is_digit(*c->p)) {
        some_digits(c);
        const char *unit = over(c) ? NULL : memchr(units, *c->p, strlen(units));
        if (!unit || (next && unit != next)) return false;
        next = unit + 1;
        c->p++;
    }
    return next != NULL;
}

static bool is_duration(const char *s, size_t n)
{
    struct cursor c = {s, s + n};
    if (!one(&c, "P")) return false;
    if (n > 1 && s[n - 1] == 'W') return some_digits(&c) && one(&c, "W") && over(&c);
    bool date = !over(&c) && is_digit(*c.p);
    if (date && !read_units(&c, "YMD")) return false;
    if (one(&c, "T")) return read_units(&c, "HMS") && over(&c);
    return date && over(&c);
}

// ---- addresses ----

static bool read_ipv4(struct cursor *c)
{
    for (int i = 0; i < 4; i++) {
        const char *start = c->p;
        int value = 0;
        if (i && !one(c, ".")) return false;
        start += i != 0;
        while (!over(c) && is_digit(*c->p) && c->p - start < 3) value = value * 10 + *c->p++ - '0';
        if (c->p == start || value > 255 || (*start == '0' && c->p - start > 1)) return false;
    }
    return true;
}

static bool is_ipv4(const char *s, size_t n)
{
    struct cursor c = {s, s + n};
    return read_ipv4(&c) && over(&c);
}

// Section 2.2 of RFC 4291: eight groups of 16 bits, one run of zero groups as ::, the last two
// perhaps as an IPv4 address.
bool ipv6_holds(const char *s, size_t n);
bool ipv6_holds(const char *s, size_t n)
{
    struct cursor c = {s, s + n};
    int groups = 0;
    bool gap = false, colon = false; // a :: was read; a single colon came last
    if (n >= 2 && s[0] == ':' && s[1] == ':') {
        gap = true;
        c.p += 2;
    }
    while (!over(&c)) {
        struct cursor v4 = c;
        if (groups <= 6 && read_ipv4(&v4) && over(&v4)) {
            c = v4;
            groups += 2;
            colon = false;
            break;
        }
        int digits = 0;
        while (!over(&c) && is_hex(*c.p) && digits < 5) c.p++, digits++;
        if (digits < 1 || digits > 4) return false;
        groups++;
        colon = one(&c, ":");
        if (!colon) break;
        if (!over(&c) && *c.p == ':') {
            if (gap) return false;
            gap = true;
            colon = false;
            c.p++;
        }
    }
    return over(&c) && !colon && (gap ? groups <= 7 : groups == 8);
}

// Length of the separator of labels at s: the dot, in IDNA also its full-width and ideographic kin.
static size_t dot_length(const char *s, size_t n, bool idn)
{
    static const char *const wide[] = {"\u3002", "\uff0e", "\uff61"};
    if (n && *s == '.') return 1;
    for (size_t i = 0; idn && i < 3; i++)
        if (n >= 3 && memcmp(s, wide[i], 3) == 0) return 3;
    return 0;
}

static bool ascii_label_holds(const char *s, size_t n)
{
    if (n == 0 || n > 63 || s[0] == '-' || s[n - 1] == '-') return false;
    for (size_t i = 0; i < n; i++)
        if (!is_alnum(s[i]) && s[i] != '-') return false;
    return n < 4 || s[2] != '-' || s[3] != '-' || idn_is_a_label(s, n);
}

static bool is_ascii(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] >= 0x80) return false;
    return true;
}

// One label; adds the length of its ASCII form and the dot behind it, and whether it has letters
// that run from right to left.
static bool label_holds(const char *s, size_t n, bool idn, size_t *length, bool *rtl)
{
    if (!is_ascii(s, n)) {
        size_t own = idn ? idn_u_label(s, n, rtl) : 0;
        *length += own + 1;
        return own > 0;
    }
    *length += n + 1;
    return ascii_label_holds(s, n);
}

static bool name_holds(const char *s, size_t n, bool idn)
{
    size_t start = 0, length = 0;
    bool rtl = false;
    for (size_t i = 0; i <= n; i++) {
        size_t dot = i < n ? dot_length(s + i, n - i, idn) : 1;
        if (!dot) continue;
        if (!label_holds(s + start, i - start, idn, &length, &rtl)) return false;
        start = i + dot;
        i += dot - 1;
    }
    // Where one label runs from right to left, the order of writing binds all.
    return length <= 254 && (!rtl || idn_order_holds(s, n));
}

static bool is_hostname(const char *s, size_t n)
{
    return name_holds(s, n, false);
}

static bool is_idn_hostname(const char *s, size_t n)
{
    return name_holds(s, n, true);
}

// ---- mail: the Mailbox of RFC 5321 and 6531 ----

static bool is_atext(char c, bool idn)
{
    if ((unsigned char)c >= 0x80) return idn;
    return is_alnum(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool quoted_local_holds(const char *s, size_t n, bool idn)
{
    if (n < 2 || s[n - 1] != '"') return false;
    for (size_t i = 1; i + 1 < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c == '\\') {
            i++;
            if (i + 1 >= n || s[i] < 32 || s[i] > 126) return false;
        } else if (c == '"' || c < 32 || c == 127 || (c >= 0x80 && !idn)) {
            return false;
        }
    }
    return true;
}

static bool local_holds(const char *s, size_t n, bool idn)
{
    if (n == 0) return false;
    if (s[0] == '"') return quoted_local_holds(s, n, idn);
    for (size_t i = 0; i < n; i++) {
        bool dot = s[i] == '.';
        if (dot ? i == 0 || i + 1 == n || s[i - 1] == '.' : !is_atext(s[i], idn)) return false;
    }
    return true;
}

// Labels of RFC 5321: any length, and `--` anywhere inside; what the rules of host names add is not
// asked of them.
static bool plain_domain_holds(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool edge = i == 0 || i + 1 == n || s[i - 1] == '.' || s[i + 1] == '.';
        if (s[i] == '.' ? edge : !is_alnum(s[i]) && (s[i] != '-' || edge)) return false;
    }
    return n > 0;
}

// Mail systems bring the domain to composed form themselves, so it need not come so.
static bool mail_domain_holds(const char *s, size_t n, bool idn)
{
    if (!idn || is_ascii(s, n)) return plain_domain_holds(s, n);
    char *composed = idn_composed(s, n);
    bool holds = composed && name_holds(composed, strlen(composed), true);
    free(composed);
    return holds;
}

static bool address_holds(const char *s, size_t n, bool idn)
{
    const char *at = NULL;
    for (size_t i = n; i-- > 0 && !at;)
        if (s[i] == '@') at = s + i;
    if (!at || !local_holds(s, (size_t)(at - s), idn)) return false;
    const char *domain = at + 1;
    size_t k = (size_t)(s + n - domain);
    if (k < 2 || domain[0] != '[') return mail_domain_holds(domain, k, idn);
    if (domain[k - 1] != ']') return false;
    if (k > 7 && strncasecmp(domain + 1, "IPv6:", 5) == 0) return ipv6_holds(domain + 6, k - 7);
    return is_ipv4(domain + 1, k - 2);
}

static bool is_email(const char *s, size_t n)
{
    return address_holds(s, n, false);
}

static bool is_idn_email(const char *s, size_t n)
{
    return address_holds(s, n, true);
}

// ---- identifiers ----

static bool is_uri(const char *s, size_t n)
{
    return uri_holds(s, n, false, false);
}

static bool is_uri_reference(const char *s, size_t n)
{
    return uri_holds(s, n, false, true);
}

static bool is_iri(const char *s, size_t n)
{
    return uri_holds(s, n, true, false);
}

static bool is_iri_reference(const char *s, size_t n)
{
    return uri_holds(s, n, true, true);
}

static bool is_uuid(const char *s, size_t n)
{
    if (n != 36) return false;
    for (size_t i = 0; i < n; i++)
        if (i == 8 || i == 13 || i == 18 || i == 23 ? s[i] != '-' : !is_hex(s[i])) return false;
    return true;
}

// ---- URI templates: RFC 6570 ----

static bool read_escaped_byte(struct cursor *c)
{
    if (c->end - c->p < 3 || c->p[0] != '%' || !is_hex(c->p[1]) || !is_hex(c->p[2])) return false;
    c->p += 3;
    return true;
}

static bool read_variable(struct cursor *c)
{
    const char *start = c->p;
    while (!over(c) && (is_alnum(*c->p) || *c->p == '_' || *c->p == '%' || *c->p == '.')) {
        if (*c->p == '.' && (c->p == start || c->p[-1] == '.')) return false;
        if (*c->p == '%' ? !read_escaped_byte(c) : (c->p++, false)) return false;
    }
    if (c->p == start || c->p[-1] == '.') return false;
    if (one(c, "*")) return true;
    if (!one(c, ":")) return true;
    const char *digits = c->p;
    return !over(c) && *digits != '0' && some_digits(c) && c->p - digits <= 4;
}

static bool read_expression(struct cursor *c)
{
    one(c, "+#./;?&=,!@|"); // the last five are reserved, not wrong
    do {
        if (!read_variable(c)) return false;
    } while (one(c, ","));
    return one(c, "}");
}

static bool is_uri_template(const char *s, size_t n)
{
    struct cursor c = {s, s + n};
    while (!over(&c)) {
        unsigned char b = (unsigned char)*c.p;
        if (b == '%') {
            if (!read_escaped_byte(&c)) return false;
        } else if (one(&c, "{")) {
            if (!read_expression(&c)) return false;
        } else if (b <= 0x20 || b == 0x7f || strchr("\"<>\\^`|}", b)) {
            return false;
        } else {
            c.p++;
        }
    }
    return true;
}

// ---- JSON pointers: RFC 6901, and the relative ones ----

static bool is_json_pointer(const char *s, size_t n)
{
    if (n && s[0] != '/') return false;
    for (size_t i = 0; i < n; i++)
        if (s[i] == '~' && (i + 1 == n || (s[i + 1] != '0' && s[i + 1] != '1'))) return false;
    return true;
}

static bool is_relative_json_pointer(const char *s, size_t n)
{
    struct cursor c = {s, s + n};
    if (!some_digits(&c) || (s[0] == '0' && c.p - s > 1)) return false;
    if (one(&c, "#")) return over(&c);
    return is_json_pointer(c.p, (size_t)(c.end - c.p));
}

// ---- the table ----

static const struct {
    const char *name;
    format *holds;
} formats[] = {
    {"date", is_date},
    {"date-time", is_date_time},
    {"duration", is_duration},
    {"email", is_email},
    {"hostname", is_hostname},
    {"idn-email", is_idn_email},
    {"idn-hostname", is_idn_hostname},
    {"ipv4", is_ipv4},
    {"ipv6", ipv6_holds},
    {"iri", is_iri},
    {"iri-reference", is_iri_reference},
    {"json-pointer", is_json_pointer},
    {"regex", pattern_is_ecma},
    {"relative-json-pointer", is_relative_json_pointer},
    {"time", is_time},
    {"uri", is_uri},
    {"uri-reference", is_uri_reference},
    {"uri-template", is_uri_template},
    {"uuid", is_uuid},
};

static format *find(const char *name)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (strcmp(formats[i].name, name) == 0) return formats[i].holds;
    return NULL;
}

bool schema_format_holds(const char *name, const char *text, size_t n)
{
    format *f = find(name);
    return !f || f(text, n);
}

bool schema_format_known(const char *name)
{
    return find(name) != NULL;
}

enum verdict check_format(struct checker *c, const struct rule *r, const json_t *doc)
{
    if (!json_is_string(r->value)) return refused(c, "expected the name of a format");
    if (!c->v->formats || !json_is_string(doc)) return VALID;
    format *f = find(json_string_value(r->value));
    if (!f || f(json_string_value(doc), json_string_length(doc))) return VALID;
    buf b = buf_new(200);
    put_short(&b, doc);
    enum verdict v =
        invalid(c, "expected the format %s, found %s", json_string_value(r->value), buf_text(&b));
    buf_free(&b);
    return v;
}
