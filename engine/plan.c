#include "engine/plan.h"

#include "base/mem.h"
#include "engine/forward.h"

#include <stdio.h>
#include <stdlib.h>

struct memory_plan memory_plan_make(const struct config *c, struct weights *w,
                                    const struct k_ops *ops, enum k_type kv_type, k_device *d,
                                    int ctx_max, int n_session)
{
    struct memory_plan p = {.ctx_max = ctx_max,
                            .n_session = n_session,
                            .kv_type = kv_type,
                            .is_mapped = ops->reads_host};
    const struct tensor *t;
    for (size_t i = 0; (t = weights_at(w, i)); i++)
        p.weights += tensor_bytes_apart(t, (uint64_t)ops->block_align);
    work_bytes(c, ops, kv_type, ctx_max, &p.cache, &p.scratch);
    p.cache *= (uint64_t)n_session;
    p.scratch *= (uint64_t)n_session;
    ops->memory(d, &p.free, &p.floor);
    snprintf(p.backend, sizeof p.backend, "%s", ops->describe(d));
    return p;
}

uint64_t memory_plan_need(const struct memory_plan *p)
{
    return (p->is_mapped ? 0 : p->weights) + p->cache + p->scratch;
}

// "35.4 MB"; one of four texts that take turns.
static const char *size_text(uint64_t n)
{
    static _Thread_local char text[4][32];
    static _Thread_local int turn;
    char *out = text[turn++ % 4];
    if (n >= 1000000000)
        snprintf(out, sizeof text[0], "%.1f GB", (double)n / 1e9);
    else
        snprintf(out, sizeof text[0], "%.1f MB", (double)n / 1e6);
    return out;
}

char *memory_plan_text(const struct memory_plan *p)
{
    char kept[64] = "";
    if (p->floor)
        snprintf(kept, sizeof kept, " (%s kept for everything else)", size_text(p->floor));
    char *sessions = p->n_session == 1 ? mem_str("") : mem_printf(", %d times", p->n_session);
    char *text =
        mem_printf("weights %s%s, keys and values %s in %s (context of %d tokens%s), scratch %s; "
                   "free %s%s",
                   size_text(p->weights), p->is_mapped ? " mapped" : "", size_text(p->cache),
                   k_type_name(p->kv_type), p->ctx_max, sessions, size_text(p->scratch),
                   size_text(p->free), kept);
    free(sessions);
    return text;
}

int memory_plan_check(const struct memory_plan *p, err *e)
{
    if (memory_plan_need(p) <= p->free) return 0;
    char *text = memory_plan_text(p);
    err_set(e, ERR_SYSTEM, "does not fit the memory of %s: %s; a smaller --ctx or model would",
            p->backend, text);
    free(text);
    return -1;
}
