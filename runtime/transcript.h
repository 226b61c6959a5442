// The ordered messages of one conversation: the only truth about it. The KV cache, the screen and
// the trace all follow from it. Every add is committed to the store before it is part of the
// transcript.
#pragma once
#include "base/err.h"
#include "store.h"

typedef struct transcript transcript;

// conversation must exist; its messages are loaded. instructions (may be NULL) become the system
// message, which is not stored: it belongs to the agent, not to the conversation.
transcript *transcript_open(store *s, int64_t conversation, const char *instructions, err *e);
void transcript_close(transcript *t);
int64_t transcript_conversation(const transcript *t);

// Adds what a role said; returns the message's id. parts as in store_message_add:
//   user:      {recalled: ["fact", ...]} shown to the model ahead of the text
//   assistant: {tool_calls: [{name, arguments}, ...]}
//   tool:      {name, call}
// transcript_add commits at once when no transaction is open; inside one, a rollback must be
// followed by transcript_drop_last for each message it undid.
int64_t transcript_add(transcript *t, int role, const char *content, json_t *parts, int n_token,
                       err *e);
void transcript_drop_last(transcript *t);

// The messages in the form chat templates take. Borrowed; valid until the next add.
const json_t *transcript_messages(const transcript *t);
