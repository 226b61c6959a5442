// The command line: one table of verbs, one table of options for each. The tables make parsing,
// --help and the check for unknown options; a verb's function gets the parsed values.
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>

enum option_type { OPTION_FLAG, OPTION_TEXT, OPTION_INT, OPTION_NUMBER, OPTION_LIST };

struct option_row {
    const char *name; // without the dashes
    enum option_type type;
    const char *value; // how the value is called in the help: "DIR"
    const char *help;
    const char *initial; // shown in the help; parsed when the option is not given; NULL: unset
};

enum { OPTION_VALUES_MAX = 32, OPTIONS_MAX = 48 };

struct option_value {
    bool given;
    const char *text;
    long long integer;
    double number;
    const char *list[OPTION_VALUES_MAX];
    size_t n_list;
};

struct command {
    const struct verb *verb;
    struct option_value values[OPTIONS_MAX]; // in the order of the verb's tables
    const char **args;                       // what is left, after the options
    int n_arg;
    bool json;
};

struct verb {
    const char *name;                      // "run", or "tool ls": two words make a group
    const char *arguments;                 // "SCRIPT [ARG...]"
    const char *help;                      // one line
    const char *more;                      // further text for --help; may be NULL
    const struct option_row *options;      // of this verb, ended by a NULL name; may be NULL
    const struct option_row *shared;       // of several verbs; may be NULL
    int args_min, args_max;                // args_max < 0: any number, and options end at the first
    int (*run)(struct command *c, err *e); // 0 or -1 with *e
};

// Parses argv and runs one of the verbs (ended by NULL). Returns the exit code; errors are printed
// to stderr as one line (as JSON under --json).
int cli_main(const struct verb *const *verbs, int argc, char **argv);

const struct option_value *cli_option(const struct command *c,
                                      const char *name);         // asserts that the verb has it
const char *cli_text(const struct command *c, const char *name); // NULL when unset
bool cli_flag(const struct command *c, const char *name);
long long cli_int(const struct command *c, const char *name);
double cli_number(const struct command *c, const char *name);
