// URIs and IRIs: RFC 3986 and 3987.
#pragma once
#include <stdbool.h>
#include <stddef.h>

// `iri`: letters of all scripts; `relative`: the scheme may be absent.
bool uri_holds(const char *s, size_t n, bool iri, bool relative);

// The target of a reference as section 5.2 of RFC 3986 makes it, without its fragment. The caller
// frees.
char *uri_resolve(const char *base, const char *ref);
