// A fresh copy of a folder to work in, so that a run starts from the same files every time and the
// original is never touched.
#pragma once
#include "base/err.h"

// Copies the regular files and folders of `from` into a new folder under `parent`; returns its path
// (caller frees). Links and special files are an error; so is more than 64 MB or 10,000 entries. On
// failure nothing is left behind.
char *workspace_copy(const char *from, const char *parent, err *e);
