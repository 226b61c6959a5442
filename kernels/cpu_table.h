// What one instruction set contributes to the cpu backend: single-threaded work on ranges. cpu.c
// divides an operation into such ranges and picks the table once, when the device is opened.
#pragma once
#include "kernels/kernels.h"

#include <assert.h>

enum {
    CPU_BATCH_MAX = 256, // tokens in one call: unpacking weights is small beside multiplying, and a
                         // cancel is seen soon
    BLOCK_ROWS = 24,     // weight rows unpacked together; a multiple of every TILE_ROWS
    BLOCK_COLS = 1024,   // and columns: 24 x 1024 floats stay in the second-level cache
    PANEL_MAX = 32,      // tokens in one panel, at most
    STEP_MAX = 64,       // columns that one step of a product takes, at most
    KEY_BLOCK = 96,      // keys scored together
    KEY_ROOM = KEY_BLOCK * 128,     // and, but for f32, unpacked together: numbers of keys
    UNPACKED_STEP = BLOCK_COLS + 16 // row step of unpacked weights; not a power of two, so that the
                                    // rows of a tile fall into different cache sets
};

// Scratch of one worker; every function may use all of it.
struct scratch {
    _Alignas(64) float unpacked[BLOCK_ROWS * UNPACKED_STEP];
    _Alignas(64) float sums[BLOCK_ROWS * (CPU_BATCH_MAX + PANEL_MAX)]; // [row][token]
    _Alignas(64) float query[K_HEAD_DIM_MAX * PANEL_MAX];              // [head_dim][panel]
    _Alignas(64) float value[K_HEAD_DIM_MAX * PANEL_MAX];              // [head_dim][panel]
    _Alignas(64) float keys[KEY_ROOM], values[KEY_ROOM];               // [key][head_dim]
    _Alignas(64) float score[KEY_BLOCK * PANEL_MAX];                   // [key][panel]
    _Alignas(64) float largest[K_GROUP_MAX], total[K_GROUP_MAX];       // [panel] or [group]
};

// One call of attention, as the workers see it.
struct attention {
    float *out;     // [n_token, n_head, head_dim]
    const float *q; // [n_token, n_head, head_dim]
    const struct k_cache *cache;
    int n_head, pos, n_token;
    int window;         // as in k_attend, but INT_MAX: all
    const float *sinks; // [n_head], or NULL
};

struct cpu_table {
    const char *name;
    int panel; // tokens in one panel
    // One token's x for product_one, in the order that suits w's type; out has room for n_col
    // rounded up to STEP_MAX
    void (*arrange)(float *out, const float *x, const struct k_matrix *w);
    // Rows [row, end) of one product for one token, arranged for the product's type
    void (*product_one)(const struct k_product *p, const float *x, int row, int end);
    // x [n, n_col], n <= panel, to out [n_col, panel], zero where there is no token
    void (*pack_panel)(float *out, const float *x, int n, int n_col);
    // Rows [row, end), at most BLOCK_ROWS, of one product for n_token packed tokens
    void (*product_block)(const struct k_product *p, const float *packed, int n_token, int row,
                          int end, struct scratch *s);
    // A row of n values of a K_E4M3 cache; returns its scale
    unsigned char (*store_codes)(unsigned char *codes, const float *x, int n);
    void (*attend_one)(const struct attention *a, int token, int head, int n_head,
                       struct scratch *s); // heads that share their keys
    void (*attend_panel)(const struct attention *a, int token, int head, struct scratch *s);
    void (*rms_norm)(float *out, const float *x, const float *gain, int dim, float eps); // one row
    void (*rope)(float *x, const float *table, int n_head, int head_dim); // one token
    void (*swiglu)(float *gate, const float *up, size_t n, const struct k_gating *how);
    void (*unpack)(float *out, const struct k_matrix *w, int row); // one row, scaled
    uint64_t (*read_all)(const void *p, size_t n_bytes);
};

static_assert((int)PANEL_MAX <= (int)K_GROUP_MAX, "largest and total serve both");

extern const struct cpu_table simd_plain, simd_avx2, simd_avx2_amd, simd_avx512, simd_neon;

// cpu_sample.c: the operation sample with a temperature above 0.
int32_t cpu_draw(const float *x, int n, const uint64_t *mask, const struct k_sampling *how,
                 uint64_t *room);
