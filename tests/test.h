// What every CMocka test includes: the framework's own headers in the order it wants, and paths.
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// Exit code by which CTest knows that a test did not run; the reason is printed first.
#define TEST_SKIPPED 77
