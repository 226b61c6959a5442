#include "engine/mask_bench_private.h"
void mask_adversarial(struct bench *b, const json_t *tests) { (void)b; (void)tests; }
