#include "engine/lex_private.h"
#include "base/mem.h"
#include <string.h>
#include <stdlib.h>
void numbers_free(struct numbers *n){(void)n;}
size_t numbers_bytes(const struct numbers *n){(void)n;return 0;}
uint32_t number_and(lex *x, uint32_t a, uint32_t b){(void)x; if(a==2||b==2)return 2; return a>b?a:b;}
uint32_t number_or(lex *x, uint32_t a, uint32_t b){(void)x; if(a==2)return b; if(b==2) return a; return a<b?a:b;}
uint32_t number_not(lex *x, uint32_t a){(void)x; return a==1?2:1;}
bool number_prepare(lex *x, uint32_t a){(void)x;(void)a;return true;}
lex_state number_start(lex *x, uint32_t a){ return a==2?0:state_of(x,STAGE_NUMBER,false,a,0,false);}
lex_state number_step(lex *x, const struct state *s, uint8_t c){
 uint32_t n; bool d=c>='0'&&c<='9'; bool acc=false;
 switch(s->b){
 case 0: if(c=='-')n=1; else if(c=='0'){n=2;acc=true;} else if(d){n=3;acc=true;} else return 0; break;
 case 1: if(c=='0'){n=2;acc=true;} else if(d){n=3;acc=true;} else return 0; break;
 case 3: if(d){n=3;acc=true;break;} /* fall through */
 case 2: if(c=='.'&&s->a==1)n=4; else return 0; break;
 case 4: if(d){n=5;acc=true;} else return 0; break;
 case 5: if(d){n=5;acc=true;} else return 0; break;
 default: return 0;}
 return state_of(x,STAGE_NUMBER,false,s->a,n,acc);}
uint32_t number_rest(lex *x, uint32_t a){(void)x;(void)a;return 1;}
uint32_t number_count(lex *x, lex_state s){(void)x;(void)s;return LEX_MANY;}
extern lex_lang lex_tmp_number(lex*x,uint32_t a);
bool number_has(lex *x, uint32_t a, const char *t, size_t n){(void)x;(void)a;(void)t;(void)n;return true;}
lex_lang lex_regex(lex *x, const char *p, size_t n, err *e){(void)x;(void)p;(void)n; err_set(e,ERR_INPUT,"no regex yet"); return LEX_FAILED;}
lex_lang lex_format(lex *x, const char *n, bool *found, err *e){(void)x;(void)n;(void)e;*found=false;return LEX_FAILED;}
lex_lang lex_integer(lex *x){return lex_tmp_number(x,3);}
lex_lang lex_at_least(lex *x, const char *t, bool b, err *e){(void)x;(void)t;(void)b;err_set(e,ERR_INPUT,"no bounds yet");return LEX_FAILED;}
lex_lang lex_at_most(lex *x, const char *t, bool b, err *e){return lex_at_least(x,t,b,e);}
lex_lang lex_multiple(lex *x, const char *t, err *e){return lex_at_least(x,t,false,e);}
lex_lang lex_number(lex *x, const char *t, err *e){return lex_at_least(x,t,false,e);}
lex_lang lang_of(lex *x, bool number, uint32_t a);
lex_lang lex_tmp_number(lex*x,uint32_t a){return lang_of(x,true,a);}
lex_lang number_lang(lex *x, uint32_t a){return lang_of(x,true,a);}
