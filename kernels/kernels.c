#include "kernels/kernels.h"

#include <string.h>

static const struct {
    const char *name;
    size_t n_bytes;
} types[K_N_TYPE] = {
    [K_F32] = {"f32", 4},
    [K_F16] = {"f16", 2},
    [K_BF16] = {"bf16", 2},
    [K_E4M3] = {"fp8_e4m3", 1},
};

size_t k_type_bytes(enum k_type type)
{
    return types[type].n_bytes;
}

const char *k_type_name(enum k_type type)
{
    return types[type].name;
}

const struct k_ops *k_ops_find(const char *name)
{
    static const struct k_ops *const all[] = {&k_cpu, &k_ref, &k_cpu_avx2, &k_cpu_plain};
    if (!name) return all[0];
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(all[i]->name, name)) return all[i];
    return NULL;
}
