// Shared between the files of the interpreter: lexer -> tree -> values -> evaluator and library.
// One `jrun` is one compilation or one rendering: its arena holds everything made on the way, and
// jfail leaves through a longjmp, so that no function here needs a path for errors.
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "engine/jinja.h"

#include <setjmp.h>

// ---- values ----

typedef struct jval jval;
typedef struct jrun jrun;

typedef struct jstr {
    const char *p;          // [n] UTF-8, not NUL-terminated
    const uint8_t *trusted; // [n] 1 where the byte is the template's own
    size_t n;
    bool markup; // made by `safe`: what is added to it is escaped; other changes are refused
} jstr;

enum jkind {
    J_UNDEFINED,
    J_NONE,
    J_BOOL,
    J_INT,
    J_FLOAT,
    J_STR,
    J_LIST,
    J_TUPLE,
    J_RANGE,  // made by range(): a list that cannot change
    J_VIEW,   // d.items() and friends: a list that can only be walked and measured
    J_STREAM, // what Python makes a generator: can be walked once, and nothing else
    J_DICT,
    J_NAMESPACE,
    J_LOOP,
    J_FUNCTION,
    J_METHOD,
    J_MACRO
};

typedef struct jlist {
    jval *v;
    size_t n, cap;
    size_t at; // J_STREAM: next to be handed out
} jlist;

typedef struct jdict {
    struct jentry *v;
    size_t n, cap;
} jdict;

struct jval {
    enum jkind kind;
    union {
        bool b;
        int64_t i;
        double f;
        const jstr *s; // J_STR; J_UNDEFINED: what was looked for, for messages
        jlist *list;   // J_LIST, J_TUPLE, J_RANGE, J_VIEW, J_STREAM
        jdict *dict;   // J_DICT, J_NAMESPACE
        struct jloop *loop;
        const struct jfunction *function;
        const struct jmethod_value *method;
        const struct jmacro *macro;
    };
};

struct jentry {
    jval key, value;
};

struct jloop {
    jval source; // the iterable; lists may grow while they are walked
    jlist *list;
    size_t index0, depth0;
    jval last_changed;
};

// Arguments of one call: positional, then by name.
struct jargs {
    const jval *v;
    size_t n;
    const struct jkeyword {
        const jstr *name;
        jval value;
    } * kw;
    size_t n_kw;
    const struct jnode *at;
};

typedef jval jcallable(jrun *r, jval self, const struct jargs *a);

// A row of one of the tables: filters, globals, methods. A row without `call` is a name that Python
// knows and we do not: using it is an error, where an unknown name would be merely undefined.
struct jfunction {
    const char *name;
    jcallable *call;
};

struct jmethod_value {
    const struct jfunction *f;
    jval self;
};

struct jtest {
    const char *name;
    bool (*call)(jrun *r, jval self, const struct jargs *a);
};

// ---- the run ----

struct jrun {
    arena *a;
    const char *where;
    const struct jnode *at; // what an error is blamed on
    int line, col;          // the same while there is no tree yet
    size_t bytes, bytes_max, steps;
    int depth;
    const struct tm *now;
    err *e;
    jmp_buf *out;
};

_Noreturn void jfail(jrun *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void *jalloc(jrun *r, size_t count, size_t size); // zeroed; fails beyond the run's maximum
void jspend(jrun *r, size_t steps);
void jenter(jrun *r); // one level deeper; fails beyond JINJA_DEPTH_MAX
void jleave(jrun *r);

// ---- the tree ----

enum jnode_kind {
    N_CONST,    // value
    N_NAME,     // name
    N_TUPLE,    // kids
    N_LIST,     // kids
    N_DICT,     // kids: key, value, key, value
    N_UNARY,    // op, a
    N_BINARY,   // a op b
    N_AND,      // a, b
    N_OR,       // a, b
    N_COMPARE,  // a, then kids with their op
    N_CONCAT,   // kids
    N_COND,     // a if b else c (c may be NULL)
    N_GETATTR,  // a.name
    N_GETITEM,  // a[b]
    N_SLICE,    // a:b:c, each may be NULL
    N_CALL,     // a(args)
    N_FILTER,   // a | name(args); a NULL: the text of the block
    N_TEST,     // a is name(args)
    N_NSREF,    // name.attr as target of set: name, attr
    S_DATA,     // value
    S_PRINT,    // a
    S_FOR,      // target a, iterable b, condition c, kids body, other else
    S_IF,       // a, kids, other (a list of statements)
    S_SET,      // target a, expression b
    S_SETBLOCK, // target a, filter chain b or NULL, kids
    S_MACRO,    // name, args (parameters), kids
    S_CALLER,   // call block: call a, macro b
    S_FILTER,   // filter chain a, kids
    S_WITH,     // args as name = value, kids
    S_SCOPE,    // kids in their own scope (block)
    S_BREAK,
    S_CONTINUE
};

enum jop {
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_FLOORDIV,
    OP_MOD,
    OP_POW,
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_IN,
    OP_NOT_IN,
    OP_NOT,
    OP_NEG,
    OP_POS
};

struct jnodes {
    struct jnode **v;
    size_t n, cap;
};

struct jnode {
    enum jnode_kind kind;
    enum jop op;
    int line, col;
    int depth; // levels below: bounds the evaluator's recursion
    const jstr *name, *attr;
    jval value;
    struct jnode *a, *b, *c;
    struct jnodes kids, other;
    struct jcall *args;
};

// Arguments as written, and parameters of a macro (names with defaults).
struct jcall {
    struct jnodes args;
    struct jnodes kw;    // values
    const jstr **kwname; // [kw.n]
    struct jnode *star, *dstar;
};

// ---- the lexer ----

enum jtoken_kind {
    T_DATA,
    T_PRINT,
    T_PRINT_END,
    T_TAG,
    T_TAG_END,
    T_NAME,
    T_STR,
    T_NUM,
    T_OP,
    T_EOF
};

struct jtoken {
    enum jtoken_kind kind;
    int line, col;
    const char *p; // spelling in the source (T_DATA: after stripping)
    size_t n;
    jval value; // T_STR, T_NUM
};

// Splits the source (newlines already "\n") into tokens; fails at the first that cannot be one.
struct jtoken *jinja_lex(jrun *r, const char *source, size_t n, unsigned flags, size_t *n_token);
struct jnodes jinja_parse(jrun *r, const struct jtoken *tokens);

// ---- operations on values (jinja_value.c) ----

jval jnone(void);
jval jbool(bool b);
jval jint(int64_t i);
jval jfloat(double f);
jval jundefined(const jstr *name);
jval jdata(jrun *r, const char *p, size_t n); // a string that counts as data
jval jcopy(jrun *r, const char *p, size_t n, uint8_t trusted);
jval jsub(jrun *r, const jstr *s, size_t from, size_t to); // shares the bytes
jval jlist_of(jrun *r, enum jkind kind, size_t cap);
void jpush(jrun *r, jlist *l, jval v);
jval jdict_new(jrun *r);
void jput(jrun *r, jdict *d, jval key, jval value);
const jval *jget(jrun *r, const jdict *d, jval key); // NULL when absent
const jval *jgets(jrun *r, const jdict *d, const char *key);
jval jfrom_json(jrun *r, const json_t *j, bool trusted, int depth);

bool jhashable(jval v); // may be a key of a dictionary
bool jtruth(jval v);
bool jequal(jrun *r, jval a, jval b);
int jorder(jrun *r, jval a, jval b); // < 0, 0, > 0; fails where Python has no order
const char *jtype_name(jval v);
const jstr *jtext(jrun *r, jval v);  // str(v): what printing writes
const jstr *jrepr(jrun *r, jval v);  // repr(v): what it looks like inside a list
const jstr *jplain(jrun *r, jval v); // v as a string to compute with; undefined is ""
jlist *jwalk(jrun *r, jval v);       // what a for loop sees; a stream is used up
jlist *jwalk_copy(jrun *r, jval v);  // a fresh list of the same
bool jhas_length(jval v, size_t *n); // len(v), where Python has one
bool jcontains(jrun *r, jval whole, jval part);
jval jbinary(jrun *r, enum jop op, jval a, jval b);
jval jslice(jrun *r, jval v, jval from, jval to, jval step);
jval jgetitem(jrun *r, jval v, jval key);
jval jgetattr(jrun *r, jval v, const jstr *name);
bool jstr_is(const jstr *s, const char *text);

struct jjson_style {
    bool ascii, sort;
    int indent; // < 0: one line
    const jstr *item_sep, *key_sep;
};
jval jto_json(jrun *r, jval v, const struct jjson_style *style);

// A string under construction, with its provenance.
struct jbuild {
    jrun *r;
    char *p;
    uint8_t *trusted;
    size_t n, cap;
};
void jadd(struct jbuild *b, const jstr *s);
void jadd_bytes(struct jbuild *b, const char *p, size_t n, uint8_t trusted);
jval jdone(struct jbuild *b);

// Code points of a string: Python counts and cuts in these.
size_t jpoints(const jstr *s);
size_t jpoint_offset(const jstr *s, size_t point);
int jpoint(const jstr *s, size_t byte, uint32_t *cp); // decodes one; its length
bool jspace(uint32_t cp);                             // str.isspace of one code point

// ---- the library (jinja_filter.c, jinja_method.c) ----

const struct jfunction *jinja_filter(const jstr *name);
const struct jtest *jinja_test(const jstr *name);
const struct jfunction *jinja_global(const jstr *name);
// The attribute of a builtin type: NULL when Python has none of that name.
const struct jfunction *jinja_method(enum jkind kind, const jstr *name);

jval jcall(jrun *r, jval f, const struct jargs *a); // jinja_eval.c
jval jmethod_of(jrun *r, jval self, const struct jfunction *f);

// Sorts the arguments of a call into slots by position and name (names ends with NULL); slots of
// arguments not given are NULL. Fails on too many, unknown and repeated ones.
void jbind(jrun *r, const struct jargs *a, const char *what, const char *const *names,
           const jval **slots);
int64_t jarg_int(jrun *r, jval v, const char *what);

// Shared by filters and methods of the same name.
enum jcase { CASE_LOWER, CASE_UPPER, CASE_TITLE, CASE_CAPITALIZE };
jval jchange_case(jrun *r, const jstr *s, enum jcase how);
jval jstrip(jrun *r, const jstr *s, const jval *chars, bool left, bool right);
jval jreplace(jrun *r, const jstr *s, const jval *old, const jval *with, const jval *count);
jval jsplit_lines(jrun *r, const jstr *s);
bool jall_case(jrun *r, const jstr *s, bool upper);    // isupper, islower
jval jpairs(jrun *r, enum jkind kind, const jdict *d); // (key, value) tuples
jval jattribute_path(jrun *r, jval v, jval path, const jval *otherwise);
