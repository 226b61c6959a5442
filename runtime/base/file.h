// Files of the host side: whole reads with a cap, replacement in one step, paths.
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>

// Reads a regular file of at most max_bytes; NUL-terminated, *n without the NUL. The caller frees.
char *file_read(const char *path, size_t max_bytes, size_t *n, err *e);

// Writes to `path.tmp.PID`, fsyncs and renames, so that readers see the old file or the whole new
// one.
int file_replace(const char *path, const void *bytes, size_t n, err *e);

int file_mkdirs(const char *path, err *e); // mkdir -p, mode 0700
void file_remove_tree(const char *path);   // a folder and all in it; links are not followed
bool file_exists(const char *path);
bool file_is_dir(const char *path);
char *path_join(const char *dir, const char *name); // caller frees
