#include "engine/uri.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct span {
    const char *p;
    size_t n;
};

// The five parts as the regular expression of RFC 3986, appendix B, cuts them. p NULL: absent.
struct parts {
    struct span scheme, authority, path, query, fragment;
};

static struct span until(const char **p, const char *end, const char *stops)
{
    struct span s = {*p, 0};
    while (*p < end && !memchr(stops, **p, strlen(stops))) (*p)++;
    s.n = (size_t)(*p - s.p);
    return s;
}

static struct parts cut(const char *s, size_t n)
{
    struct parts u = {0};
    const char *end = s + n, *p = s;
    struct span first = until(&p, end, ":/?#");
    if (p < end && *p == ':' && first.n > 0) {
        u.scheme = first;
        p++;
    } else {
        p = s;
    }
    if (end - p >= 2 && p[0] == '/' && p[1] == '/') {
        p += 2;
        u.authority = until(&p, end, "/?#");
    }
    u.path = until(&p, end, "?#");
    if (p < end && *p == '?') {
        p++;
        u.query = until(&p, end, "#");
    }
    if (p < end) u.fragment = (struct span){p + 1, (size_t)(end - p - 1)};
    return u;
}

// ---- is it one ----

static bool is_ucs(uint32_t c, bool query)
{
    static const uint32_t ranges[][2] = {{0xa0, 0xd7ff},     {0xf900, 0xfdcf},   {0xfdf0, 0xffef},
                                         {0x10000, 0x1fffd}, {0x20000, 0x2fffd}, {0x30000, 0x3fffd},
                                         {0x40000, 0x4fffd}, {0x50000, 0x5fffd}, {0x60000, 0x6fffd},
                                         {0x70000, 0x7fffd}, {0x80000, 0x8fffd}, {0x90000, 0x9fffd},
                                         {0xa0000, 0xafffd}, {0xb0000, 0xbfffd}, {0xc0000, 0xcfffd},
                                         {0xd0000, 0xdfffd}, {0xe1000, 0xefffd}};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (c >= ranges[i][0] && c <= ranges[i][1]) return true;
    return query && ((c >= 0xe000 && c <= 0xf8ff) || (c >= 0xf0000 && c <= 0xffffd) ||
                     (c >= 0x100000 && c <= 0x10fffd));
}

// Unreserved, sub-delims and percent-encoded bytes are allowed everywhere; `more` beside them.
static bool all_of(struct span s, const char *more, bool iri, bool query)
{
    for (size_t i = 0; i < s.n;) {
        unsigned char b = (unsigned char)s.p[i];
        uint32_t c;
        int k;
        if (b == '%') {
            if (i + 2 >= s.n || !isxdigit((unsigned char)s.p[i + 1]) ||
                !isxdigit((unsigned char)s.p[i + 2]))
                return false;
            i += 3;
        } else if (b < 0x80) {
            if (!b || (!isalnum(b) && !strchr("-._~!$&'()*+,;=", b) && !strchr(more, b)))
                return false;
            i++;
        } else {
            k = utf8_decode(s.p + i, s.n - i, &c);
            if (!k || !iri || !is_ucs(c, query)) return false;
            i += (size_t)k;
        }
    }
    return true;
}

static bool scheme_holds(struct span s)
{
    if (!isalpha((unsigned char)s.p[0])) return false;
    for (size_t i = 1; i < s.n; i++)
        if (!isalnum((unsigned char)s.p[i]) && !strchr("+-.", s.p[i])) return false;
    return true;
}

bool ipv6_holds(const char *s, size_t n);

static bool ip_literal_holds(struct span s) // without its brackets
{
    if (s.n == 0 || (s.p[0] | 0x20) != 'v') return ipv6_holds(s.p, s.n);
    size_t i = 1;
    while (i < s.n && isxdigit((unsigned char)s.p[i])) i++;
    struct span rest = {s.p + i + 1, s.n > i ? s.n - i - 1 : 0};
    return i > 1 && i < s.n && s.p[i] == '.' && rest.n > 0 && !memchr(rest.p, '%', rest.n) &&
           all_of(rest, ":", false, false);
}

static bool authority_holds(struct span s, bool iri)
{
    const char *at = memchr(s.p, '@', s.n);
    if (at) {
        if (!all_of((struct span){s.p, (size_t)(at - s.p)}, ":", iri, false)) return false;
        s.n -= (size_t)(at + 1 - s.p);
        s.p = at + 1;
    }
    size_t host = 0;
    if (s.n && s.p[0] == '[') {
        const char *close = memchr(s.p, ']', s.n);
        if (!close || !ip_literal_holds((struct span){s.p + 1, (size_t)(close - s.p - 1)}))
            return false;
        host = (size_t)(close + 1 - s.p);
    } else {
        while (host < s.n && s.p[host] != ':') host++;
        if (!all_of((struct span){s.p, host}, "", iri, false)) return false;
    }
    if (host < s.n && s.p[host] != ':') return false;
    for (size_t i = host + 1; i < s.n; i++)
        if (!isdigit((unsigned char)s.p[i])) return false;
    return true;
}

bool uri_holds(const char *s, size_t n, bool iri, bool relative)
{
    struct parts u = cut(s, n);
    if (u.scheme.p ? !scheme_holds(u.scheme) : !relative) return false;
    if (u.authority.p && !authority_holds(u.authority, iri)) return false;
    // Without a scheme the first segment must not hold a colon: it would be read as one. `cut`
    // sees to all but an empty one.
    if (!u.scheme.p && !u.authority.p && u.path.n && u.path.p[0] == ':') return false;
    return all_of(u.path, ":@/", iri, false) && all_of(u.query, ":@/?", iri, true) &&
           all_of(u.fragment, ":@/?", iri, false);
}

// ---- where it leads ----

static void put(buf *b, struct span s)
{
    buf_put(b, s.p, s.n);
}

// Section 5.2.4.
static void put_without_dots(buf *b, const char *path, size_t n)
{
    size_t start = b->n;
    const char *p = path, *end = path + n;
    while (p < end) {
        const char *next = memchr(p + 1, '/', (size_t)(end - p - 1));
        if (!next) next = end;
        size_t k = (size_t)(next - p);
        bool one = k == 2 && memcmp(p, "/.", 2) == 0, two = k == 3 && memcmp(p, "/..", 3) == 0;
        if (two)
            while (b->n > start && b->p[--b->n] != '/') continue;
        if (one || two) {
            if (next == end) buf_byte(b, '/');
        } else {
            buf_put(b, p, k);
        }
        p = next;
    }
}

static void put_path(buf *out, const struct parts *base, const struct parts *ref)
{
    buf merged = buf_new(1 << 20);
    if (ref->path.n == 0 || ref->path.p[0] != '/') {
        size_t keep = base->path.n;
        while (keep > 0 && base->path.p[keep - 1] != '/') keep--;
        if (base->authority.p && base->path.n == 0) buf_byte(&merged, '/');
        buf_put(&merged, base->path.p, keep);
    }
    put(&merged, ref->path);
    if (merged.n && merged.p[0] == '/')
        put_without_dots(out, merged.p, merged.n);
    else
        put(out, (struct span){buf_text(&merged), merged.n});
    buf_free(&merged);
}

char *uri_resolve(const char *base, const char *ref)
{
    struct parts b = cut(base, strlen(base)), r = cut(ref, strlen(ref));
    buf out = buf_new(1 << 20);
    const struct parts *from = r.scheme.p ? &r : &b; // of the scheme
    bool own_authority = r.scheme.p || r.authority.p;
    struct span authority = own_authority ? r.authority : b.authority;
    if (from->scheme.p) {
        put(&out, from->scheme);
        buf_byte(&out, ':');
    }
    if (authority.p) {
        buf_str(&out, "//");
        put(&out, authority);
    }
    if (own_authority)
        put_without_dots(&out, r.path.p, r.path.n);
    else if (r.path.n == 0)
        put(&out, b.path);
    else
        put_path(&out, &b, &r);
    struct span query = own_authority || r.path.n || r.query.p ? r.query : b.query;
    if (query.p) {
        buf_byte(&out, '?');
        put(&out, query);
    }
    return buf_take(&out);
}
