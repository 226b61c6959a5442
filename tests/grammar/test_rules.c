// Grammars beyond JSON: regular expressions, EBNF and structural tags. If this fails, an answer can
// break the format it was asked for in, or a model runs into a dead end. Random grammars are judged
// against sets of strings worked out by plain set operations, which share nothing with the decoder.
#include "test.h"

#include "base/buf.h"
#include "base/mem.h"
#include "test_vocab.h"

#include <stdlib.h>
#include <string.h>

static rng r;
static grammar_vocab *vocab, *letters;

// Bytes, and all texts of two to four of a and b.
static grammar_vocab *letters_new(void)
{
    grammar_vocab *v = mem_new(sizeof *v);
    int n = 256 + 4 + 8 + 16 + 1;
    const char **bytes = mem_new((size_t)n * sizeof *bytes);
    uint32_t *len = mem_new((size_t)n * sizeof *len);
    uint8_t *kind = mem_new((size_t)n);
    err e;
    for (int c = 0; c < 256; c++) bytes[c] = mem_strn((const char[]){(char)c}, len[c] = 1);
    int at = 256;
    for (uint32_t k = 2; k <= 4; k++)
        for (uint32_t x = 0; x < 1u << k; x++, at++) {
            char text[4];
            for (uint32_t i = 0; i < k; i++) text[i] = x >> i & 1 ? 'b' : 'a';
            bytes[at] = mem_strn(text, len[at] = k);
        }
    bytes[at] = mem_str("");
    kind[at] = VOCAB_SPECIAL;
    *v = (grammar_vocab){.n_token = n, .bytes = bytes, .len = len, .kind = kind, .end = at};
    if (grammar_vocab_prepare(v, &e)) abort();
    return v;
}

static int setup(void **state)
{
    (void)state;
    r = rng_seed(4711);
    vocab = test_vocab_new(&r, 50);
    letters = letters_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    test_vocab_free(vocab);
    test_vocab_free(letters);
    return 0;
}

static bool bit(const uint64_t *bits, int32_t t)
{
    return bits[t / 64] >> (t % 64) & 1;
}

// ---- the oracle: sets of strings of a and b ----

enum { LEN = 6, N_STRING = 1 << (LEN + 1), N_RULE = 4 };

// A string is a number: its letters from the first on as bits, a 1 above them.
typedef struct {
    uint8_t has[N_STRING];
} strings;

static int length_of(int s)
{
    return 31 - __builtin_clz((unsigned)s);
}

static int append(int a, int b)
{
    int n = length_of(a);
    return (a - (1 << n)) | b << n;
}

static void concat(const strings *a, const strings *b, strings *out)
{
    memset(out, 0, sizeof *out);
    for (int i = 1; i < N_STRING; i++)
        for (int k = 1; a->has[i] && length_of(i) + length_of(k) <= LEN && k < N_STRING; k++)
            if (b->has[k]) out->has[append(i, k)] = 1;
}

// A random expression over a, b and rules.
struct node {
    enum { LETTERS, RULE, SEQUENCE, CHOICE, REPEAT } kind;
    int a, b; // LETTERS: string; RULE: rule; else nodes; REPEAT: node
    int min, max;
};
struct random_grammar {
    struct node node[400];
    int n, root[N_RULE], n_rule;
};

static int random_node(struct random_grammar *g, int depth)
{
    int i = g->n++;
    uint64_t what = depth > 3 ? rng_below(&r, 3) : rng_below(&r, 9);
    struct node x = {.kind = LETTERS};
    if (what < 2) {
        int n = (int)rng_below(&r, 10) ? 1 + (int)rng_below(&r, 2) : 0;
        x.a = 1 << n | (int)rng_below(&r, 1u << n);
    } else if (what == 2) {
        x = (struct node){.kind = RULE, .a = (int)rng_below(&r, (uint64_t)g->n_rule)};
    } else if (what < 6) {
        x = (struct node){SEQUENCE, random_node(g, depth + 1), random_node(g, depth + 1), 0, 0};
    } else if (what < 8) {
        x = (struct node){CHOICE, random_node(g, depth + 1), random_node(g, depth + 1), 0, 0};
    } else {
        x = (struct node){.kind = REPEAT, .a = random_node(g, depth + 1)};
        x.min = (int)rng_below(&r, 3);
        x.max = rng_below(&r, 2) ? 100 : x.min + (int)rng_below(&r, 3);
    }
    g->node[i] = x;
    return i;
}

static void print_node(const struct random_grammar *g, int i, buf *out)
{
    const struct node *x = &g->node[i];
    switch (x->kind) {
    case LETTERS:
        buf_str(out, "\"");
        for (int k = 0; k < length_of(x->a); k++) buf_str(out, x->a >> k & 1 ? "b" : "a");
        buf_str(out, "\"");
        return;
    case RULE: buf_printf(out, "r%d", x->a); return;
    case REPEAT:
        buf_str(out, "(");
        print_node(g, x->a, out);
        if (x->max == 100)
            buf_printf(out, "){%d,}", x->min);
        else
            buf_printf(out, "){%d,%d}", x->min, x->max);
        return;
    default:
        buf_str(out, "(");
        print_node(g, x->a, out);
        buf_str(out, x->kind == CHOICE ? " | " : " ");
        print_node(g, x->b, out);
        buf_str(out, ")");
    }
}

static void strings_of(const struct random_grammar *g, const strings *rules, int i, strings *out)
{
    const struct node *x = &g->node[i];
    strings *a = mem_new(sizeof *a), *b = mem_new(sizeof *b);
    memset(out, 0, sizeof *out);
    switch (x->kind) {
    case LETTERS: out->has[x->a] = 1; break;
    case RULE: *out = rules[x->a]; break;
    case SEQUENCE:
        strings_of(g, rules, x->a, a);
        strings_of(g, rules, x->b, b);
        concat(a, b, out);
        break;
    case CHOICE:
        strings_of(g, rules, x->a, out);
        strings_of(g, rules, x->b, b);
        for (int k = 0; k < N_STRING; k++) out->has[k] |= b->has[k];
        break;
    case REPEAT:
        strings_of(g, rules, x->a, a);
        b->has[1] = 1; // the empty string
        for (int k = 0; k <= x->max && k <= LEN + x->min; k++) {
            if (k >= x->min)
                for (int s = 0; s < N_STRING; s++) out->has[s] |= b->has[s];
            strings *next = mem_new(sizeof *next);
            concat(b, a, next);
            *b = *next;
            free(next);
        }
    }
    free(a);
    free(b);
}

// All strings of each rule, up to LEN: what the rules give until nothing is added.
static void find_strings(const struct random_grammar *g, strings *rules)
{
    strings *now = mem_new(sizeof *now);
    memset(rules, 0, N_RULE * sizeof *rules);
    for (bool changed = true; changed;) {
        changed = false;
        for (int i = 0; i < g->n_rule; i++) {
            strings_of(g, rules, g->root[i], now);
            if (memcmp(now, &rules[i], sizeof *now) != 0) changed = true;
            rules[i] = *now;
        }
    }
    free(now);
}

// begins[s]: some string of the set begins with s.
static void find_begins(const strings *all, strings *begins)
{
    *begins = *all;
    for (int n = LEN; n > 0; n--)
        for (int s = 1 << n; s < 2 << n; s++)
            if (begins->has[s]) begins->has[(s & ((1 << (n - 1)) - 1)) | 1 << (n - 1)] = 1;
}

static int token_string(const grammar_vocab *v, int32_t t)
{
    int s = 0;
    for (uint32_t i = 0; i < v->len[t]; i++) {
        if (v->bytes[t][i] != 'a' && v->bytes[t][i] != 'b') return 0;
        s |= (v->bytes[t][i] == 'b') << i;
    }
    return s | 1 << v->len[t];
}

static void check_state(const grammar_state *s, int text, const strings *all, const strings *begins,
                        const char *source)
{
    uint64_t bits[8], slow[8];
    grammar_mask(s, -1, bits);
    grammar_mask_slow(s, -1, slow);
    if (memcmp(bits, slow, (size_t)(letters->n_token + 63) / 64 * sizeof bits[0]) != 0)
        fail_msg("fast and slow differ: %s", source);
    if (grammar_may_end(s) != all->has[text]) fail_msg("end at %x: %s", text, source);
    for (int32_t t = 0; t < letters->n_token; t++) {
        int token = t == letters->end || letters->len[t] == 0 ? 0 : token_string(letters, t);
        if (token == 0 && t != letters->end && bit(bits, t))
            fail_msg("token %d is no letter: %s", t, source);
        if (token == 0 || length_of(text) + length_of(token) > LEN) continue;
        int longer = append(text, token);
        if (begins->has[longer] && !bit(bits, t))
            fail_msg("token %d missing at %x: %s", t, text, source);
        if (!bit(bits, t) || begins->has[longer]) continue;
        // Then only strings too long for the oracle begin so: the finish says how long.
        grammar_state *next = grammar_copy(s);
        assert_true(grammar_accept(next, t));
        int finish = grammar_shortest_finish(next) - 1;
        if (length_of(longer) + finish <= LEN)
            fail_msg("token %d leads nowhere at %x (finish %d): %s", t, text, finish, source);
        grammar_state_free(next);
    }
}

static void budgets(grammar *g, const char *source)
{
    uint64_t bits[8], slow[8];
    grammar_state *s = grammar_start(g);
    int budget = grammar_shortest_finish(s) + (int)rng_below(&r, 8);
    for (int32_t t = -1; t != letters->end; budget--) {
        int n = grammar_mask(s, budget, bits);
        assert_int_equal(grammar_mask_slow(s, budget, slow), n);
        assert_memory_equal(bits, slow, (size_t)(letters->n_token + 63) / 64 * 8);
        if (n == 0) fail_msg("dead end with budget %d: %s", budget, source);
        uint64_t seen = 0;
        for (int32_t k = 0; k < letters->n_token; k++)
            if (bit(bits, k) && rng_below(&r, ++seen) == 0) t = k;
        assert_true(grammar_accept(s, t));
    }
    assert_true(budget >= 0);
    grammar_state_free(s);
}

static void random_grammars_are_exact(void **state)
{
    (void)state;
    strings *rules = mem_new(N_RULE * sizeof *rules), *begins = mem_new(sizeof *begins);
    int made = 0, recursive = 0, empty = 0;
    for (int i = 0; i < 300; i++) {
        struct random_grammar g = {.n_rule = 1 + (int)rng_below(&r, N_RULE)};
        buf source = buf_new(1 << 16);
        err e = {0};
        for (int k = 0; k < g.n_rule; k++) {
            g.root[k] = random_node(&g, 0);
            buf_printf(&source, "%sr%d = ", k ? ";\n" : "", k);
            print_node(&g, g.root[k], &source);
        }
        find_strings(&g, rules);
        grammar *x = grammar_from_ebnf(letters, buf_text(&source), &e);
        if (!x) {
            if (!strstr(e.msg, "never ends")) fail_msg("%s: %s", e.msg, buf_text(&source));
            empty++;
        } else {
            made++;
            recursive += g.n_rule > 1;
            find_begins(&rules[0], begins);
            for (int i_text = 0; i_text < 12; i_text++) {
                grammar_state *s = grammar_start(x);
                int text = 1;
                for (int n = (int)rng_below(&r, LEN); n > 0; n--) {
                    int c = (int)rng_below(&r, 2);
                    if (!grammar_accept(s, 'a' + c) && !grammar_accept(s, 'a' + (c = !c))) break;
                    text = append(text, 2 | c);
                }
                check_state(s, text, &rules[0], begins, buf_text(&source));
                grammar_state_free(s);
            }
            budgets(x, buf_text(&source));
        }
        grammar_free(x);
        buf_free(&source);
    }
    printf("%d grammars, %d of several rules, %d refused\n", made, recursive, empty);
    assert_true(made > 150 && recursive > 100 && empty > 3);
    free(rules);
    free(begins);
}

// ---- texts ----

enum outcome { REFUSED, OPEN, MAY_END };

// Feeds text in which {N} stands for the added or special token N.
static bool feed(grammar_state *s, const char *text)
{
    while (*text) {
        size_t n = strcspn(text + 1, "{");
        const char *close = *text == '{' ? strchr(text, '}') : NULL;
        int32_t id = -1;
        if (close) {
            char *name = mem_strn(text + 1, (size_t)(close - text - 1));
            id = test_vocab_find(vocab, name, VOCAB_ADDED);
            if (id < 0 && *name) id = test_vocab_find(vocab, name, VOCAB_SPECIAL);
            free(name);
        }
        if (id >= 0) {
            if (!grammar_accept(s, id)) return false;
            text = close + 1;
            continue;
        }
        if (!test_vocab_feed(vocab, s, &r, text, n + 1)) return false;
        text += n + 1;
    }
    return true;
}

struct row {
    const char *text;
    enum outcome outcome;
};

static void check_rows(grammar *g, const char *what, const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n && rows[i].text; i++)
        for (int again = 0; again < 4; again++) {
            grammar_state *s = grammar_start(g);
            enum outcome got = !feed(s, rows[i].text) ? REFUSED
                               : grammar_may_end(s)   ? MAY_END
                                                      : OPEN;
            if (got != rows[i].outcome)
                fail_msg("%s: '%s': %d, expected %d", what, rows[i].text, got, rows[i].outcome);
            grammar_state_free(s);
        }
}

// Walks at random: fast masks are the slow ones, also near the end of a budget; never a dead end;
// forks and ways back lead to the same masks.
static void walk(grammar *g, const char *what)
{
    size_t words = (size_t)(vocab->n_token + 63) / 64;
    uint64_t *bits = mem_new(8 * words), *slow = mem_new(8 * words), *again = mem_new(8 * words);
    for (int i = 0; i < 12; i++) {
        grammar_state *s = grammar_start(g), *fork = NULL;
        int budget = grammar_shortest_finish(s) + (int)rng_below(&r, 40);
        for (int32_t t = -1; t != vocab->end; budget--) {
            int n = grammar_mask(s, budget, bits);
            if (n != grammar_mask_slow(s, budget, slow) || memcmp(bits, slow, 8 * words) != 0)
                fail_msg("%s: fast and slow differ", what);
            if (n == 0) fail_msg("%s: dead end", what);
            uint64_t total = 0;
            for (int32_t k = 0; k < vocab->n_token; k++) {
                uint64_t weight = !bit(bits, k) ? 0 : vocab->kind[k] == VOCAB_TEXT ? 1 : 20;
                total += weight;
                if (weight && rng_below(&r, total) < weight) t = k;
            }
            if (rng_below(&r, 4) == 0) {
                grammar_state_free(fork);
                fork = grammar_copy(s);
            }
            size_t before = grammar_length(s);
            assert_true(grammar_accept(s, t));
            grammar_state *back = grammar_copy(s);
            grammar_rollback(back, grammar_length(back) - before);
            grammar_mask(back, budget, again);
            assert_memory_equal(again, bits, 8 * words);
            grammar_state_free(back);
        }
        if (budget < 0) fail_msg("%s: budget", what);
        grammar_state_free(fork);
        grammar_state_free(s);
    }
    free(bits);
    free(slow);
    free(again);
}

static void regular_expressions(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        struct row rows[8];
    } all[] = {
        {"[0-9]{4}-[0-9]{2}",
         {{"2024-01", MAY_END},
          {"2024-1", OPEN},
          {"24", OPEN},
          {"2024-011", REFUSED},
          {"x", REFUSED}}},
        {"yes|no|\"quoted\"\\n",
         {{"yes", MAY_END},
          {"no", MAY_END},
          {"\"quoted\"\n", MAY_END},
          {"\"quoted\"", OPEN},
          {"not", REFUSED}}},
        {"(a|b)*(?!c)[c-e]?", {{"", MAY_END}, {"abad", MAY_END}, {"ac", REFUSED}}},
        {"漢+", {{"漢", MAY_END}, {"漢漢", MAY_END}, {"\xe6\xbc", OPEN}, {"", OPEN}}},
        {"^x$", {{"x", MAY_END}, {"xx", REFUSED}}},
        {"[^\\n]*\\n", {{"any \\ \" text\n", MAY_END}, {"{<think>}", REFUSED}, {"<think>", OPEN}}},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        err e;
        grammar *g = grammar_from_regex(vocab, all[i].pattern, &e);
        if (!g) fail_msg("%s: %s", all[i].pattern, e.msg);
        check_rows(g, all[i].pattern, all[i].rows, 8);
        walk(g, all[i].pattern);
        grammar_free(g);
    }
    static const char *const bad[][2] = {
        {"(a", "regex: a group has no ) (at byte 2 of the pattern)"},
        {"a)(b", "regex: a ) without its ( (at byte 1 of the pattern)"},
        {"(a)\\1", "regex: back-references are not enforced (at byte 5 of the pattern)"},
        {"a(?=b)", "regex: no text of reasonable length satisfies it"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err e = {0};
        assert_null(grammar_from_regex(vocab, bad[i][0], &e));
        assert_string_equal(e.msg, bad[i][1]);
    }
}

static void grammars(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        struct row rows[9];
    } all[] = {
        {"root ::= expr # the answer\nexpr ::= expr [+-] term | term\nterm ::= [0-9]+ | \"(\" expr "
         "\")\"\n",
         {{"1", MAY_END},
          {"1+(2-33)", MAY_END},
          {"1+", OPEN},
          {"((1", OPEN},
          {")", REFUSED},
          {"1+(2))", REFUSED}}},
        {"list = item (',' item)* ; item = '\\x41' | \"\\u{6f22}\" | . (* any *) ; other = list",
         {{"A,\xe6\xbc\xa2,z", MAY_END}, {"", OPEN}, {"A,", OPEN}, {"\n", REFUSED}}},
        {"root = 'x'{2,3} | nested\nnested = '[' nested? ']'",
         {{"xx", MAY_END}, {"xxx", MAY_END}, {"xxxx", REFUSED}, {"[[]]", MAY_END}, {"[[]", OPEN}}},
        {"root = <think> text <|start|>\ntext = [a-z ]*",
         {{"{<think>}some words{<|start|>}", MAY_END},
          {"<think>", REFUSED},
          {"{<think>}a<", REFUSED},
          {"{<think>}", OPEN}}},
        {"s = '' | 'a' s 'b' | s s",
         {{"", MAY_END}, {"aabb", MAY_END}, {"abab", MAY_END}, {"aab", OPEN}, {"b", REFUSED}}},
        {"root = a | b ; a = b 'x' | 'y' ; b = a 'z' | b 'w' | 'v'", // left recursion of two rules
         {{"v", MAY_END}, {"vx", MAY_END}, {"vwwx", MAY_END}, {"yzxz", MAY_END}, {"yx", REFUSED}}},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        err e;
        grammar *g = grammar_from_ebnf(vocab, all[i].text, &e);
        if (!g) fail_msg("%s: %s", all[i].text, e.msg);
        check_rows(g, all[i].text, all[i].rows, 9);
        walk(g, all[i].text);
        grammar_free(g);
    }
}

static void bad_grammars(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", "grammar: 1:1: there is no rule"},
        {"root = a", "grammar: 1:8: there is no rule a"},
        {"root = 'a'\nroot = 'b'", "grammar: 2:1: rule root is defined twice"},
        {"root = 'a' | x\n\nx = 'b' x", "grammar: 3:1: rule x never ends: no text completes it"},
        {"root = x x\nx = x", "grammar: 2:1: rule x never ends: no text completes it"},
        {"root 'a'", "grammar: 1:1: expected = or ::= behind the name of a rule"},
        {"root = 'a", "grammar: 1:8: a text without its closing '"},
        {"root = [a", "grammar: 1:8: a class without its ]"},
        {"root = []", "grammar: 1:8: a class without characters"},
        {"root = [z-a]", "grammar: 1:8: a range of a class has its ends in the wrong order (at "
                         "byte 4 of the pattern)"},
        {"root = ('a'", "grammar: 1:8: a ( without its )"},
        {"root = 'a')", "grammar: 1:11: a ) without its ("},
        {"root = 'a'{3,2}", "grammar: 1:11: {3,2}: the other way round"},
        {"root = 'a'{x}", "grammar: 1:11: expected {n}, {m,n} or {m,}"},
        {"root = 'a'{20000}", "grammar: 1:12: more than 10000 times"},
        {"root = '\\q'", "grammar: 1:9: expected one of \\n \\t \\r \\b \\f \\0 \\xHH \\uHHHH "
                         "\\u{H...}, or \\ in front of a mark"},
        {"root = <nothing>", "grammar: 1:8: `<nothing>` is no added token of the vocabulary"},
        {"root = <|end|>", "grammar: 1:8: this token ends the answer: it comes by itself"},
        {"root = *", "grammar: 1:8: expected a text, a class, a name or ("},
        {"(* open", "grammar: 1:1: a comment without its *)"},
        {"root = \xff", "grammar: 1:8: no valid UTF-8"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        err e = {0};
        assert_null(grammar_from_ebnf(vocab, rows[i][0], &e));
        assert_string_equal(e.msg, rows[i][1]);
    }
}

// Large ones end quickly, enforced or refused.
static void large_grammars(void **state)
{
    (void)state;
    buf words = buf_new(1 << 20), chain = buf_new(1 << 20), wide = buf_new(1 << 20);
    err e = {0};
    buf_str(&words, "root = ");
    for (int i = 0; i < 2000; i++) buf_printf(&words, "%s'word%d'", i ? " | " : "", i);
    grammar *g = grammar_from_ebnf(vocab, buf_text(&words), &e);
    if (!g) fail_msg("%s", e.msg);
    static const struct row rows[] = {
        {"word1", MAY_END}, {"word1999", MAY_END}, {"word2000", REFUSED}};
    check_rows(g, "words", rows, 3);
    grammar_free(g);
    buf_str(&chain, "root = r0");
    for (int i = 0; i < 200; i++) buf_printf(&chain, "; r%d = r%d 'x' | '%d'", i, i + 1, i);
    buf_str(&chain, "; r200 = 'end'");
    g = grammar_from_ebnf(vocab, buf_text(&chain), &e);
    if (!g) fail_msg("%s", e.msg);
    static const struct row chained[] = {
        {"3xxx", MAY_END}, {"3xx", OPEN}, {"3xxxx", REFUSED}, {"200", REFUSED}};
    check_rows(g, "chain", chained, 4);
    grammar_free(g);
    buf_str(&wide, "root = ");
    for (int i = 0; i < 400; i++) buf_printf(&wide, "r%d? ", i);
    for (int i = 0; i < 400; i++) buf_printf(&wide, "; r%d = 'a' r%d | 'b'", i, i);
    assert_null(grammar_from_ebnf(vocab, buf_text(&wide), &e));
    assert_string_equal(
        e.msg, "grammar: too large: more than 300 rules, or 5000 ways to go on, at one place");
    assert_null(
        grammar_from_ebnf(vocab, "r = (((('a' r | 'b'){1,100}){1,100}){1,100}){1,100}", &e));
    assert_string_equal(e.msg, "grammar: too large: more than 100000 places");
    buf_free(&words);
    buf_free(&chain);
    buf_free(&wide);
}

#define SCHEMA                                                                                     \
    "{\"type\": \"json_schema\", \"json_schema\": {\"type\": \"object\", \"properties\": {\"n\": " \
    "{\"type\": \"integer\"}}, \"required\": [\"n\"], \"additionalProperties\": false}}"

static grammar *tags_of(const char *text, err *e)
{
    json_error_t bad;
    json_t *spec = json_loads(text, 0, &bad);
    if (!spec) fail_msg("%s: %s", text, bad.text);
    struct grammar_options o = {.spacing = SPACING_COMPACT};
    grammar *g = grammar_from_tags(vocab, spec, &o, e);
    json_decref(spec);
    return g;
}

static void structural_tags(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        struct row rows[10];
    } all[] = {
        {"{\"type\": \"structural_tag\", \"format\": {\"type\": \"const_string\", \"value\": "
         "\"hi\"}}",
         {{"hi", MAY_END}, {"h", OPEN}, {"ho", REFUSED}}},
        {SCHEMA, {{"{\"n\":12}", MAY_END}, {"{\"n\":", OPEN}, {"{\"m", REFUSED}}},
        // A number in a sequence: what follows may be taken for more of it.
        {"{\"type\": \"sequence\", \"elements\": [{\"type\": \"json_schema\", \"json_schema\": "
         "{\"type\": \"integer\"}}, "
         "{\"type\": \"regex\", \"pattern\": \"0x[a-f]\"}]}",
         {{"10xa", MAY_END}, {"100xf", MAY_END}, {"1", OPEN}, {"0xa", REFUSED}, {"00xa", MAY_END}}},
        {"{\"type\": \"sequence\", \"elements\": [{\"type\": \"json_schema\", \"json_schema\": "
         "{\"type\": \"number\"}}, "
         "{\"type\": \"token\", \"token\": \"<|start|>\"}, " SCHEMA "]}",
         {{"1.5{<|start|>}{\"n\":1}", MAY_END},
          {"1{<|start|>}", OPEN},
          {"{<|start|>}", REFUSED},
          {"1<|start|>", REFUSED}}},
        {"{\"type\": \"or\", \"elements\": [" SCHEMA
         ", {\"type\": \"regex\", \"pattern\": \"\\\\{\\\"n\\\":x\\\\}|none\"}, "
         "{\"type\": \"json_schema\", \"json_schema\": {\"enum\": [\"a\", null]}}]}",
         {{"none", MAY_END},
          {"null", MAY_END},
          {"{\"n\":x}", MAY_END},
          {"{\"n\":7}", MAY_END},
          {"\"a\"", MAY_END},
          {"{\"n\":", OPEN},
          {"nil", REFUSED}}},
        {"{\"type\": \"repeat\", \"min\": 1, \"max\": 2, \"content\": {\"type\": \"optional\", "
         "\"content\": {\"type\": "
         "\"grammar\", \"grammar\": \"r = 'a' r 'b' | 'x'\"}}}",
         {{"", MAY_END}, {"x", MAY_END}, {"xaxb", MAY_END}, {"xxx", REFUSED}, {"ax", OPEN}}},
        // A special token as a trigger, and as an end.
        {"{\"type\": \"triggered_tags\", \"triggers\": [\"<|start|>\"], \"tags\": [{\"begin\": "
         "\"<|start|>\", \"content\": {\"type\": \"regex\", \"pattern\": \"[a-z]*\"}, \"end\": "
         "\"<think>\"}]}",
         {{"x<|start|>", MAY_END},
          {"x{<|start|>}ab{<think>}y", MAY_END},
          {"{<|start|>}ab<think>", MAY_END},
          {"{<|start|>}1", REFUSED},
          {"{<|start|>}", OPEN}}},
        // Numbers behind numbers.
        {"{\"type\": \"star\", \"content\": {\"type\": \"sequence\", \"elements\": [{\"type\": "
         "\"json_schema\", \"json_schema\": {\"enum\": [1, 12]}}, {\"type\": \"optional\", "
         "\"content\": {\"type\": \"const_string\", \"value\": \"2\"}}]}}",
         {{"", MAY_END},
          {"1", MAY_END},
          {"12", MAY_END},
          {"122", MAY_END},
          {"1212", MAY_END},
          {"13", REFUSED},
          {"2", REFUSED}}},
        {"{\"type\": \"any_text\", \"excludes\": [\"ab\", \"abc\", \"zz\"]}",
         {{"a b", MAY_END},
          {"ab", REFUSED},
          {"aab", REFUSED},
          {"azz", REFUSED},
          {"\xe6\xbc\xa2\"\\\n", MAY_END},
          {"\xe6\xbc", OPEN},
          {"{<think>}", REFUSED}}},
        // Triggers by bytes, one of them at two tags.
        {"{\"type\": \"triggered_tags\", \"triggers\": [\"<f=\", \"#\"], \"tags\": [{\"begin\": "
         "\"<f=one>\", \"content\": " SCHEMA
         ", \"end\": \"</f>\"}, {\"begin\": \"<f=two>\", \"content\": {\"type\": \"regex\", "
         "\"pattern\": \"[a-z]+\"}, "
         "\"end\": \"</f>\"}, {\"begin\": \"#\", \"content\": {\"type\": \"const_string\", "
         "\"value\": \"\"}, \"end\": \"!\"}]}",
         {{"", MAY_END},
          {"text < f= <f", MAY_END},
          {"x<f=one>{\"n\":1}</f> then <f=two>abc</f>#!", MAY_END},
          {"<f=", OPEN},
          {"<f=three", REFUSED},
          {"<<f=two>a</f>", MAY_END},
          {"<f=two>a</f", OPEN},
          {"#", OPEN},
          {"#!#!", MAY_END},
          {"#x", REFUSED}}},
        // A trigger that is a token; the same text by bytes is text.
        {"{\"type\": \"triggered_tags\", \"triggers\": [\"<tool_call>\"], \"at_least_one\": true, "
         "\"stop_after_first\": true, "
         "\"tags\": [{\"begin\": \"<tool_call>\\n\", \"content\": " SCHEMA
         ", \"end\": \"\\n</tool_call>\"}]}",
         {{"", OPEN},
          {"<tool_call>", OPEN},
          {"hi{<tool_call>}\n{\"n\":1}\n{</tool_call>}", MAY_END},
          {"{<tool_call>}\n{\"n\":1}\n</tool_call>", MAY_END},
          {"{<tool_call>}\n{\"n\":1}\n{</tool_call>}x", REFUSED},
          {"{<tool_call>}x", REFUSED}}},
        {"{\"type\": \"tags_with_separator\", \"separator\": \";\", \"at_least_one\": true, "
         "\"tags\": [{\"begin\": \"a\", "
         "\"content\": {\"type\": \"star\", \"content\": {\"type\": \"const_string\", \"value\": "
         "\"-\"}}, \"end\": \".\"}]}",
         {{"a.", MAY_END}, {"a--.;a.", MAY_END}, {"", OPEN}, {"a.;", OPEN}, {"a.a", REFUSED}}},
        // Reasoning first: whatever is in it opens nothing.
        {"{\"type\": \"sequence\", \"elements\": [{\"type\": \"reasoning\", \"begin\": "
         "\"<think>\", \"end\": \"</think>\"}, "
         "{\"type\": \"regex\", \"pattern\": \"\\\\n{0,2}\"}, " SCHEMA "]}",
         {{"{\"n\":1}", MAY_END},
          {"{<think>}a {\"n\": x {<tool_call>} </think> \"{</think>}\n\n{\"n\":2}", MAY_END},
          {"{<think>}", OPEN},
          {"{<think>}{\"n\":1}", OPEN},
          {"{</think>}", REFUSED},
          {"{<think>}{</think>}x", REFUSED},
          {"<think>", REFUSED},
          {"{<think>}{<|start|>}", REFUSED},
          {"{<think>}\xe6\xbc{</think>}", REFUSED}}},
        {"{\"type\": \"sequence\", \"elements\": [{\"type\": \"reasoning\", \"begin\": \"\", "
         "\"end\": \"</think>\"}, "
         "{\"type\": \"any_text\"}]}",
         {{"", OPEN}, {"hm{</think>}", MAY_END}, {"hm{</think>}{</think>}", REFUSED}}},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        err e;
        grammar *g = tags_of(all[i].text, &e);
        if (!g) fail_msg("%s: %s", all[i].text, e.msg);
        check_rows(g, all[i].text, all[i].rows, 10);
        walk(g, all[i].text);
        grammar_free(g);
    }
}

static void bad_tags(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"[]", "tags: #: expected an object with a `type`"},
        {"{}", "tags: #: there is no `type`, a text"},
        {"{\"type\": \"json\"}", "tags: #: there is no type `json`"},
        {"{\"type\": \"const_string\", \"text\": \"a\"}",
         "tags: #: const_string has no field `text`"},
        {"{\"type\": \"const_string\"}", "tags: #: there is no `value`, a text"},
        {"{\"type\": \"sequence\", \"elements\": [{\"type\": \"regex\", \"pattern\": \"(\"}]}",
         "tags: #/elements/0/pattern: a group has no ) (at byte 1 of the pattern)"},
        {"{\"type\": \"or\", \"elements\": []}", "tags: #: `elements`: expected a list of formats"},
        {"{\"type\": \"optional\", \"content\": {\"type\": \"json_schema\", \"json_schema\": "
         "{\"type\": \"strin\"}}}",
         "tags: #/content/json_schema: #/type: expected null, boolean, integer, number, string, "
         "array or object"},
        {"{\"type\": \"token\", \"token\": \"<none>\"}",
         "tags: #: `<none>` is no added token of the vocabulary"},
        {"{\"type\": \"token\", \"token\": \"<|end|>\"}",
         "tags: #: `<|end|>` ends the answer: it comes by itself"},
        {"{\"type\": \"repeat\", \"min\": 3, \"max\": 2, \"content\": {\"type\": \"any_text\"}}",
         "tags: #: expected whole numbers, 0 <= `min` <= `max` <= 10000"},
        {"{\"type\": \"grammar\", \"grammar\": \"a = b\"}",
         "tags: #/grammar: 1:5: there is no rule b"},
        {"{\"type\": \"triggered_tags\", \"triggers\": [\"<\"], \"tags\": [{\"begin\": \"[\", "
         "\"content\": {\"type\": \"any_text\"}, \"end\": \"]\"}]}",
         "tags: #: no tag begins with the trigger `<`"},
        {"{\"type\": \"triggered_tags\", \"triggers\": [\"\"], \"tags\": [{}]}",
         "tags: #: `triggers`: expected texts that are not empty"},
        {"{\"type\": \"reasoning\", \"begin\": \"<hm>\", \"end\": \"</think>\"}",
         "tags: #/begin: `<hm>` is no added token of the vocabulary"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        err e = {0};
        assert_null(tags_of(rows[i][0], &e));
        assert_string_equal(e.msg, rows[i][1]);
    }
}

static void reasoning_before_calls(void **state)
{
    (void)state;
    const struct grammar_tool tool = {"read", NULL};
    struct grammar_tools_options o = {.tools = &tool,
                                      .n_tool = 1,
                                      .choice = CHOICE_REQUIRED,
                                      .begin = "<tool_call>\n",
                                      .before_name = "{\"name\": \"",
                                      .after_name = "\", \"arguments\": ",
                                      .after_args = "}",
                                      .end = "\n</tool_call>",
                                      .think_begin = "<think>",
                                      .think_end = "</think>",
                                      .json = {.spacing = SPACING_PYTHON}};
    static const struct row rows[] = {
        {"{<think>}I might {<tool_call>} now", OPEN},
        {"{<think>}x{</think>}\n{<tool_call>}\n{\"name\": \"read\", \"arguments\": "
         "{}}\n{</tool_call>}",
         MAY_END},
        {"{<tool_call>}\n{\"name\": \"read\", \"arguments\": {}}\n{</tool_call>}", MAY_END},
        {"{<think>}{<tool_call>}\n{\"name\": \"read\", \"arguments\": {}}\n{</tool_call>}", OPEN},
        {"words{<think>}", REFUSED},
    };
    err e;
    grammar *g = grammar_from_tools(vocab, &o, &e);
    assert_non_null(g);
    check_rows(g, "reasoning", rows, sizeof rows / sizeof *rows);
    walk(g, "reasoning");
    grammar_state *s = grammar_start(g);
    assert_true(feed(s, "{<think>}a{<tool_call>}"));
    assert_false(grammar_in_call(s));
    assert_true(feed(s, "{</think>}"));
    assert_false(grammar_in_call(s));
    assert_true(feed(s, "{<tool_call>}"));
    assert_true(grammar_in_call(s));
    grammar_state_free(s);
    grammar_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_grammars_are_exact),
        cmocka_unit_test(regular_expressions),
        cmocka_unit_test(grammars),
        cmocka_unit_test(bad_grammars),
        cmocka_unit_test(structural_tags),
        cmocka_unit_test(bad_tags),
        cmocka_unit_test(reasoning_before_calls),
        cmocka_unit_test(large_grammars),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
