#include "screen.h"

#include "base/clock.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SHOWN_ARGS = 300, SHOWN_RESULT = 600 };

void screen_open(struct screen *s, bool json, bool quiet)
{
    *s = (struct screen){.out = stdout, .json = json, .quiet = quiet};
    const char *term = getenv("TERM");
    s->color =
        !json && isatty(STDOUT_FILENO) && !getenv("NO_COLOR") && term && strcmp(term, "dumb") != 0;
}

// Characters that could move the cursor, write the clipboard, turn the reading order or hide text.
static bool dangerous(uint32_t c)
{
    return (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7f && c < 0xa0) ||
           (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0x200e ||
           c == 0x200f || (c >= 0xe0000 && c <= 0xe007f);
}

void screen_text(FILE *f, const char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t c;
        int len = utf8_decode(text + i, n - i, &c);
        if (len == 0) {
            fprintf(f, "\\x%02x", (unsigned char)text[i]);
            i++;
            continue;
        }
        if (dangerous(c))
            fprintf(f, "\\u{%x}", (unsigned)c);
        else
            fwrite(text + i, 1, (size_t)len, f);
        i += (size_t)len;
    }
}

static const char *style(const struct screen *s, const char *code)
{
    return s->color ? code : "";
}
#define DIM   "\033[2m"
#define BOLD  "\033[1m"
#define RED   "\033[31m"
#define GREEN "\033[32m"
#define CYAN  "\033[36m"
#define PLAIN "\033[0m"

static void close_text(struct screen *s)
{
    if (s->in_text) fputc('\n', s->out);
    s->in_text = false;
}

// One or more lines, indented, cut at `max` bytes with a note of how many were left out.
static void indented(struct screen *s, const char *text, size_t n, size_t max)
{
    size_t shown = n > max ? utf8_valid_prefix(text, max) : n;
    while (shown && (text[shown - 1] == '\n')) shown--;
    for (size_t i = 0; i < shown;) {
        const char *line = text + i, *end = memchr(line, '\n', shown - i);
        size_t len = end ? (size_t)(end - line) : shown - i;
        fputs(i ? "     " : "", s->out);
        screen_text(s->out, line, len);
        fputc('\n', s->out);
        i += len + 1;
    }
    if (shown == 0) fputc('\n', s->out);
    if (n > max) fprintf(s->out, "     ... %zu more bytes\n", n - shown);
}

static void event_json(struct screen *s, const struct agent_event *ev)
{
    static const char *const kinds[] = {"turn", "text", "call", "result", "step", "note", "end"};
    json_t *o = json_pack("{s:s, s:I}", "event", kinds[ev->kind], "run", (json_int_t)ev->run);
    if (ev->text)
        json_object_set_new(o, "text", json_stringn(ev->text, ev->n ? ev->n : strlen(ev->text)));
    if (ev->tool) json_object_set_new(o, "tool", json_string(ev->tool));
    if (ev->args) json_object_set(o, "arguments", (json_t *)ev->args);
    if (ev->call) json_object_set_new(o, "call", json_integer(ev->call));
    if (ev->message) json_object_set_new(o, "message", json_integer(ev->message));
    if (ev->kind == EVENT_RESULT) {
        json_object_set_new(o, "ok", json_boolean(ev->ok));
        json_object_set_new(o, "us", json_integer(ev->us));
        json_object_set_new(o, "state", json_string(call_state_name(ev->state)));
    }
    if (ev->usage) {
        json_object_set_new(o, "step", json_integer(ev->step));
        json_object_set_new(o, "prompt_tokens", json_integer(ev->usage->prompt_tokens));
        json_object_set_new(o, "cached_tokens", json_integer(ev->usage->cached_tokens));
        json_object_set_new(o, "output_tokens", json_integer(ev->usage->output_tokens));
    }
    if (ev->kind == EVENT_END)
        json_object_set_new(o, "state", json_string(run_state_name(ev->state)));
    json_dumpf(o, s->out, JSON_COMPACT);
    fputc('\n', s->out);
    fflush(s->out);
    json_decref(o);
}

void screen_event(void *user, const struct agent_event *ev)
{
    struct screen *s = user;
    if (s->json) {
        event_json(s, ev);
        return;
    }
    if (s->quiet) return;
    switch (ev->kind) {
    case EVENT_TURN:
        if (s->typed) break;
        fprintf(s->out, "%s> ", style(s, BOLD));
        screen_text(s->out, ev->text, ev->n);
        fprintf(s->out, "%s\n", style(s, PLAIN));
        break;
    case EVENT_TEXT:
        screen_text(s->out, ev->text, ev->n);
        s->in_text = true;
        break;
    case EVENT_CALL: {
        close_text(s);
        char *args = json_dumps(ev->args, JSON_COMPACT);
        size_t n = strlen(args), shown = n > SHOWN_ARGS ? utf8_valid_prefix(args, SHOWN_ARGS) : n;
        fprintf(s->out, "  %s-> %s%s ", style(s, CYAN), ev->tool, style(s, PLAIN));
        screen_text(s->out, args, shown);
        if (shown < n) fprintf(s->out, "... %zu more bytes", n - shown);
        fputc('\n', s->out);
        free(args);
        break;
    }
    case EVENT_RESULT:
        fprintf(s->out, "  %s<- %s%s %s%.1f ms%s  ", style(s, ev->ok ? GREEN : RED),
                ev->ok ? "ok" : "failed", style(s, PLAIN), style(s, DIM), (double)ev->us / 1000,
                style(s, PLAIN));
        indented(s, ev->text, ev->n, SHOWN_RESULT);
        break;
    case EVENT_NOTE:
        close_text(s);
        fprintf(s->out, "  %s! %s%s\n", style(s, DIM), ev->text, style(s, PLAIN));
        break;
    case EVENT_STEP:
    case EVENT_END: close_text(s); break;
    }
    fflush(s->out);
}

bool screen_approve(void *user, const tool *t, const json_t *args)
{
    struct screen *s = user;
    if (s->json || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) return false;
    close_text(s);
    char *text = json_dumps(args, JSON_COMPACT), line[16];
    fprintf(s->out, "  %s? allow %s%s ", style(s, BOLD), t->name, style(s, PLAIN));
    screen_text(s->out, text,
                strlen(text)); // whole, however long: what is approved is what is shown
    fprintf(s->out, " [y/N] ");
    fflush(s->out);
    free(text);
    int64_t start = clock_us();
    bool read = fgets(line, sizeof line, stdin);
    bool yes = read && (line[0] == 'y' || line[0] == 'Y');
    // The rest of a long answer must not be taken for the answer to the next question.
    while (read && !strchr(line, '\n')) read = fgets(line, sizeof line, stdin);
    s->wait_us += clock_us() - start;
    return yes;
}

void screen_result(struct screen *s, const struct agent_result *r)
{
    if (s->json) return;
    close_text(s);
    if (s->quiet) {
        screen_text(s->out, r->answer, strlen(r->answer));
        fputc('\n', s->out);
        return;
    }
    double decode_s = (double)r->decode_us / 1e6;
    fprintf(s->out,
            "%s  [%d step%s, %d call%s, %d tokens in (%d cached), %d out, %.1f tokens/s, first "
            "token after %.2f s, %.2f s in all%s%s]%s\n",
            style(s, DIM), r->steps, r->steps == 1 ? "" : "s", r->calls, r->calls == 1 ? "" : "s",
            r->prompt_tokens, r->cached_tokens, r->output_tokens,
            decode_s > 0 ? r->output_tokens / decode_s : 0, (double)r->first_token_us / 1e6,
            (double)r->us / 1e6, strcmp(r->stopped, "answer") == 0 ? "" : "; answer forced by: ",
            strcmp(r->stopped, "answer") == 0 ? "" : r->stopped, style(s, PLAIN));
    fflush(s->out);
}
