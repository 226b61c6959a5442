// A fresh folder under /tmp for one test, and files in it.
#pragma once
#include "base/file.h"
#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline char *temp_dir(void)
{
    char *path = mem_str("/tmp/hearth-test-XXXXXX");
    if (!mkdtemp(path)) abort();
    return path;
}

static inline void temp_remove(char *path)
{
    file_remove_tree(path);
    free(path);
}

static inline void temp_file(const char *dir, const char *name, const char *text)
{
    err e;
    char *path = path_join(dir, name), *slash = strrchr(path, '/');
    *slash = 0;
    if (file_mkdirs(path, &e) < 0) abort();
    *slash = '/';
    if (file_replace(path, text, strlen(text), &e) < 0) abort();
    free(path);
}

// The text of a file, or NULL; the caller frees.
static inline char *temp_text(const char *dir, const char *name)
{
    err e;
    size_t n;
    char *path = path_join(dir, name), *text = file_read(path, 16 << 20, &n, &e);
    free(path);
    return text;
}
