#include "engine/lex.h"
lex_lang lex_regex(lex *x, const char *p, size_t n, err *e){(void)x;(void)p;(void)n; err_set(e,ERR_INPUT,"no regex yet"); return LEX_FAILED;}
lex_lang lex_format(lex *x, const char *n, bool *found, err *e){(void)x;(void)n;(void)e;*found=false;return LEX_FAILED;}
