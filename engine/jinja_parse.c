// Tokens to tree, by recursive descent in the order of Jinja's own grammar. Each nested construct
// passes through jenter, and each node knows how many levels lie below it, so that neither this
// parser nor the evaluator can be driven deeper than JINJA_DEPTH_MAX.
#include "engine/jinja_private.h"

#include <string.h>

struct parser {
    jrun *r;
    const struct jtoken *t;
    int loops; // {% break %} needs one around it
};

static struct jnode *parse_expression(struct parser *p);
static struct jnode *parse_condition(struct parser *p, bool with_cond);
static struct jnode *parse_primary(struct parser *p);
static struct jnodes parse_body(struct parser *p, const char *const *ends);

// ---- tokens ----

static void locate(struct parser *p)
{
    p->r->line = p->t->line;
    p->r->col = p->t->col;
}

static bool is_op(const struct parser *p, const char *op)
{
    return p->t->kind == T_OP && p->t->n == strlen(op) && memcmp(p->t->p, op, p->t->n) == 0;
}

static bool token_is(const struct jtoken *t, enum jtoken_kind kind, const char *text)
{
    return t->kind == kind && t->n == strlen(text) && memcmp(t->p, text, t->n) == 0;
}

static bool is_word(const struct parser *p, const char *word)
{
    return token_is(p->t, T_NAME, word);
}

static bool take_op(struct parser *p, const char *op)
{
    if (!is_op(p, op)) return false;
    p->t++;
    return true;
}

static bool take_word(struct parser *p, const char *word)
{
    if (!is_word(p, word)) return false;
    p->t++;
    return true;
}

_Noreturn static void unexpected(struct parser *p, const char *expected)
{
    locate(p);
    if (p->t->kind == T_EOF) jfail(p->r, "the template ends where %s is expected", expected);
    int n = p->t->n > 30 ? 30 : (int)p->t->n;
    jfail(p->r, "found '%.*s' where %s is expected", n, p->t->p, expected);
}

static void expect_op(struct parser *p, const char *op)
{
    if (!take_op(p, op)) {
        char text[16] = {'\''};
        strncat(text, op, 8);
        strcat(text, "'");
        unexpected(p, text);
    }
}

static void expect_end(struct parser *p, enum jtoken_kind kind)
{
    if (p->t->kind != kind) unexpected(p, kind == T_TAG_END ? "%}" : "}}");
    p->t++;
}

static const jstr *name_here(struct parser *p, const char *expected)
{
    if (p->t->kind != T_NAME) unexpected(p, expected);
    const jstr *s = jcopy(p->r, p->t->p, p->t->n, 1).s;
    p->t++;
    return s;
}

// ---- nodes ----

static struct jnode *node_at(struct parser *p, enum jnode_kind kind, const struct jtoken *t)
{
    struct jnode *n = jalloc(p->r, 1, sizeof *n);
    n->kind = kind;
    n->line = t->line;
    n->col = t->col;
    return n;
}

static struct jnode *node_new(struct parser *p, enum jnode_kind kind)
{
    return node_at(p, kind, p->t);
}

static void below(struct parser *p, struct jnode *n, const struct jnode *child)
{
    if (!child) return;
    if (child->depth + 1 > n->depth) n->depth = child->depth + 1;
    p->r->line = n->line;
    p->r->col = n->col;
    if (n->depth > JINJA_DEPTH_MAX) jfail(p->r, "nested deeper than %d levels", JINJA_DEPTH_MAX);
}

static void add(struct parser *p, struct jnodes *list, struct jnode *n)
{
    if (list->n == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 4;
        struct jnode **v = jalloc(p->r, cap, sizeof(struct jnode *));
        if (list->n) memcpy(v, list->v, list->n * sizeof(struct jnode *));
        list->v = v;
        list->cap = cap;
    }
    list->v[list->n++] = n;
}

static void below_all(struct parser *p, struct jnode *n, const struct jnodes *list)
{
    for (size_t i = 0; i < list->n; i++) below(p, n, list->v[i]);
}

static struct jnode *node_seal(struct parser *p, struct jnode *n)
{
    below(p, n, n->a);
    below(p, n, n->b);
    below(p, n, n->c);
    below_all(p, n, &n->kids);
    below_all(p, n, &n->other);
    if (n->args) {
        below_all(p, n, &n->args->args);
        below_all(p, n, &n->args->kw);
        below(p, n, n->args->star);
        below(p, n, n->args->dstar);
    }
    return n;
}

static struct jnode *constant(struct parser *p, jval v, const struct jtoken *t)
{
    struct jnode *n = node_at(p, N_CONST, t);
    n->value = v;
    return n;
}

// ---- expressions, tightest last ----

static bool tuple_ends(const struct parser *p, const char *end_word)
{
    return p->t->kind == T_PRINT_END || p->t->kind == T_TAG_END || p->t->kind == T_EOF ||
           is_op(p, ")") || (end_word && is_word(p, end_word));
}

// One expression, or several with commas as a tuple.
static struct jnode *parse_tuple(struct parser *p, bool with_cond, const char *end_word,
                                 bool parentheses)
{
    struct jnode *tuple = node_new(p, N_TUPLE);
    bool comma = false;
    while (!tuple_ends(p, end_word)) {
        add(p, &tuple->kids, parse_condition(p, with_cond));
        if (!take_op(p, ",")) break;
        comma = true;
    }
    if (!comma && tuple->kids.n == 1) return tuple->kids.v[0];
    if (tuple->kids.n == 0 && !parentheses) unexpected(p, "an expression");
    return node_seal(p, tuple);
}

static void add_keyword(struct parser *p, struct jcall *c, const jstr *name, struct jnode *value)
{
    const jstr **names = jalloc(p->r, c->kw.n + 1, sizeof(const jstr *));
    if (c->kw.n) memcpy(names, c->kwname, c->kw.n * sizeof(const jstr *));
    names[c->kw.n] = name;
    c->kwname = names;
    add(p, &c->kw, value);
}

static struct jcall *parse_arguments(struct parser *p)
{
    struct jcall *c = jalloc(p->r, 1, sizeof *c);
    expect_op(p, "(");
    while (!is_op(p, ")")) {
        if (is_op(p, "**") && !c->dstar) {
            p->t++;
            c->dstar = parse_expression(p);
        } else if (is_op(p, "*") && !c->star && !c->dstar) {
            p->t++;
            c->star = parse_expression(p);
        } else if (p->t->kind == T_NAME && token_is(p->t + 1, T_OP, "=") && !c->dstar) {
            const jstr *name = name_here(p, "a name");
            p->t++;
            if (c->kw.n >= 64) unexpected(p, "an end of the arguments (64 names at most)");
            add_keyword(p, c, name, parse_expression(p));
        } else if (!c->kw.n && !c->star && !c->dstar) {
            add(p, &c->args, parse_expression(p));
        } else {
            unexpected(p, "an argument by name");
        }
        if (!take_op(p, ",")) break;
    }
    expect_op(p, ")");
    return c;
}

static const jstr *parse_dotted(struct parser *p, const char *what)
{
    const jstr *name = name_here(p, what);
    while (is_op(p, ".")) {
        p->t++;
        struct jbuild b = {.r = p->r};
        jadd(&b, name);
        jadd_bytes(&b, ".", 1, 1);
        jadd(&b, name_here(p, what));
        name = jdone(&b).s;
    }
    return name;
}

static struct jnode *parse_call(struct parser *p, struct jnode *f)
{
    struct jnode *n = node_new(p, N_CALL);
    n->a = f;
    n->args = parse_arguments(p);
    return node_seal(p, n);
}

static struct jnode *parse_filter(struct parser *p, struct jnode *value)
{
    struct jnode *n = node_new(p, N_FILTER);
    n->a = value;
    n->name = parse_dotted(p, "the name of a filter");
    if (is_op(p, "(")) n->args = parse_arguments(p);
    return node_seal(p, n);
}

static struct jnode *parse_postfix(struct parser *p, struct jnode *n);

static struct jnode *parse_test(struct parser *p, struct jnode *value)
{
    const struct jtoken *at = p->t;
    p->t++; // is
    bool negated = take_word(p, "not");
    struct jnode *n = node_at(p, N_TEST, at);
    n->a = value;
    n->name = parse_dotted(p, "the name of a test");
    bool literal = p->t->kind == T_STR || p->t->kind == T_NUM || is_op(p, "[") || is_op(p, "{");
    bool name =
        p->t->kind == T_NAME && !is_word(p, "else") && !is_word(p, "or") && !is_word(p, "and");
    if (is_op(p, "(")) {
        n->args = parse_arguments(p);
    } else if (literal || name) {
        if (is_word(p, "is")) unexpected(p, "anything but a second test");
        n->args = jalloc(p->r, 1, sizeof *n->args);
        add(p, &n->args->args, parse_postfix(p, parse_primary(p)));
    }
    node_seal(p, n);
    if (!negated) return n;
    struct jnode *inverse = node_at(p, N_UNARY, at);
    inverse->op = OP_NOT;
    inverse->a = n;
    return node_seal(p, inverse);
}

// What stands between [ and ], or between its commas: an expression or a slice.
static struct jnode *parse_subscribed(struct parser *p)
{
    struct jnode *n = node_new(p, N_SLICE), **part[3] = {&n->a, &n->b, &n->c};
    for (int i = 0;; i++) {
        if (!is_op(p, ":") && !is_op(p, "]") && !is_op(p, ",")) *part[i] = parse_expression(p);
        if (i == 0 && !is_op(p, ":")) {
            if (!n->a) unexpected(p, "an expression");
            return n->a;
        }
        if (i == 2 || !take_op(p, ":")) return node_seal(p, n);
    }
}

static struct jnode *parse_subscript(struct parser *p, struct jnode *value)
{
    struct jnode *n = node_new(p, N_GETITEM);
    n->a = value;
    if (take_op(p, ".")) {
        if (p->t->kind == T_NUM) {
            n->b = constant(p, p->t->value, p->t);
            p->t++;
        } else {
            n->kind = N_GETATTR;
            n->name = name_here(p, "a name or a number");
        }
        return node_seal(p, n);
    }
    expect_op(p, "[");
    struct jnode *tuple = node_new(p, N_TUPLE);
    while (!is_op(p, "]")) {
        if (tuple->kids.n) expect_op(p, ",");
        add(p, &tuple->kids, parse_subscribed(p));
    }
    expect_op(p, "]");
    for (size_t i = 0; tuple->kids.n > 1 && i < tuple->kids.n; i++)
        if (tuple->kids.v[i]->kind == N_SLICE) unexpected(p, "one slice");
    n->b = tuple->kids.n == 1 ? tuple->kids.v[0] : node_seal(p, tuple);
    return node_seal(p, n);
}

static struct jnode *parse_postfix(struct parser *p, struct jnode *n)
{
    for (;;)
        if (is_op(p, ".") || is_op(p, "["))
            n = parse_subscript(p, n);
        else if (is_op(p, "("))
            n = parse_call(p, n);
        else
            return n;
}

static struct jnode *parse_filters_and_tests(struct parser *p, struct jnode *n)
{
    for (;;)
        if (take_op(p, "|"))
            n = parse_filter(p, n);
        else if (is_word(p, "is"))
            n = parse_test(p, n);
        else if (is_op(p, "("))
            n = parse_call(p, n);
        else
            return n;
}

static struct jnode *parse_list(struct parser *p)
{
    struct jnode *n = node_new(p, N_LIST);
    expect_op(p, "[");
    while (!is_op(p, "]")) {
        add(p, &n->kids, parse_expression(p));
        if (!take_op(p, ",")) break;
    }
    expect_op(p, "]");
    return node_seal(p, n);
}

static struct jnode *parse_dict(struct parser *p)
{
    struct jnode *n = node_new(p, N_DICT);
    expect_op(p, "{");
    while (!is_op(p, "}")) {
        add(p, &n->kids, parse_expression(p));
        expect_op(p, ":");
        add(p, &n->kids, parse_expression(p));
        if (!take_op(p, ",")) break;
    }
    expect_op(p, "}");
    return node_seal(p, n);
}

static struct jnode *parse_name(struct parser *p)
{
    static const struct {
        const char *word;
        enum jkind kind;
        bool b;
    } constants[] = {{"true", J_BOOL, true},   {"True", J_BOOL, true}, {"false", J_BOOL, false},
                     {"False", J_BOOL, false}, {"none", J_NONE, 0},    {"None", J_NONE, 0}};
    for (size_t i = 0; i < sizeof constants / sizeof constants[0]; i++)
        if (is_word(p, constants[i].word))
            return constant(p, constants[i].kind == J_NONE ? jnone() : jbool(constants[i].b),
                            p->t++);
    struct jnode *n = node_new(p, N_NAME);
    n->name = name_here(p, "a name");
    return n;
}

static struct jnode *parse_strings(struct parser *p)
{
    const struct jtoken *at = p->t;
    struct jbuild b = {.r = p->r};
    for (; p->t->kind == T_STR; p->t++) jadd(&b, p->t->value.s);
    return constant(p, jdone(&b), at);
}

static struct jnode *parse_primary(struct parser *p)
{
    if (p->t->kind == T_NAME) return parse_name(p);
    if (p->t->kind == T_STR) return parse_strings(p);
    if (p->t->kind == T_NUM) {
        struct jnode *n = constant(p, p->t->value, p->t);
        p->t++;
        return n;
    }
    if (is_op(p, "[")) return parse_list(p);
    if (is_op(p, "{")) return parse_dict(p);
    if (!take_op(p, "(")) unexpected(p, "an expression");
    struct jnode *n = parse_tuple(p, true, NULL, true);
    expect_op(p, ")");
    return n;
}

static struct jnode *parse_unary(struct parser *p, bool with_filter)
{
    locate(p);
    jenter(p->r);
    struct jnode *n;
    if (is_op(p, "-") || is_op(p, "+")) {
        n = node_new(p, N_UNARY);
        n->op = is_op(p, "-") ? OP_NEG : OP_POS;
        p->t++;
        n->a = parse_unary(p, false);
        node_seal(p, n);
    } else {
        n = parse_primary(p);
    }
    n = parse_postfix(p, n);
    if (with_filter) n = parse_filters_and_tests(p, n);
    jleave(p->r);
    return n;
}

struct rank {
    const char *text;
    enum jop op;
};

// A run of left-associative operators of one rank over operands of the next.
static struct jnode *parse_left(struct parser *p, const struct rank *ops,
                                struct jnode *(*next)(struct parser *))
{
    struct jnode *left = next(p);
    for (;;) {
        const struct rank *o = ops;
        while (o->text && !is_op(p, o->text)) o++;
        if (!o->text) return left;
        struct jnode *n = node_new(p, N_BINARY);
        p->t++;
        n->op = o->op;
        n->a = left;
        n->b = next(p);
        left = node_seal(p, n);
    }
}

static struct jnode *parse_filtered(struct parser *p)
{
    return parse_unary(p, true);
}

static struct jnode *parse_power(struct parser *p)
{
    static const struct rank ops[] = {{"**", OP_POW}, {NULL, 0}};
    return parse_left(p, ops, parse_filtered);
}

static struct jnode *parse_product(struct parser *p)
{
    static const struct rank ops[] = {
        {"*", OP_MUL}, {"/", OP_DIV}, {"//", OP_FLOORDIV}, {"%", OP_MOD}, {NULL, 0}};
    return parse_left(p, ops, parse_power);
}

static struct jnode *parse_concat(struct parser *p)
{
    struct jnode *first = parse_product(p);
    if (!is_op(p, "~")) return first;
    struct jnode *n = node_new(p, N_CONCAT);
    add(p, &n->kids, first);
    while (take_op(p, "~")) add(p, &n->kids, parse_product(p));
    return node_seal(p, n);
}

static struct jnode *parse_sum(struct parser *p)
{
    static const struct rank ops[] = {{"+", OP_ADD}, {"-", OP_SUB}, {NULL, 0}};
    return parse_left(p, ops, parse_concat);
}

static bool take_comparison(struct parser *p, enum jop *op)
{
    static const struct rank ops[] = {{"==", OP_EQ}, {"!=", OP_NE}, {"<=", OP_LE},
                                      {"<", OP_LT},  {">=", OP_GE}, {">", OP_GT}};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        if (take_op(p, ops[i].text)) {
            *op = ops[i].op;
            return true;
        }
    if (is_word(p, "not") && token_is(p->t + 1, T_NAME, "in")) {
        p->t += 2;
        *op = OP_NOT_IN;
        return true;
    }
    *op = OP_IN;
    return take_word(p, "in");
}

static struct jnode *parse_comparison(struct parser *p)
{
    const struct jtoken *at = p->t;
    struct jnode *first = parse_sum(p), *n = NULL;
    enum jop op;
    while (take_comparison(p, &op)) {
        if (!n) {
            n = node_at(p, N_COMPARE, at);
            n->a = first;
        }
        struct jnode *right = node_new(p, N_BINARY); // carries its operator; a is the operand
        right->op = op;
        right->a = parse_sum(p);
        add(p, &n->kids, node_seal(p, right));
    }
    return n ? node_seal(p, n) : first;
}

static struct jnode *parse_not(struct parser *p)
{
    if (!is_word(p, "not")) return parse_comparison(p);
    struct jnode *n = node_new(p, N_UNARY);
    p->t++;
    n->op = OP_NOT;
    locate(p);
    jenter(p->r);
    n->a = parse_not(p);
    jleave(p->r);
    return node_seal(p, n);
}

static struct jnode *parse_logic(struct parser *p, const char *word, enum jnode_kind kind,
                                 struct jnode *(*next)(struct parser *))
{
    struct jnode *left = next(p);
    while (is_word(p, word)) {
        struct jnode *n = node_new(p, kind);
        p->t++;
        n->a = left;
        n->b = next(p);
        left = node_seal(p, n);
    }
    return left;
}

static struct jnode *parse_and(struct parser *p)
{
    return parse_logic(p, "and", N_AND, parse_not);
}

static struct jnode *parse_or(struct parser *p)
{
    return parse_logic(p, "or", N_OR, parse_and);
}

static struct jnode *parse_condition(struct parser *p, bool with_cond)
{
    locate(p);
    jenter(p->r);
    struct jnode *left = parse_or(p);
    while (with_cond && is_word(p, "if")) {
        struct jnode *n = node_new(p, N_COND);
        p->t++;
        n->a = left;
        n->b = parse_or(p);
        if (take_word(p, "else")) n->c = parse_condition(p, true);
        left = node_seal(p, n);
    }
    jleave(p->r);
    return left;
}

static struct jnode *parse_expression(struct parser *p)
{
    return parse_condition(p, true);
}

// ---- statements ----

// One name, or names with commas (parentheses allowed), before `end_word` or "=".
static struct jnode *parse_target(struct parser *p, const char *end_word)
{
    struct jnode *tuple = node_new(p, N_TUPLE);
    locate(p);
    jenter(p->r);
    bool comma = false;
    while (!tuple_ends(p, end_word) && !is_op(p, "=")) {
        if (take_op(p, "(")) {
            add(p, &tuple->kids, parse_target(p, NULL));
            expect_op(p, ")");
        } else {
            struct jnode *n = node_new(p, N_NAME);
            n->name = name_here(p, "a name to assign to");
            if (!end_word && take_op(p, ".")) {
                n->kind = N_NSREF;
                n->attr = name_here(p, "an attribute");
            }
            add(p, &tuple->kids, n);
        }
        if (!take_op(p, ",")) break;
        comma = true;
    }
    jleave(p->r);
    if (tuple->kids.n == 0) unexpected(p, "a name to assign to");
    return comma ? node_seal(p, tuple) : tuple->kids.v[0];
}

// After the body of a block tag: its end word and %}.
static void expect_tag(struct parser *p, const char *word)
{
    p->t++;
    if (!take_word(p, word)) unexpected(p, word);
}

static struct jnodes parse_block(struct parser *p, const char *end)
{
    expect_end(p, T_TAG_END);
    struct jnodes body = parse_body(p, (const char *const[]){end, NULL});
    expect_tag(p, end);
    return body;
}

static struct jnode *parse_for(struct parser *p, struct jnode *n)
{
    n->kind = S_FOR;
    n->a = parse_target(p, "in");
    if (!take_word(p, "in")) unexpected(p, "in");
    n->b = parse_tuple(p, false, "recursive", false);
    if (take_word(p, "if")) n->c = parse_expression(p);
    if (is_word(p, "recursive")) unexpected(p, "a loop that is not recursive");
    expect_end(p, T_TAG_END);
    p->loops++;
    n->kids = parse_body(p, (const char *const[]){"endfor", "else", NULL});
    p->loops--;
    p->t++;
    if (take_word(p, "else")) {
        n->other = parse_block(p, "endfor");
    } else if (!take_word(p, "endfor")) {
        unexpected(p, "endfor");
    }
    return n;
}

static struct jnode *parse_if(struct parser *p, struct jnode *n)
{
    // An elif is an if in the else part of the one before; all share one endif.
    struct jnode *first = n;
    struct jnode *chain[JINJA_DEPTH_MAX];
    size_t n_chain = 0;
    for (;;) {
        n->kind = S_IF;
        n->a = parse_tuple(p, false, NULL, false);
        expect_end(p, T_TAG_END);
        n->kids = parse_body(p, (const char *const[]){"elif", "else", "endif", NULL});
        p->t++;
        if (n_chain == JINJA_DEPTH_MAX) unexpected(p, "an end of the elif tags");
        chain[n_chain++] = n;
        if (!is_word(p, "elif")) break;
        struct jnode *next = node_new(p, S_IF);
        p->t++;
        add(p, &n->other, next);
        n = next;
    }
    if (take_word(p, "else"))
        n->other = parse_block(p, "endif");
    else if (!take_word(p, "endif"))
        unexpected(p, "endif");
    while (n_chain > 1) node_seal(p, chain[--n_chain]);
    return first;
}

static struct jnode *parse_set(struct parser *p, struct jnode *n)
{
    n->kind = S_SET;
    n->a = parse_target(p, NULL);
    if (take_op(p, "=")) {
        n->b = parse_tuple(p, true, NULL, false);
        return n;
    }
    n->kind = S_SETBLOCK;
    while (take_op(p, "|")) n->b = parse_filter(p, n->b);
    n->kids = parse_block(p, "endset");
    return n;
}

static struct jcall *parse_parameters(struct parser *p)
{
    struct jcall *c = jalloc(p->r, 1, sizeof *c);
    expect_op(p, "(");
    while (!is_op(p, ")")) {
        struct jnode *n = node_new(p, N_NAME);
        n->name = name_here(p, "the name of a parameter");
        add(p, &c->args, n);
        if (take_op(p, "="))
            n->b = parse_expression(p);
        else if (c->args.n > 1 && c->args.v[c->args.n - 2]->b)
            unexpected(p, "a default, as the parameter before has one");
        node_seal(p, n);
        if (c->args.n > 64) unexpected(p, "an end of the parameters (64 at most)");
        if (!take_op(p, ",")) break;
    }
    expect_op(p, ")");
    return c;
}

static struct jnode *parse_macro(struct parser *p, struct jnode *n)
{
    int loops = p->loops;
    p->loops = 0;
    n->kind = S_MACRO;
    n->name = name_here(p, "the name of the macro");
    n->args = parse_parameters(p);
    n->kids = parse_block(p, "endmacro");
    p->loops = loops;
    return n;
}

static struct jnode *parse_caller(struct parser *p, struct jnode *n)
{
    int loops = p->loops;
    p->loops = 0;
    n->kind = S_CALLER;
    struct jnode *body = node_new(p, S_MACRO);
    body->name = jcopy(p->r, "caller", 6, 1).s;
    body->args = is_op(p, "(") ? parse_parameters(p) : jalloc(p->r, 1, sizeof *body->args);
    n->a = parse_unary(p, true);
    if (n->a->kind != N_CALL) unexpected(p, "a call");
    body->kids = parse_block(p, "endcall");
    n->b = node_seal(p, body);
    p->loops = loops;
    return n;
}

static struct jnode *parse_filter_block(struct parser *p, struct jnode *n)
{
    n->kind = S_FILTER;
    do n->a = parse_filter(p, n->a);
    while (take_op(p, "|"));
    n->kids = parse_block(p, "endfilter");
    return n;
}

static struct jnode *parse_with(struct parser *p, struct jnode *n)
{
    n->kind = S_WITH;
    n->args = jalloc(p->r, 1, sizeof *n->args);
    while (p->t->kind != T_TAG_END) {
        if (n->args->kw.n) expect_op(p, ",");
        const jstr *name = name_here(p, "a name");
        expect_op(p, "=");
        if (n->args->kw.n >= 64) unexpected(p, "an end of the names (64 at most)");
        add_keyword(p, n->args, name, parse_expression(p));
    }
    n->kids = parse_block(p, "endwith");
    return n;
}

// {% generation %} marks what a model wrote, for training; it changes no byte.
static struct jnode *parse_generation(struct parser *p, struct jnode *n)
{
    n->kind = S_SCOPE;
    n->kids = parse_block(p, "endgeneration");
    return n;
}

static struct jnode *parse_break(struct parser *p, struct jnode *n)
{
    if (p->loops == 0) unexpected(p, "a loop around break");
    n->kind = S_BREAK;
    return n;
}

static struct jnode *parse_continue(struct parser *p, struct jnode *n)
{
    if (p->loops == 0) unexpected(p, "a loop around continue");
    n->kind = S_CONTINUE;
    return n;
}

static struct jnode *parse_print(struct parser *p, struct jnode *n)
{
    n->kind = S_PRINT;
    n->a = parse_tuple(p, true, NULL, false);
    return n;
}

static struct jnode *parse_statement(struct parser *p)
{
    static const struct {
        const char *word;
        struct jnode *(*parse)(struct parser *, struct jnode *);
    } statements[] = {{"for", parse_for},     {"if", parse_if},
                      {"set", parse_set},     {"macro", parse_macro},
                      {"call", parse_caller}, {"filter", parse_filter_block},
                      {"with", parse_with},   {"generation", parse_generation},
                      {"break", parse_break}, {"continue", parse_continue},
                      {"print", parse_print}};
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++)
        if (is_word(p, statements[i].word)) {
            struct jnode *n = node_new(p, S_SCOPE);
            p->t++;
            locate(p);
            jenter(p->r);
            n = statements[i].parse(p, n);
            jleave(p->r);
            expect_end(p, T_TAG_END);
            return node_seal(p, n);
        }
    if (p->t->kind != T_NAME) unexpected(p, "a statement");
    locate(p);
    jfail(p->r, "statement '%.*s' is not supported here", p->t->n > 30 ? 30 : (int)p->t->n,
          p->t->p);
}

// Statements up to a tag that begins with one of `ends` (NULL: to the end), which is left to read.
static struct jnodes parse_body(struct parser *p, const char *const *ends)
{
    struct jnodes body = {0};
    for (;; p->t++) {
        const struct jtoken *t = p->t;
        if (t->kind == T_EOF) {
            if (ends) unexpected(p, ends[0]);
            return body;
        }
        if (t->kind == T_DATA) {
            struct jnode *n = node_new(p, S_DATA);
            n->value = jcopy(p->r, t->p, t->n, 1);
            add(p, &body, n);
            continue;
        }
        if (t->kind == T_PRINT) {
            struct jnode *n = node_new(p, S_PRINT);
            p->t++;
            n->a = parse_tuple(p, true, NULL, false);
            expect_end(p, T_PRINT_END);
            add(p, &body, node_seal(p, n));
        } else {
            for (const char *const *end = ends; end && *end; end++)
                if (token_is(t + 1, T_NAME, *end)) return body;
            p->t++;
            add(p, &body, parse_statement(p));
        }
        p->t--; // the loop steps over the token that ended this statement
    }
}

struct jnodes jinja_parse(jrun *r, const struct jtoken *tokens)
{
    struct parser p = {.r = r, .t = tokens};
    return parse_body(&p, NULL);
}
