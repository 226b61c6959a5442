#include "kernels/kernels.h"

#include "kernels/cuda_probe.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int n_bit;
} types[K_N_TYPE] = {
    [K_F32] = {"f32", 32},      [K_F16] = {"f16", 16},    [K_BF16] = {"bf16", 16},
    [K_E4M3] = {"fp8_e4m3", 8}, [K_NVFP4] = {"nvfp4", 4}, [K_MXFP4] = {"mxfp4", 4},
};

size_t k_row_bytes(enum k_type type, int n_col)
{
    return ((size_t)n_col * (size_t)types[type].n_bit + 7) / 8;
}

const char *k_type_name(enum k_type type)
{
    return types[type].name;
}

size_t k_block_bytes(const struct k_matrix *w)
{
    size_t n_row = (size_t)w->n_row, n_col = (size_t)w->n_col;
    if (!w->block) return 0;
    if (w->type == K_NVFP4 || w->type == K_MXFP4) return n_row * k_block_step(w);
    return (n_row + K_E4M3_BLOCK - 1) / K_E4M3_BLOCK * ((n_col + K_E4M3_BLOCK - 1) / K_E4M3_BLOCK) *
           sizeof(float);
}

size_t k_data_step(const struct k_matrix *w)
{
    return w->data_step ? w->data_step : k_row_bytes(w->type, w->n_col);
}

size_t k_block_step(const struct k_matrix *w)
{
    if (w->block_step) return w->block_step;
    return (size_t)w->n_col / (size_t)(w->type == K_NVFP4 ? K_NVFP4_BLOCK : K_MXFP4_BLOCK);
}

const struct k_gating k_silu = {1, 0, INFINITY};

size_t k_cache_bytes(const struct k_cache *c)
{
    return (size_t)c->n_kv_head * (size_t)c->ctx_max * k_row_bytes(c->type, c->head_dim);
}

size_t k_scale_bytes(const struct k_cache *c)
{
    size_t n = ((size_t)c->ctx_max + K_SCALE_STEP - 1) / K_SCALE_STEP * K_SCALE_STEP;
    return c->type == K_E4M3 ? (size_t)c->n_kv_head * n : 0;
}

const struct k_ops *k_ops_find(const char *name)
{
    static const struct k_ops *const all[] = {&k_cpu, &k_ref, &k_cpu_avx2, &k_cpu_plain,
#ifdef HEARTH_CUDA
                                              &k_cuda
#endif
    };
#ifdef HEARTH_CUDA
    if (!name && cuda_is_here()) return &k_cuda;
#endif
    if (!name) return all[0];
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(all[i]->name, name)) return all[i];
    return NULL;
}

bool k_ops_known(const char *name, err *e)
{
    if (k_ops_find(name)) return true;
    if (!strcmp(name, "cuda"))
        err_set(
            e, ERR_USAGE,
            "backend: this build is without CUDA (the preset cuda makes one that has it); cpu and "
            "ref work here");
    else
        err_set(e, ERR_USAGE,
                "backend: expected cuda, cpu, ref, cpu-avx2 or cpu-plain, found \"%s\"", name);
    return false;
}

int k_kv_type(const struct k_ops *ops, const char *name, enum k_type *type, err *e)
{
    *type = ops->kv_type;
    if (!name || !strcmp(name, k_type_name(*type))) return 0;
    *type = K_BF16;
    if (!strcmp(name, k_type_name(*type))) return 0;
    *type = K_E4M3;
    if (!strcmp(name, "fp8")) return 0;
    return err_set(e, ERR_USAGE, "kv: backend %s has %sbf16 and fp8, found \"%s\"", ops->name,
                   ops->kv_type == K_F32 ? "f32, " : "", name);
}

uint64_t k_memory_available(void)
{
    unsigned long long kb = 0;
    char line[128];
    FILE *f = fopen("/proc/meminfo", "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "MemAvailable: %llu", &kb) == 1) break;
    if (f) fclose(f);
    return kb << 10;
}
