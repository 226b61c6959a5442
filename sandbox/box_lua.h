// The part of a child that runs Lua: reads the request from the channel, runs it, writes the
// answer.
#pragma once
#include "sandbox/protocol.h"

_Noreturn void box_serve(const struct box_spawn *spawn);

// Tells the parent that a step of confinement failed.
_Noreturn void box_refuse(const char *step, int errno_value);

// In the zygote, before any call: runs the interpreter once, so that its pages are there to
// inherit.
void box_warm(void);
