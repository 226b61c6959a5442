// Messages and tools to tokens, through the model's own Jinja chat template, and the model's
// text back to content and calls. The template is run by our own interpreter (engine/jinja.h),
// which remembers for every output byte whether it came from the template or from data: only
// template bytes can become added tokens.
#pragma once
#include "base/err.h"
#include "engine/grammar.h"
#include "engine/tokenizer.h"
#include <jansson.h>

typedef struct chat chat; // one compiled template with the call format recognised in it

// `source` is the Jinja text, `where` names it in errors ("…/tokenizer_config.json:
// chat_template"). bos/eos may be NULL.
chat *chat_open(const char *source, const char *where, const char *bos, const char *eos, err *e);
void chat_close(chat *c);

// messages: array of {role, content, tool_calls?: [{type, function: {name, arguments: object}}]};
// tools: array of {type: "function", function: {name, description, parameters}}, or NULL.
// Appends to out. text (may be NULL) gets the rendered text; the caller frees.
int chat_render(const chat *c, const tokenizer *t, const json_t *messages, const json_t *tools,
                bool add_generation_prompt, token_buf *out, char **text, err *e);

// The call format the template uses, for grammar_from_tools (fills the format fields only). -1 with
// *e when the template shows no format that Hearth knows.
int chat_call_format(const chat *c, struct grammar_tools_options *o, err *e);

// How the model reasons before it answers, if its template knows that: the texts that open and
// close the span, both added tokens. *begin "": the prompt has opened it already. *end NULL: it
// does not.
void chat_reasoning(const chat *c, const tokenizer *t, const char **begin, const char **end);
// Where in what the model wrote the answer begins: behind its reasoning and the line ends there.
size_t chat_answer(const chat *c, const char *text, size_t n);

// Splits what the model wrote (special tokens spelt out, the end token left off) into
// content and calls: *content is freed by the caller, *calls is a new array of
// {name, arguments: object} (empty when there are none).
int chat_parse(const chat *c, const char *text, size_t n, char **content, json_t **calls, err *e);
