// A small Jinja interpreter for chat templates: what Hugging Face's renderer accepts, minus what no
// template needs. A template is compiled once (read-only, shared) and rendered many times. Every
// byte of the output carries whether it was written by the template or came from data, through
// every string operation, so that a tokenizer can refuse to make control tokens out of data.
// What is not supported is refused with line and column, never rendered differently.
#pragma once
#include "base/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

typedef struct jinja jinja;

enum { // Both are on in Hugging Face's environment: pass JINJA_CHAT for a chat template.
    JINJA_TRIM_BLOCKS = 1,
    JINJA_LSTRIP_BLOCKS = 2,
    JINJA_CHAT = JINJA_TRIM_BLOCKS | JINJA_LSTRIP_BLOCKS
};

// Most that one template and one rendering may use; a hostile template ends with an error here.
#define JINJA_SOURCE_BYTES_MAX (1u << 20)
#define JINJA_OUTPUT_BYTES_MAX (64u << 20)
#define JINJA_MEMORY_BYTES_MAX ((size_t)256 << 20)
#define JINJA_STEPS_MAX        (20u << 20) // nodes evaluated, iterations, elements compared
#define JINJA_DEPTH_MAX        120         // nesting of expressions, statements and macro calls

// `where` names the template in errors: "WHERE:LINE:COLUMN: what".
jinja *jinja_compile(const char *source, size_t n, unsigned flags, const char *where, err *e);
void jinja_free(jinja *j);

struct jinja_var {
    const char *name;
    const json_t *value;
    bool trusted; // its strings count as the template's own (bos_token, eos_token)
};

struct jinja_text {
    char *text;       // NUL-terminated; the caller frees
    uint8_t *trusted; // [n] 1: the template wrote this byte, 0: it came from data; the caller frees
    size_t n;
};

// now: what strftime_now sees; NULL: the local time. Allocates its own memory; thread-safe.
int jinja_render(const jinja *j, const struct jinja_var *vars, size_t n_var, const struct tm *now,
                 struct jinja_text *out, err *e);

// Does a string literal or the text of the template hold these bytes? chat.c recognises formats so.
bool jinja_mentions(const jinja *j, const char *bytes);
