// One error: a class that decides the exit code, and one line of text that names the thing, what
// was found and what was expected. A function that can fail for a reason outside the program takes
// a trailing `err *e`, returns -1 or NULL, and has filled *e. `e` is never NULL.
#pragma once
#include <stdarg.h>

#ifdef __cplusplus
extern "C" {
#endif

// The values are the exit codes of the command line; they are documented in README.md.
enum err_code {
    ERR_NONE = 0,
    ERR_FAILED = 1,     // the task itself did not succeed (a tool failed, a check did not hold)
    ERR_USAGE = 2,      // the command line is wrong
    ERR_INPUT = 3,      // a file or value given to Hearth is not what it must be
    ERR_REFUSED = 4,    // policy denied it, or a sandbox layer cannot be applied here
    ERR_STORE = 5,      // the database: locked, newer than this program, damaged, disk full
    ERR_BUDGET = 6,     // a budget of tokens, steps, time or memory is used up
    ERR_SYSTEM = 7,     // the operating system failed a call that should have worked
    ERR_CANCELLED = 130 // Ctrl-C, as shells report it
};

typedef struct err {
    enum err_code code;
    char msg[1000];
} err;

// Sets code and message and returns -1, so that `return err_set(e, ...)` reads well.
int err_set(err *e, enum err_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

// Appends ": " and strerror(errno_value) to a message made the same way.
int err_sys(err *e, int errno_value, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

// Puts `context: ` in front of the message that is already there; keeps the code. Returns -1.
int err_wrap(err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#ifdef __cplusplus
}
#endif
