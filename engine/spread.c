#include "engine/spread.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static void reserve(struct samples *s, size_t more)
{
    if (s->n + more <= s->cap) return;
    while (s->n + more > s->cap) s->cap = s->cap ? s->cap * 2 : 64;
    s->v = mem_grow(s->v, s->cap * sizeof *s->v);
}

void samples_add(struct samples *s, uint64_t value)
{
    reserve(s, 1);
    s->v[s->n++] = value;
}

void samples_add_all(struct samples *to, const struct samples *from)
{
    if (from->n == 0) return;
    reserve(to, from->n);
    memcpy(to->v + to->n, from->v, from->n * sizeof *from->v);
    to->n += from->n;
}

void samples_free(struct samples *s)
{
    free(s->v);
    *s = (struct samples){0};
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double at(const struct samples *s, double share, double unit)
{
    return (double)s->v[(size_t)(share * (double)(s->n - 1))] / unit;
}

struct spread samples_spread(struct samples *s, double unit)
{
    double sum = 0;
    if (s->n == 0) return (struct spread){0};
    qsort(s->v, s->n, sizeof *s->v, by_size);
    for (size_t i = 0; i < s->n; i++) sum += (double)s->v[i];
    return (struct spread){.avg = sum / (double)s->n / unit,
                           .p50 = at(s, 0.5, unit),
                           .p90 = at(s, 0.9, unit),
                           .p99 = at(s, 0.99, unit),
                           .p999 = at(s, 0.999, unit),
                           .max = at(s, 1, unit)};
}
