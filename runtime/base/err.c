#include "base/err.h"

#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

// A message is shown, put into JSON and journaled as a tool's result: all of them want UTF-8. It
// may quote bytes that are none, or have been cut (`%.80s`, the end of msg) within a character.
static void only_utf8(char *msg)
{
    size_t n = strlen(msg);
    for (size_t at = 0; (at += utf8_valid_prefix(msg + at, n - at)) < n;) msg[at] = '?';
}

int err_set(err *e, enum err_code code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->msg, sizeof e->msg, fmt, ap);
    va_end(ap);
    only_utf8(e->msg);
    e->code = code;
    return -1;
}

int err_sys(err *e, int errno_value, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(e->msg, sizeof e->msg, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof e->msg)
        snprintf(e->msg + n, sizeof e->msg - (size_t)n, ": %s", strerror(errno_value));
    only_utf8(e->msg);
    e->code = ERR_SYSTEM;
    return -1;
}

int err_wrap(err *e, const char *fmt, ...)
{
    char context[sizeof e->msg];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(context, sizeof context, fmt, ap);
    va_end(ap);
    // The context is kept whole; what no longer fits is cut off the end of the old message.
    size_t put = n < 0 ? 0 : (size_t)n + 2, old = strlen(e->msg);
    if (put >= sizeof e->msg) return -1;
    if (put + old >= sizeof e->msg) old = sizeof e->msg - put - 1;
    memmove(e->msg + put, e->msg, old);
    memcpy(e->msg, context, put - 2);
    memcpy(e->msg + put - 2, ": ", 2);
    e->msg[put + old] = 0;
    only_utf8(e->msg);
    return -1;
}
