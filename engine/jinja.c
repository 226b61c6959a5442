// Compilation and rendering. Evaluation walks the tree; scopes are small dictionaries linked to the
// scope around them, as Jinja's are: a loop's body and a macro's have their own, an if has not, and
// a macro sees the scope that it was defined in. Everything a rendering makes lives in one arena
// that is charged against JINJA_MEMORY_BYTES_MAX, and every step against JINJA_STEPS_MAX: a
// template that does not want to end is ended.
#include "engine/jinja.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "engine/jinja_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct jinja {
    arena *a;
    const char *where;
    struct jnodes body;
    struct jbuild literals; // all text and string literals, a NUL after each
};

struct scope {
    struct scope *up;
    jdict vars;
};

struct jmacro {
    const struct jnode *node;
    struct scope *scope; // where it was defined
};

enum flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE };

struct eval {
    jrun *r;
    struct scope *scope;
    struct jbuild *out;
};

// ---- limits and failure ----

_Noreturn void jfail(jrun *r, const char *fmt, ...)
{
    char text[sizeof r->e->msg];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    text[utf8_valid_prefix(text, strlen(text))] = 0; // cut within a character at most
    err_set(r->e, ERR_INPUT, "%s:%d:%d: %s", r->where, r->at ? r->at->line : r->line,
            r->at ? r->at->col : r->col, text);
    longjmp(*r->out, 1);
}

void *jalloc(jrun *r, size_t count, size_t size)
{
    if (count > r->bytes_max / size || count * size > r->bytes_max - r->bytes)
        jfail(r, "needs more than %zu MiB of memory", r->bytes_max >> 20);
    r->bytes += count * size;
    return arena_alloc(r->a, count * size);
}

void jspend(jrun *r, size_t steps)
{
    if (steps > JINJA_STEPS_MAX - r->steps) jfail(r, "takes more than %u steps", JINJA_STEPS_MAX);
    r->steps += steps;
}

void jenter(jrun *r)
{
    if (++r->depth > 2 * JINJA_DEPTH_MAX) jfail(r, "nested deeper than %d levels", JINJA_DEPTH_MAX);
}

void jleave(jrun *r)
{
    r->depth--;
}

// ---- scopes ----

static struct scope *scope_new(jrun *r, struct scope *up)
{
    struct scope *s = jalloc(r, 1, sizeof *s);
    s->up = up;
    return s;
}

static jval str_key(const jstr *name)
{
    return (jval){.kind = J_STR, .s = name};
}

static void scope_set(jrun *r, struct scope *s, const jstr *name, jval v)
{
    jput(r, &s->vars, str_key(name), v);
}

static jval lookup(struct eval *x, const jstr *name)
{
    for (const struct scope *s = x->scope; s; s = s->up) {
        const jval *v = jget(x->r, &s->vars, str_key(name));
        if (v) return *v;
    }
    const struct jfunction *f = jinja_global(name);
    if (f && f->call) return (jval){.kind = J_FUNCTION, .function = f};
    if (f || jstr_is(name, "varargs") || jstr_is(name, "kwargs") || jstr_is(name, "self"))
        jfail(x->r, "'%.*s' is not supported", (int)name->n, name->p);
    return jundefined(name);
}

// ---- calls ----

static jval eval(struct eval *x, const struct jnode *n);
static enum flow run_all(struct eval *x, const struct jnodes *body);

jval jmethod_of(jrun *r, jval self, const struct jfunction *f)
{
    struct jmethod_value *m = jalloc(r, 1, sizeof *m);
    *m = (struct jmethod_value){f, self};
    return (jval){.kind = J_METHOD, .method = m};
}

static const jval *keyword(const struct jargs *a, const jstr *name)
{
    for (size_t i = 0; i < a->n_kw; i++)
        if (a->kw[i].name->n == name->n && memcmp(a->kw[i].name->p, name->p, name->n) == 0)
            return &a->kw[i].value;
    return NULL;
}

// The text of statements run in their own scope under `up`.
static jval run_text(jrun *r, struct scope *scope, const struct jnodes *body)
{
    struct jbuild out = {.r = r};
    struct eval x = {r, scope, &out};
    run_all(&x, body);
    return jdone(&out);
}

static jval call_macro(jrun *r, const struct jmacro *m, const struct jargs *a)
{
    const struct jnodes *params = &m->node->args->args;
    const jstr *name = m->node->name;
    struct scope *scope = scope_new(r, m->scope);
    struct eval x = {r, scope, NULL};
    if (a->n > params->n)
        jfail(r, "macro %.*s takes %zu arguments, found %zu", (int)name->n, name->p, params->n,
              a->n);
    size_t used = 0;
    for (size_t i = 0; i < params->n; i++) {
        const struct jnode *p = params->v[i];
        const jval *named = keyword(a, p->name);
        used += named != NULL;
        if (named && i < a->n) jfail(r, "macro %.*s: argument given twice", (int)name->n, name->p);
        jval v = i < a->n ? a->v[i] : named ? *named : p->b ? eval(&x, p->b) : jundefined(p->name);
        scope_set(r, scope, p->name, v);
    }
    jstr caller = {"caller", NULL, 6, false};
    const jval *body = keyword(a, &caller);
    if (body && !jget(r, &scope->vars, str_key(&caller))) {
        used++;
        scope_set(r, scope, jcopy(r, "caller", 6, 1).s, *body);
    }
    if (used < a->n_kw)
        jfail(r, "macro %.*s: an argument that it does not have", (int)name->n, name->p);
    jenter(r);
    jval text = run_text(r, scope, &m->node->kids);
    jleave(r);
    return text;
}

jval jcall(jrun *r, jval f, const struct jargs *a)
{
    switch (f.kind) {
    case J_FUNCTION: return f.function->call(r, jnone(), a);
    case J_METHOD: return f.method->f->call(r, f.method->self, a);
    case J_MACRO: return call_macro(r, f.macro, a);
    case J_UNDEFINED:
        if (f.s) jfail(r, "'%.*s' is undefined", f.s->n > 60 ? 60 : (int)f.s->n, f.s->p);
        jfail(r, "calling an undefined value");
    default: jfail(r, "a %s cannot be called", jtype_name(f));
    }
}

// Evaluates arguments as written; extra (may be NULL) is one more by name.
static struct jargs eval_args(struct eval *x, const struct jcall *c, const struct jkeyword *extra)
{
    jrun *r = x->r;
    struct jargs out = {0};
    jval list = jlist_of(r, J_LIST, c ? c->args.n : 0);
    jval named = jdict_new(r);
    for (size_t i = 0; c && i < c->args.n; i++) jpush(r, list.list, eval(x, c->args.v[i]));
    if (c && c->star) {
        const jlist *more = jwalk_copy(r, eval(x, c->star));
        for (size_t i = 0; i < more->n; i++) jpush(r, list.list, more->v[i]);
    }
    for (size_t i = 0; c && i < c->kw.n; i++)
        jput(r, named.dict, str_key(c->kwname[i]), eval(x, c->kw.v[i]));
    jval more = c && c->dstar ? eval(x, c->dstar) : jdict_new(r);
    if (more.kind != J_DICT) jfail(r, "** needs a dictionary, found %s", jtype_name(more));
    for (size_t i = 0; i < more.dict->n; i++) {
        if (more.dict->v[i].key.kind != J_STR) jfail(r, "** needs names as keys");
        jput(r, named.dict, more.dict->v[i].key, more.dict->v[i].value);
    }
    if (extra) jput(r, named.dict, str_key(extra->name), extra->value);
    struct jkeyword *kw = jalloc(r, named.dict->n, sizeof *kw);
    for (size_t i = 0; i < named.dict->n; i++)
        kw[i] = (struct jkeyword){named.dict->v[i].key.s, named.dict->v[i].value};
    out.v = list.list->v;
    out.n = list.list->n;
    out.kw = kw;
    out.n_kw = named.dict->n;
    return out;
}

static jval eval_call(struct eval *x, const struct jnode *n, const struct jkeyword *extra)
{
    jval f = eval(x, n->a);
    struct jargs a = eval_args(x, n->args, extra);
    x->r->at = n;
    return jcall(x->r, f, &a);
}

static jval apply_filter(struct eval *x, const struct jnode *n, jval v)
{
    struct jargs a = eval_args(x, n->args, NULL);
    const struct jfunction *f = jinja_filter(n->name);
    x->r->at = n;
    if (!f)
        jfail(x->r, "filter '%.*s' is not supported", n->name->n > 60 ? 60 : (int)n->name->n,
              n->name->p);
    return f->call(x->r, v, &a);
}

// A chain of filters whose innermost has no value of its own: the text of a block.
static jval filter_text(struct eval *x, const struct jnode *n, jval text)
{
    return apply_filter(x, n, n->a ? filter_text(x, n->a, text) : text);
}

static bool eval_test(struct eval *x, const struct jnode *n)
{
    jval v = eval(x, n->a);
    struct jargs a = eval_args(x, n->args, NULL);
    const struct jtest *t = jinja_test(n->name);
    x->r->at = n;
    if (!t)
        jfail(x->r, "test '%.*s' is not supported", n->name->n > 60 ? 60 : (int)n->name->n,
              n->name->p);
    return t->call(x->r, v, &a);
}

// ---- expressions ----

static bool compare(jrun *r, enum jop op, jval a, jval b)
{
    switch (op) {
    case OP_EQ: return jequal(r, a, b);
    case OP_NE: return !jequal(r, a, b);
    case OP_LT: return jorder(r, a, b) < 0;
    case OP_LE: return jorder(r, a, b) <= 0;
    case OP_GT: return jorder(r, a, b) > 0;
    case OP_GE: return jorder(r, a, b) >= 0;
    case OP_IN: return jcontains(r, b, a);
    default: return !jcontains(r, b, a);
    }
}

static jval eval_comparison(struct eval *x, const struct jnode *n)
{
    jval left = eval(x, n->a);
    for (size_t i = 0; i < n->kids.n; i++) {
        jval right = eval(x, n->kids.v[i]->a);
        x->r->at = n->kids.v[i];
        if (!compare(x->r, n->kids.v[i]->op, left, right)) return jbool(false);
        left = right;
    }
    return jbool(true);
}

static jval eval_concat(struct eval *x, const struct jnode *n)
{
    struct jbuild b = {.r = x->r};
    for (size_t i = 0; i < n->kids.n; i++) {
        jval v = eval(x, n->kids.v[i]);
        x->r->at = n;
        jadd(&b, jtext(x->r, v));
    }
    return jdone(&b);
}

static jval eval_items(struct eval *x, const struct jnode *n, enum jkind kind)
{
    jval list = jlist_of(x->r, kind, n->kids.n);
    for (size_t i = 0; i < n->kids.n; i++) jpush(x->r, list.list, eval(x, n->kids.v[i]));
    return list;
}

static jval eval_dict(struct eval *x, const struct jnode *n)
{
    jval dict = jdict_new(x->r);
    for (size_t i = 0; i < n->kids.n; i += 2) {
        jval key = eval(x, n->kids.v[i]), value = eval(x, n->kids.v[i + 1]);
        x->r->at = n;
        jput(x->r, dict.dict, key, value);
    }
    return dict;
}

static jval eval_unary(struct eval *x, const struct jnode *n)
{
    jval v = eval(x, n->a);
    x->r->at = n;
    if (n->op == OP_NOT) return jbool(!jtruth(v));
    return jbinary(x->r, n->op == OP_NEG ? OP_SUB : OP_ADD, jint(0), v);
}

static jval eval_item(struct eval *x, const struct jnode *n)
{
    jval v = eval(x, n->a), part[3] = {jnone(), jnone(), jnone()};
    if (n->b->kind != N_SLICE) {
        jval key = eval(x, n->b);
        x->r->at = n;
        return jgetitem(x->r, v, key);
    }
    const struct jnode *ends[3] = {n->b->a, n->b->b, n->b->c};
    for (int i = 0; i < 3; i++)
        if (ends[i]) part[i] = eval(x, ends[i]);
    x->r->at = n;
    return jslice(x->r, v, part[0], part[1], part[2]);
}

static jval eval_node(struct eval *x, const struct jnode *n)
{
    jval v, w;
    switch (n->kind) {
    case N_CONST: return n->value;
    case N_NAME: return lookup(x, n->name);
    case N_TUPLE: return eval_items(x, n, J_TUPLE);
    case N_LIST: return eval_items(x, n, J_LIST);
    case N_DICT: return eval_dict(x, n);
    case N_UNARY: return eval_unary(x, n);
    case N_BINARY:
        v = eval(x, n->a);
        w = eval(x, n->b);
        x->r->at = n;
        return jbinary(x->r, n->op, v, w);
    case N_AND: v = eval(x, n->a); return jtruth(v) ? eval(x, n->b) : v;
    case N_OR: v = eval(x, n->a); return jtruth(v) ? v : eval(x, n->b);
    case N_COMPARE: return eval_comparison(x, n);
    case N_CONCAT: return eval_concat(x, n);
    case N_COND:
        if (jtruth(eval(x, n->b))) return eval(x, n->a);
        return n->c ? eval(x, n->c) : jundefined(NULL);
    case N_GETATTR:
        v = eval(x, n->a);
        x->r->at = n;
        return jgetattr(x->r, v, n->name);
    case N_GETITEM: return eval_item(x, n);
    case N_CALL: return eval_call(x, n, NULL);
    case N_FILTER: v = eval(x, n->a); return apply_filter(x, n, v);
    case N_TEST: return jbool(eval_test(x, n));
    default: jfail(x->r, "a slice stands where a value is expected");
    }
}

static jval eval(struct eval *x, const struct jnode *n)
{
    x->r->at = n;
    jspend(x->r, 1);
    jenter(x->r);
    jval v = eval_node(x, n);
    jleave(x->r);
    return v;
}

// ---- statements ----

static void assign(struct eval *x, struct scope *scope, const struct jnode *target, jval v)
{
    jrun *r = x->r;
    if (target->kind == N_NAME) {
        scope_set(r, scope, target->name, v);
    } else if (target->kind == N_NSREF) {
        jval ns = lookup(x, target->name);
        if (ns.kind != J_NAMESPACE)
            jfail(r, "only a namespace has attributes that can be set; found %s", jtype_name(ns));
        jput(r, ns.dict, str_key(target->attr), v);
    } else {
        const jlist *l = jwalk(r, v);
        if (l->n != target->kids.n) jfail(r, "%zu values for %zu names", l->n, target->kids.n);
        jlist items = *l; // the assignment may change the list
        for (size_t i = 0; i < target->kids.n; i++) assign(x, scope, target->kids.v[i], items.v[i]);
    }
}

// The elements that pass the loop's own condition.
static jval loop_source(struct eval *x, const struct jnode *n)
{
    jval all = eval(x, n->b);
    x->r->at = n->b;
    if (!n->c) return (jval){.kind = J_LIST, .list = jwalk(x->r, all)};
    jval kept = jlist_of(x->r, J_LIST, 0);
    const jlist *l = jwalk(x->r, all);
    for (size_t i = 0; i < l->n; i++) {
        struct eval inner = {x->r, scope_new(x->r, x->scope), x->out};
        assign(&inner, inner.scope, n->a, l->v[i]);
        if (jtruth(eval(&inner, n->c))) jpush(x->r, kept.list, l->v[i]);
    }
    return kept;
}

static enum flow run_for(struct eval *x, const struct jnode *n)
{
    jrun *r = x->r;
    jval source = loop_source(x, n);
    struct jloop *loop = jalloc(r, 1, sizeof *loop);
    *loop = (struct jloop){.source = source, .list = source.list, .last_changed = jnone()};
    const jstr *loop_name = jcopy(r, "loop", 4, 1).s;
    bool any = false; // an iteration that neither break nor continue cut short, as Jinja has it
    for (size_t i = 0; i < loop->list->n; i++) {
        jspend(r, 1);
        loop->index0 = i;
        struct eval inner = {r, scope_new(r, x->scope), x->out};
        scope_set(r, inner.scope, loop_name, (jval){.kind = J_LOOP, .loop = loop});
        r->at = n;
        assign(&inner, inner.scope, n->a, loop->list->v[i]);
        enum flow flow = run_all(&inner, &n->kids);
        any = any || flow == FLOW_ON;
        if (flow == FLOW_BREAK) break;
    }
    if (any || n->other.n == 0) return FLOW_ON;
    struct eval inner = {r, scope_new(r, x->scope), x->out};
    return run_all(&inner, &n->other);
}

static jval macro_value(jrun *r, const struct jnode *n, struct scope *scope)
{
    struct jmacro *m = jalloc(r, 1, sizeof *m);
    *m = (struct jmacro){n, scope};
    return (jval){.kind = J_MACRO, .macro = m};
}

static void print(struct eval *x, const struct jnode *n, jval v)
{
    x->r->at = n;
    jadd(x->out, jtext(x->r, v));
    if (x->out->n > JINJA_OUTPUT_BYTES_MAX)
        jfail(x->r, "writes more than %u MiB", JINJA_OUTPUT_BYTES_MAX >> 20);
}

static void run_setblock(struct eval *x, const struct jnode *n)
{
    jval text = run_text(x->r, scope_new(x->r, x->scope), &n->kids);
    if (n->b) text = filter_text(x, n->b, text);
    x->r->at = n;
    assign(x, x->scope, n->a, text);
}

static enum flow run_with(struct eval *x, const struct jnode *n)
{
    struct eval inner = {x->r, scope_new(x->r, x->scope), x->out};
    for (size_t i = 0; n->args && i < n->args->kw.n; i++)
        scope_set(x->r, inner.scope, n->args->kwname[i], eval(x, n->args->kw.v[i]));
    return run_all(&inner, &n->kids);
}

static enum flow run(struct eval *x, const struct jnode *n)
{
    jrun *r = x->r;
    struct jkeyword caller;
    switch (n->kind) {
    case S_DATA: print(x, n, n->value); break;
    case S_PRINT: print(x, n, eval(x, n->a)); break;
    case S_FOR: return run_for(x, n);
    case S_IF: return run_all(x, jtruth(eval(x, n->a)) ? &n->kids : &n->other);
    case S_SET: {
        jval v = eval(x, n->b);
        r->at = n;
        assign(x, x->scope, n->a, v);
        break;
    }
    case S_SETBLOCK: run_setblock(x, n); break;
    case S_MACRO: scope_set(r, x->scope, n->name, macro_value(r, n, x->scope)); break;
    case S_CALLER:
        caller = (struct jkeyword){n->b->name, macro_value(r, n->b, x->scope)};
        print(x, n, eval_call(x, n->a, &caller));
        break;
    case S_FILTER: {
        jval text = run_text(r, scope_new(r, x->scope), &n->kids);
        print(x, n, filter_text(x, n->a, text));
        break;
    }
    case S_WITH:
    case S_SCOPE: return run_with(x, n);
    case S_BREAK: return FLOW_BREAK;
    case S_CONTINUE: return FLOW_CONTINUE;
    default: jfail(r, "an expression stands where a statement is expected");
    }
    return FLOW_ON;
}

static enum flow run_all(struct eval *x, const struct jnodes *body)
{
    for (size_t i = 0; i < body->n; i++) {
        x->r->at = body->v[i];
        jspend(x->r, 1);
        jenter(x->r);
        enum flow flow = run(x, body->v[i]);
        jleave(x->r);
        if (flow != FLOW_ON) return flow;
    }
    return FLOW_ON;
}

// ---- the public functions ----

// Newlines as "\n", and without the one at the very end, as Jinja reads a template.
static char *normalise(jrun *r, const char *source, size_t *n)
{
    char *out = jalloc(r, *n + 1, 1);
    size_t k = 0;
    for (size_t i = 0; i < *n; i++) {
        if (source[i] == '\r' && i + 1 < *n && source[i + 1] == '\n') continue;
        out[k++] = source[i] == '\r' ? '\n' : source[i];
    }
    if (k > 0 && out[k - 1] == '\n') k--;
    out[k] = 0;
    *n = k;
    return out;
}

static void compile(jrun *r, jinja *j, const char *source, size_t n, unsigned flags)
{
    r->line = r->col = 1;
    if (n > JINJA_SOURCE_BYTES_MAX)
        jfail(r, "a template of %zu bytes; at most %u are read", n, JINJA_SOURCE_BYTES_MAX);
    if (utf8_valid_prefix(source, n) != n || memchr(source, 0, n))
        jfail(r, "the template is not UTF-8 text");
    char *text = normalise(r, source, &n);
    size_t n_token;
    struct jtoken *tokens = jinja_lex(r, text, n, flags, &n_token);
    for (size_t i = 0; i < n_token; i++) {
        if (tokens[i].kind == T_DATA) jadd_bytes(&j->literals, tokens[i].p, tokens[i].n, 1);
        if (tokens[i].kind == T_STR) jadd(&j->literals, tokens[i].value.s);
        if (tokens[i].kind == T_DATA || tokens[i].kind == T_STR) jadd_bytes(&j->literals, "", 1, 1);
    }
    j->body = jinja_parse(r, tokens);
}

jinja *jinja_compile(const char *source, size_t n, unsigned flags, const char *where, err *e)
{
    arena *a = arena_new(64 << 10);
    jmp_buf out;
    jrun r = {.a = a, .bytes_max = JINJA_MEMORY_BYTES_MAX, .e = e, .out = &out};
    r.where = arena_strn(a, where, strlen(where));
    jinja *j = arena_alloc(a, sizeof *j);
    *j = (jinja){.a = a, .where = r.where, .literals = {.r = &r}};
    if (setjmp(out)) {
        arena_free(a);
        return NULL;
    }
    compile(&r, j, source, n, flags);
    j->literals.r = NULL;
    return j;
}

void jinja_free(jinja *j)
{
    if (j) arena_free(j->a);
}

bool jinja_mentions(const jinja *j, const char *bytes)
{
    return j->literals.n && memmem(j->literals.p, j->literals.n, bytes, strlen(bytes));
}

static void render(jrun *r, const jinja *j, const struct jinja_var *vars, size_t n_var,
                   struct jbuild *out)
{
    struct scope *top = scope_new(r, NULL);
    for (size_t i = 0; i < n_var; i++)
        scope_set(r, top, jcopy(r, vars[i].name, strlen(vars[i].name), 1).s,
                  jfrom_json(r, vars[i].value, vars[i].trusted, 0));
    struct eval x = {r, scope_new(r, top), out};
    run_all(&x, &j->body);
}

int jinja_render(const jinja *j, const struct jinja_var *vars, size_t n_var, const struct tm *now,
                 struct jinja_text *out, err *e)
{
    struct tm local = {0};
    time_t t = time(NULL);
    if (!now) now = localtime_r(&t, &local) ? &local : &local;
    arena *a = arena_new(256 << 10);
    jmp_buf failed;
    jrun r = {.a = a,
              .where = j->where,
              .bytes_max = JINJA_MEMORY_BYTES_MAX,
              .now = now,
              .e = e,
              .out = &failed};
    struct jbuild text = {.r = &r};
    if (setjmp(failed)) {
        arena_free(a);
        return -1;
    }
    render(&r, j, vars, n_var, &text);
    *out = (struct jinja_text){mem_strn(text.p ? text.p : "", text.n), mem_new(text.n + 1), text.n};
    if (text.n) memcpy(out->trusted, text.trusted, text.n);
    arena_free(a);
    return 0;
}
