// Files for tools: every path is resolved by the kernel beneath one directory descriptor, without
// following any link, so there is no moment between looking and opening. Answers are JSON; failures
// are words for the model ("notes/x.txt: no such file; did you mean notes/y.txt?").
#pragma once
#include "base/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct fs_broker fs_broker;

enum {
    FS_READ_MAX = 1 << 20,      // bytes of one file
    FS_WRITTEN_MAX = 16 << 20,  // bytes written in one tool call
    FS_FILES_WRITTEN_MAX = 200, // files written in one tool call
    FS_LIST_MAX = 1000,         // entries listed
    FS_SEARCH_BYTES_MAX = 64 << 20,
    FS_SEARCH_MATCHES_MAX = 100
};

struct fs_use { // what one tool call has used up
    size_t bytes_written;
    int files_written;
};

fs_broker *fs_broker_open(const char *workspace, err *e);
void fs_broker_close(fs_broker *b);

// White space around a path is not part of it: small models copy names with the space before them.
//   read(path)          the text
//   write(path, text)   bytes written; makes missing folders, replaces in one step
//   list([path])        {entries: [{name, type, size}], more}; type: file, folder, link, other
//   stat(path)          {type, size}
//   search(text [, path])  {matches: [{path, line, text}], more}; plain text, any case of ASCII
json_t *fs_read(fs_broker *b, struct fs_use *use, const json_t *args, err *why);
json_t *fs_write(fs_broker *b, struct fs_use *use, const json_t *args, err *why);
json_t *fs_list(fs_broker *b, struct fs_use *use, const json_t *args, err *why);
json_t *fs_stat(fs_broker *b, struct fs_use *use, const json_t *args, err *why);
json_t *fs_search(fs_broker *b, struct fs_use *use, const json_t *args, err *why);
