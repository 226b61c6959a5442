// What a person sees while an agent works: streamed text, each call with its arguments, its result
// and time. Text from models and tools is shown with control characters escaped, so that nothing in
// it can drive the terminal. With
// --json each event is one line of JSON instead, written after the journal holds it.
#pragma once
#include "agent.h"
#include <stdbool.h>
#include <stdio.h>

struct screen {
    FILE *out;
    bool json;
    bool color;
    bool quiet;      // only the answer
    bool typed;      // the person sees what they typed already: it is not shown again
    bool in_text;    // a line of streamed text is open
    int64_t wait_us; // time the person took to answer questions
};

void screen_open(struct screen *s, bool json, bool quiet);
void screen_event(void *user, const struct agent_event *ev); // user: struct screen *
bool screen_approve(void *user, const tool *t,
                    const json_t *args); // asks on a terminal; denies without one
void screen_result(struct screen *s, const struct agent_result *r); // the closing lines of a turn

// Writes text with C0 and C1 controls, bidi overrides and tag characters as \u{...}; newline and
// tab pass.
void screen_text(FILE *f, const char *text, size_t n);
