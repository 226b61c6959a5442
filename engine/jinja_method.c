// Methods of strings, lists and dictionaries, one table per type. The tables name everything that
// Python's types have: for a dictionary, d.items is the method even where there is a key "items",
// and a name that we do not implement is refused rather than taken for undefined.
#include "base/utf8.h"
#include "engine/jinja_private.h"

#include <string.h>
#include <utf8proc.h>

#define BIND(names_, ...)                                                                          \
    static const char *const names_list[] = {__VA_ARGS__, NULL};                                   \
    const jval *names_[sizeof names_list / sizeof names_list[0]];                                  \
    jbind(r, a, __func__, names_list, names_)

static const jstr *string_arg(jrun *r, jval v, const char *what)
{
    if (v.kind != J_STR) jfail(r, "%s: expected a string, found %s", what, jtype_name(v));
    return jplain(r, v);
}

static void no_args(jrun *r, const struct jargs *a, const char *what)
{
    if (a->n || a->n_kw) jfail(r, "%s takes no arguments", what);
}

// ---- case ----

// Python maps some characters to several, or by their neighbours; we know only one-to-one.
static bool odd_case(uint32_t cp)
{
    static const struct {
        uint32_t from, to;
    } odd[] = {{0xdf, 0xdf},     {0x130, 0x130},  {0x149, 0x149},   {0x1c4, 0x1cc},
               {0x1f0, 0x1f3},   {0x345, 0x345},  {0x390, 0x390},   {0x3a3, 0x3a3},
               {0x3b0, 0x3b0},   {0x587, 0x587},  {0x10d0, 0x10ff}, {0x1e96, 0x1e9e},
               {0x1f50, 0x1ffc}, {0xfb00, 0xfb17}};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        if (cp >= odd[i].from && cp <= odd[i].to) return true;
    return false;
}

static uint32_t change_case(jrun *r, uint32_t cp, bool upper)
{
    if (cp < 128) {
        bool change = upper ? cp >= 'a' && cp <= 'z' : cp >= 'A' && cp <= 'Z';
        return change ? cp ^ 32 : cp;
    }
    if (odd_case(cp)) jfail(r, "changing the case of U+%04X is not supported", cp);
    return (uint32_t)(upper ? utf8proc_toupper((utf8proc_int32_t)cp)
                            : utf8proc_tolower((utf8proc_int32_t)cp));
}

static bool is_cased(uint32_t cp)
{
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
    return c == UTF8PROC_CATEGORY_LU || c == UTF8PROC_CATEGORY_LL || c == UTF8PROC_CATEGORY_LT;
}

jval jchange_case(jrun *r, const jstr *s, enum jcase how)
{
    struct jbuild b = {.r = r};
    bool start = true;
    uint32_t cp;
    for (size_t i = 0, n; i < s->n; i += n) {
        n = (size_t)jpoint(s, i, &cp);
        bool upper = how == CASE_UPPER || (how != CASE_LOWER && start);
        char utf8[4];
        size_t len = (size_t)utf8_put(change_case(r, cp, upper), utf8);
        jadd_bytes(&b, utf8, len, s->trusted[i]);
        start = how == CASE_TITLE && !is_cased(cp);
    }
    return jdone(&b);
}

bool jall_case(jrun *r, const jstr *s, bool upper)
{
    bool any = false;
    uint32_t cp;
    for (size_t i = 0, n; i < s->n; i += n) {
        n = (size_t)jpoint(s, i, &cp);
        if (!is_cased(cp)) continue;
        if (cp >= 128 && odd_case(cp)) jfail(r, "the case of U+%04X is not supported", cp);
        any = true;
        utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
        if (c != (upper ? UTF8PROC_CATEGORY_LU : UTF8PROC_CATEGORY_LL)) return false;
    }
    return any;
}

static jval m_upper(jrun *r, jval self, const struct jargs *a)
{
    no_args(r, a, "upper");
    return jchange_case(r, jplain(r, self), CASE_UPPER);
}

static jval m_lower(jrun *r, jval self, const struct jargs *a)
{
    no_args(r, a, "lower");
    return jchange_case(r, jplain(r, self), CASE_LOWER);
}

static jval m_title(jrun *r, jval self, const struct jargs *a)
{
    no_args(r, a, "title");
    return jchange_case(r, jplain(r, self), CASE_TITLE);
}

static jval m_capitalize(jrun *r, jval self, const struct jargs *a)
{
    no_args(r, a, "capitalize");
    return jchange_case(r, jplain(r, self), CASE_CAPITALIZE);
}

static jval m_isupper(jrun *r, jval self, const struct jargs *a)
{
    no_args(r, a, "isupper");
    return jbool(jall_case(r, self.s, true));
}

static jval m_islower(jrun *r, jval self, const struct jargs *a)
{
    no_args(r, a, "islower");
    return jbool(jall_case(r, self.s, false));
}

// ---- classes of characters ----

static bool is_letter(uint32_t cp)
{
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
    return c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO;
}

static bool is_digit(uint32_t cp)
{
    return cp < 128 ? cp >= '0' && cp <= '9'
                    : utf8proc_category((utf8proc_int32_t)cp) == UTF8PROC_CATEGORY_ND;
}

static bool is_alphanumeric(uint32_t cp)
{
    return is_letter(cp) || is_digit(cp);
}

static jval all_points(jrun *r, jval self, const struct jargs *a, bool (*holds)(uint32_t))
{
    no_args(r, a, "a test of characters");
    uint32_t cp;
    bool all = self.s->n > 0;
    for (size_t i = 0, n; i < self.s->n; i += n) {
        n = (size_t)jpoint(self.s, i, &cp);
        utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
        if (c == UTF8PROC_CATEGORY_NO || c == UTF8PROC_CATEGORY_NL)
            jfail(r, "the class of U+%04X is not supported", cp);
        all = all && holds(cp);
    }
    return jbool(all);
}

static jval m_isalpha(jrun *r, jval v, const struct jargs *a)
{
    return all_points(r, v, a, is_letter);
}
static jval m_isdigit(jrun *r, jval v, const struct jargs *a)
{
    return all_points(r, v, a, is_digit);
}
static jval m_isspace(jrun *r, jval v, const struct jargs *a)
{
    return all_points(r, v, a, jspace);
}
static jval m_isalnum(jrun *r, jval v, const struct jargs *a)
{
    return all_points(r, v, a, is_alphanumeric);
}

// ---- stripping ----

static bool in_set(const jstr *set, const char *p, size_t n, uint32_t cp)
{
    if (!set) return jspace(cp);
    return memmem(set->p, set->n, p, n) != NULL; // whole code points, so no false hits
}

jval jstrip(jrun *r, const jstr *s, const jval *chars, bool left, bool right)
{
    const jstr *set = chars && chars->kind != J_NONE ? string_arg(r, *chars, "strip") : NULL;
    size_t from = 0, to = s->n;
    uint32_t cp;
    while (left && from < to) {
        size_t n = (size_t)jpoint(s, from, &cp);
        if (!in_set(set, s->p + from, n, cp)) break;
        from += n;
    }
    while (right && to > from) {
        size_t start = to - 1;
        while (((unsigned char)s->p[start] & 0xc0) == 0x80) start--;
        jpoint(s, start, &cp);
        if (!in_set(set, s->p + start, to - start, cp)) break;
        to = start;
    }
    jspend(r, (s->n - (to - from)) / 16);
    return jsub(r, s, from, to);
}

static jval m_strip(jrun *r, jval self, const struct jargs *a)
{
    BIND(v, "chars");
    return jstrip(r, jplain(r, self), v[0], true, true);
}

static jval m_lstrip(jrun *r, jval self, const struct jargs *a)
{
    BIND(v, "chars");
    return jstrip(r, jplain(r, self), v[0], true, false);
}

static jval m_rstrip(jrun *r, jval self, const struct jargs *a)
{
    BIND(v, "chars");
    return jstrip(r, jplain(r, self), v[0], false, true);
}

static bool affix(const jstr *s, const jstr *part, bool end)
{
    return part->n <= s->n && memcmp(s->p + (end ? s->n - part->n : 0), part->p, part->n) == 0;
}

static jval has_affix(jrun *r, jval self, const struct jargs *a, bool end)
{
    BIND(v, "prefix");
    if (!v[0]) jfail(r, "startswith and endswith need an argument");
    if (v[0]->kind != J_TUPLE) return jbool(affix(self.s, string_arg(r, *v[0], "affix"), end));
    for (size_t i = 0; i < v[0]->list->n; i++)
        if (affix(self.s, string_arg(r, v[0]->list->v[i], "affix"), end)) return jbool(true);
    return jbool(false);
}

static jval m_startswith(jrun *r, jval self, const struct jargs *a)
{
    return has_affix(r, self, a, 0);
}
static jval m_endswith(jrun *r, jval self, const struct jargs *a)
{
    return has_affix(r, self, a, 1);
}

static jval m_removeprefix(jrun *r, jval self, const struct jargs *a)
{
    BIND(v, "prefix");
    const jstr *s = jplain(r, self), *part = v[0] ? string_arg(r, *v[0], "removeprefix") : s;
    return jsub(r, s, affix(s, part, false) ? part->n : 0, s->n);
}

static jval m_removesuffix(jrun *r, jval self, const struct jargs *a)
{
    BIND(v, "suffix");
    const jstr *s = jplain(r, self), *part = v[0] ? string_arg(r, *v[0], "removesuffix") : s;
    return jsub(r, s, 0, affix(s, part, true) ? s->n - part->n : s->n);
}

// ---- finding, splitting, replacing ----

#define NOWHERE ((size_t)-1)

static size_t find_from(const jstr *s, const jstr *part, size_t from)
{
    if (part->n == 0) return from;
    const char *p = s->n > from ? memmem(s->p + from, s->n - from, part->p, part->n) : NULL;
    return p ? (size_t)(p - s->p) : NOWHERE;
}

// The last occurrence that ends at or before `to`.
static size_t find_last(const jstr *s, const jstr *part, size_t to)
{
    if (part->n > to) return NOWHERE;
    for (size_t at = to - part->n + 1; at-- > 0;)
        if (memcmp(s->p + at, part->p, part->n) == 0) return at;
    return NOWHERE;
}

static jval point_of(const jstr *s, size_t at)
{
    jstr before = {s->p, NULL, at == NOWHERE ? 0 : at, false};
    return jint(at == NOWHERE ? -1 : (int64_t)jpoints(&before));
}

static jval m_find(jrun *r, jval self, const struct jargs *a)
{
    BIND(v, "sub");
    if (!v[0]) jfail(r, "find needs an argument");
    return point_of(self.s, find_from(self.s, string_arg(r, *v[0], "find"), 0));
}

static jval m_rfind(jrun *r, jval self, const struct jargs *a)
{
    BIND(v, "sub");
    if (!v[0]) jfail(r, "rfind needs an argument");
    jspend(r, self.s->n / 16);
    return point_of(self.s, find_last(self.s, string_arg(r, *v[0], "rfind"), self.s->n));
}

static jval m_index(jrun *r, jval self, const struct jargs *a)
{
    jval at = m_find(r, self, a);
    if (at.i < 0) jfail(r, "index: the string does not hold that");
    return at;
}

static jval m_count(jrun *r, jval self, const struct jargs *a)
{
    BIND(v, "sub");
    const jstr *part = v[0] ? string_arg(r, *v[0], "count") : NULL;
    if (!part || part->n == 0) jfail(r, "count needs a string that is not empty");
    int64_t n = 0;
    for (size_t at = 0; (at = find_from(self.s, part, at)) != NOWHERE; at += part->n) n++;
    jspend(r, (size_t)n);
    return jint(n);
}

static int64_t split_limit(jrun *r, const jval *v)
{
    int64_t max = v ? jarg_int(r, *v, "maxsplit") : -1;
    return max < 0 ? INT64_MAX : max;
}

static jval split_space(jrun *r, const jstr *s, int64_t max)
{
    jval out = jlist_of(r, J_LIST, 0);
    uint32_t cp;
    size_t at = 0, n;
    for (;;) {
        while (at < s->n && (n = (size_t)jpoint(s, at, &cp), jspace(cp))) at += n;
        if (at >= s->n) return out;
        if (max-- == 0) {
            jpush(r, out.list, jstrip(r, jsub(r, s, at, s->n).s, NULL, false, false));
            return out;
        }
        size_t from = at;
        while (at < s->n && (n = (size_t)jpoint(s, at, &cp), !jspace(cp))) at += n;
        jpush(r, out.list, jsub(r, s, from, at));
    }
}

static jval m_split(jrun *r, jval self, const struct jargs *a)
{
    BIND(v, "sep", "maxsplit");
    const jstr *s = jplain(r, self);
    int64_t max = split_limit(r, v[1]);
    jspend(r, s->n / 16);
    if (!v[0] || v[0]->kind == J_NONE) return split_space(r, s, max);
    const jstr *sep = string_arg(r, *v[0], "split");
    if (sep->n == 0) jfail(r, "split: the separator is empty");
    jval out = jlist_of(r, J_LIST, 0);
    size_t from = 0, at;
    while (max-- > 0 && (at = find_from(s, sep, from)) != NOWHERE) {
        jpush(r, out.list, jsub(r, s, from, at));
        from = at + sep->n;
    }
    jpush(r, out.list, jsub(r, s, from, s->n));
    return out;
}

static jval m_rsplit(jrun *r, jval self, const struct jargs *a)
{
    BIND(v, "sep", "maxsplit");
    const jstr *s = jplain(r, self);
    int64_t max = split_limit(r, v[1]);
    jspend(r, s->n / 16);
    if (!v[0] || v[0]->kind == J_NONE) {
        if (max != INT64_MAX) jfail(r, "rsplit by white space with a limit is not supported");
        return split_space(r, s, max);
    }
    const jstr *sep = string_arg(r, *v[0], "rsplit");
    if (sep->n == 0) jfail(r, "rsplit: the separator is empty");
    jval parts = jlist_of(r, J_LIST, 0), out = jlist_of(r, J_LIST, 0);
    size_t to = s->n, at;
    while (max-- > 0 && (at = find_last(s, sep, to)) != NOWHERE) {
        jpush(r, parts.list, jsub(r, s, at + sep->n, to));
        to = at;
    }
    jpush(r, out.list, jsub(r, s, 0, to));
    for (size_t i = parts.list->n; i-- > 0;) jpush(r, out.list, parts.list->v[i]);
    return out;
}

static bool ends_line(uint32_t cp)
{
    return (cp >= 10 && cp <= 13) || (cp >= 0x1c && cp <= 0x1e) || cp == 0x85 || cp == 0x2028 ||
           cp == 0x2029;
}

jval jsplit_lines(jrun *r, const jstr *s)
{
    jval out = jlist_of(r, J_LIST, 0);
    size_t from = 0;
    uint32_t cp;
    for (size_t i = 0, n; i < s->n; i += n) {
        n = (size_t)jpoint(s, i, &cp);
        if (!ends_line(cp)) continue;
        jpush(r, out.list, jsub(r, s, from, i));
        if (cp == '\r' && i + 1 < s->n && s->p[i + 1] == '\n') n = 2;
        from = i + n;
    }
    if (from < s->n) jpush(r, out.list, jsub(r, s, from, s->n));
    return out;
}

static jval m_splitlines(jrun *r, jval self, const struct jargs *a)
{
    no_args(r, a, "splitlines");
    return jsplit_lines(r, jplain(r, self));
}

jval jreplace(jrun *r, const jstr *s, const jval *old_value, const jval *with_value,
              const jval *count)
{
    if (!old_value || !with_value) jfail(r, "replace needs what to replace and what with");
    const jstr *old = jplain(r, *old_value), *with = jplain(r, *with_value);
    int64_t max = count && count->kind != J_NONE ? jarg_int(r, *count, "replace") : -1;
    if (max < 0) max = INT64_MAX;
    if (old->n == 0) jfail(r, "replacing the empty string is not supported");
    struct jbuild b = {.r = r};
    size_t from = 0, at;
    jspend(r, s->n / 16);
    while (max-- > 0 && (at = find_from(s, old, from)) != NOWHERE) {
        jspend(r, 1);
        jadd(&b, jsub(r, s, from, at).s);
        jadd(&b, with);
        from = at + old->n;
    }
    jadd(&b, jsub(r, s, from, s->n).s);
    return jdone(&b);
}

static jval m_replace(jrun *r, jval self, const struct jargs *a)
{
    BIND(v, "old", "new", "count");
    return jreplace(r, jplain(r, self), v[0], v[1], v[2]);
}

static jval m_join(jrun *r, jval self, const struct jargs *a)
{
    BIND(v, "iterable");
    if (!v[0]) jfail(r, "join needs an argument");
    const jstr *sep = jplain(r, self);
    const jlist *l = jwalk(r, *v[0]);
    struct jbuild b = {.r = r};
    for (size_t i = 0; i < l->n; i++) {
        jspend(r, 1);
        if (i) jadd(&b, sep);
        jadd(&b, string_arg(r, l->v[i], "join"));
    }
    return jdone(&b);
}

static jval m_partition(jrun *r, jval self, const struct jargs *a)
{
    BIND(v, "sep");
    const jstr *s = jplain(r, self), *sep = v[0] ? string_arg(r, *v[0], "partition") : NULL;
    if (!sep || sep->n == 0) jfail(r, "partition needs a separator");
    size_t at = find_from(s, sep, 0), end = at == NOWHERE ? s->n : at + sep->n;
    if (at == NOWHERE) at = s->n;
    jval out = jlist_of(r, J_TUPLE, 3);
    jpush(r, out.list, jsub(r, s, 0, at));
    jpush(r, out.list, jsub(r, s, at, end));
    jpush(r, out.list, jsub(r, s, end, s->n));
    return out;
}

// ---- lists ----

static size_t list_position(jrun *r, const jlist *l, const jval *v, bool insert)
{
    int64_t i = v ? jarg_int(r, *v, "position") : (int64_t)l->n - 1;
    if (i < 0) i += (int64_t)l->n;
    if (insert) return i < 0 ? 0 : i > (int64_t)l->n ? l->n : (size_t)i;
    if (i < 0 || i >= (int64_t)l->n) jfail(r, "pop: there is no such element");
    return (size_t)i;
}

static jval m_append(jrun *r, jval self, const struct jargs *a)
{
    BIND(v, "object");
    if (!v[0]) jfail(r, "append needs an argument");
    jpush(r, self.list, *v[0]);
    return jnone();
}

static jval m_extend(jrun *r, jval self, const struct jargs *a)
{
    BIND(v, "iterable");
    if (!v[0]) jfail(r, "extend needs an argument");
    const jlist *more = jwalk_copy(r, *v[0]);
    for (size_t i = 0; i < more->n; i++) jpush(r, self.list, more->v[i]);
    return jnone();
}

static jval m_insert(jrun *r, jval self, const struct jargs *a)
{
    BIND(v, "index", "object");
    if (!v[0] || !v[1]) jfail(r, "insert needs a position and a value");
    size_t at = list_position(r, self.list, v[0], true);
    jspend(r, self.list->n);
    jpush(r, self.list, jnone());
    memmove(self.list->v + at + 1, self.list->v + at, (self.list->n - 1 - at) * sizeof(jval));
    self.list->v[at] = *v[1];
    return jnone();
}

static jval m_list_pop(jrun *r, jval self, const struct jargs *a)
{
    BIND(v, "index");
    size_t at = list_position(r, self.list, v[0], false);
    jval out = self.list->v[at];
    jspend(r, self.list->n);
    self.list->n--;
    memmove(self.list->v + at, self.list->v + at + 1, (self.list->n - at) * sizeof(jval));
    return out;
}

static jval m_list_index(jrun *r, jval self, const struct jargs *a)
{
    BIND(v, "value");
    for (size_t i = 0; v[0] && i < self.list->n; i++)
        if (jequal(r, self.list->v[i], *v[0])) return jint((int64_t)i);
    jfail(r, "index: the list does not hold that");
}

static jval m_list_count(jrun *r, jval self, const struct jargs *a)
{
    BIND(v, "value");
    int64_t n = 0;
    for (size_t i = 0; v[0] && i < self.list->n; i++) n += jequal(r, self.list->v[i], *v[0]);
    return jint(n);
}

static jval m_list_copy(jrun *r, jval self, const struct jargs *a)
{
    no_args(r, a, "copy");
    return (jval){.kind = J_LIST, .list = jwalk_copy(r, self)};
}

// ---- dictionaries ----

static jval pair(jrun *r, jval key, jval value)
{
    jval t = jlist_of(r, J_TUPLE, 2);
    jpush(r, t.list, key);
    jpush(r, t.list, value);
    return t;
}

jval jpairs(jrun *r, enum jkind kind, const jdict *d)
{
    jspend(r, d->n);
    jval out = jlist_of(r, kind, d->n);
    for (size_t i = 0; i < d->n; i++) jpush(r, out.list, pair(r, d->v[i].key, d->v[i].value));
    return out;
}

static jval m_items(jrun *r, jval self, const struct jargs *a)
{
    no_args(r, a, "items");
    return jpairs(r, J_VIEW, self.dict);
}

static jval m_keys(jrun *r, jval self, const struct jargs *a)
{
    no_args(r, a, "keys");
    return (jval){.kind = J_VIEW, .list = jwalk_copy(r, self)};
}

static jval m_values(jrun *r, jval self, const struct jargs *a)
{
    no_args(r, a, "values");
    jval out = jlist_of(r, J_VIEW, self.dict->n);
    jspend(r, self.dict->n);
    for (size_t i = 0; i < self.dict->n; i++) jpush(r, out.list, self.dict->v[i].value);
    return out;
}

static jval m_get(jrun *r, jval self, const struct jargs *a)
{
    BIND(v, "key", "default");
    if (!v[0]) jfail(r, "get needs a key");
    const jval *found = jget(r, self.dict, *v[0]);
    return found ? *found : v[1] ? *v[1] : jnone();
}

static jval m_dict_pop(jrun *r, jval self, const struct jargs *a)
{
    BIND(v, "key", "default");
    if (!v[0]) jfail(r, "pop needs a key");
    const jval *found = jget(r, self.dict, *v[0]);
    if (!found && !v[1]) jfail(r, "pop: there is no such key");
    if (!found) return *v[1];
    jval out = *found;
    struct jentry *e = (struct jentry *)((char *)found - offsetof(struct jentry, value));
    size_t at = (size_t)(e - self.dict->v);
    self.dict->n--;
    memmove(e, e + 1, (self.dict->n - at) * sizeof *e);
    return out;
}

static jval m_setdefault(jrun *r, jval self, const struct jargs *a)
{
    BIND(v, "key", "default");
    if (!v[0]) jfail(r, "setdefault needs a key");
    const jval *found = jget(r, self.dict, *v[0]);
    jval value = found ? *found : v[1] ? *v[1] : jnone();
    if (!found) jput(r, self.dict, *v[0], value);
    return value;
}

static jval m_update(jrun *r, jval self, const struct jargs *a)
{
    if (a->n > 1 || (a->n == 1 && a->v[0].kind != J_DICT)) jfail(r, "update needs a dictionary");
    for (size_t i = 0; a->n && i < a->v[0].dict->n; i++)
        jput(r, self.dict, a->v[0].dict->v[i].key, a->v[0].dict->v[i].value);
    for (size_t i = 0; i < a->n_kw; i++)
        jput(r, self.dict, (jval){.kind = J_STR, .s = a->kw[i].name}, a->kw[i].value);
    return jnone();
}

static jval m_dict_copy(jrun *r, jval self, const struct jargs *a)
{
    no_args(r, a, "copy");
    jval out = jdict_new(r);
    for (size_t i = 0; i < self.dict->n; i++)
        jput(r, out.dict, self.dict->v[i].key, self.dict->v[i].value);
    return out;
}

// ---- loops ----

static jval m_cycle(jrun *r, jval self, const struct jargs *a)
{
    if (a->n == 0 || a->n_kw) jfail(r, "loop.cycle needs values");
    return a->v[self.loop->index0 % a->n];
}

static jval m_changed(jrun *r, jval self, const struct jargs *a)
{
    if (a->n_kw) jfail(r, "loop.changed takes no names");
    jval now = jlist_of(r, J_TUPLE, a->n);
    for (size_t i = 0; i < a->n; i++) jpush(r, now.list, a->v[i]);
    bool changed = !jequal(r, now, self.loop->last_changed);
    self.loop->last_changed = now;
    return jbool(changed);
}

// ---- tables ----

static const struct jfunction string_methods[] = {{"capitalize", m_capitalize},
                                                  {"count", m_count},
                                                  {"endswith", m_endswith},
                                                  {"find", m_find},
                                                  {"index", m_index},
                                                  {"isalnum", m_isalnum},
                                                  {"isalpha", m_isalpha},
                                                  {"isdigit", m_isdigit},
                                                  {"islower", m_islower},
                                                  {"isspace", m_isspace},
                                                  {"isupper", m_isupper},
                                                  {"join", m_join},
                                                  {"lower", m_lower},
                                                  {"lstrip", m_lstrip},
                                                  {"partition", m_partition},
                                                  {"removeprefix", m_removeprefix},
                                                  {"removesuffix", m_removesuffix},
                                                  {"replace", m_replace},
                                                  {"rfind", m_rfind},
                                                  {"rsplit", m_rsplit},
                                                  {"rstrip", m_rstrip},
                                                  {"split", m_split},
                                                  {"splitlines", m_splitlines},
                                                  {"startswith", m_startswith},
                                                  {"strip", m_strip},
                                                  {"title", m_title},
                                                  {"upper", m_upper},
                                                  {"casefold", NULL},
                                                  {"center", NULL},
                                                  {"encode", NULL},
                                                  {"expandtabs", NULL},
                                                  {"format", NULL},
                                                  {"format_map", NULL},
                                                  {"isascii", NULL},
                                                  {"isdecimal", NULL},
                                                  {"isidentifier", NULL},
                                                  {"isnumeric", NULL},
                                                  {"isprintable", NULL},
                                                  {"istitle", NULL},
                                                  {"ljust", NULL},
                                                  {"maketrans", NULL},
                                                  {"rindex", NULL},
                                                  {"rjust", NULL},
                                                  {"rpartition", NULL},
                                                  {"swapcase", NULL},
                                                  {"translate", NULL},
                                                  {"zfill", NULL},
                                                  {NULL, NULL}};

static const struct jfunction list_methods[] = {
    {"append", m_append},    {"copy", m_list_copy}, {"count", m_list_count}, {"extend", m_extend},
    {"index", m_list_index}, {"insert", m_insert},  {"pop", m_list_pop},     {"clear", NULL},
    {"remove", NULL},        {"reverse", NULL},     {"sort", NULL},          {NULL, NULL}};

static const struct jfunction tuple_methods[] = {
    {"count", m_list_count}, {"index", m_list_index}, {NULL, NULL}};

static const struct jfunction dict_methods[] = {
    {"copy", m_dict_copy}, {"get", m_get},       {"items", m_items},
    {"keys", m_keys},      {"pop", m_dict_pop},  {"setdefault", m_setdefault},
    {"update", m_update},  {"values", m_values}, {"clear", NULL},
    {"fromkeys", NULL},    {"popitem", NULL},    {NULL, NULL}};

static const struct jfunction loop_methods[] = {
    {"changed", m_changed}, {"cycle", m_cycle}, {NULL, NULL}};

static const struct jfunction number_methods[] = {
    {"as_integer_ratio", NULL}, {"bit_count", NULL},   {"bit_length", NULL},
    {"conjugate", NULL},        {"denominator", NULL}, {"from_bytes", NULL},
    {"fromhex", NULL},          {"hex", NULL},         {"imag", NULL},
    {"is_integer", NULL},       {"numerator", NULL},   {"real", NULL},
    {"to_bytes", NULL},         {NULL, NULL}};

const struct jfunction *jinja_method(enum jkind kind, const jstr *name)
{
    static const struct jfunction *const tables[J_MACRO + 1] = {
        [J_STR] = string_methods, [J_LIST] = list_methods,   [J_TUPLE] = tuple_methods,
        [J_DICT] = dict_methods,  [J_LOOP] = loop_methods,   [J_BOOL] = number_methods,
        [J_INT] = number_methods, [J_FLOAT] = number_methods};
    for (const struct jfunction *f = tables[kind]; f && f->name; f++)
        if (jstr_is(name, f->name)) return f;
    return NULL;
}
