// The cpu backend's arithmetic, written once over the dozen vector operations of a simd_*.h and
// compiled once per instruction set. Include one of those first.
//
// Two shapes of work carry nearly all the time.
//
// One token: a product reads every weight once and should be bound by the bytes of weights, so what
// counts is how few instructions turn bytes into multiply-adds. Four rows go together, each with
// two sums: eight independent multiply-adds hide their latency, and four rows share each load of x.
// Weights are widened in registers; of e4m3 codes the even and the odd ones separately, which needs
// no unpacking of bytes, and x is put in the same order once per product.
//
// Many tokens: bound by multiply-adds. 24 rows x 1024 columns of weights are unpacked to f32 once
// and then meet every panel of tokens. A panel is 8 to 32 tokens stored [column][token], so a
// vector holds one column of several tokens, and a weight is broadcast to it: unpacked weights need
// no transposing, and the tile of TILE_ROWS x TILE_VECS sums stays in registers. Prefill attention
// is the same tile twice, with the cached keys and then the cached values in the place of weights
// and queries in the lanes; the softmax between runs down the lanes and needs no shuffle. Keys are
// taken in blocks with the running maximum and total of each query, so scores of any context fit
// the scratch.
//
// Every output is summed by one thread in an order that depends only on its shape: the number of
// threads changes no bit of a result.
#pragma once
#include "kernels/cpu_table.h"
#include "kernels/number.h"

#include <assert.h>
#include <float.h>

#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

enum { PANEL = TILE_VECS * VL, STEP = 2 * VL };
static_assert((int)BLOCK_ROWS % (int)TILE_ROWS == 0, "a block is whole tiles");
static_assert((int)PANEL <= (int)PANEL_MAX, "scratch holds a panel");

// Elementary functions

// e^x to about one unit in the last place; 0 below -87 (where f32 ends), and x above 88 counts as
// 88. Cody and Waite's reduction to |r| <= ln(2)/2, then the Taylor polynomial.
V_INLINE vf v_exp(vf x)
{
    vf top = v_if_ge(x, v_set(88.0f), v_set(88.0f), x);
    vf bounded = v_max(top, v_set(-87.0f));
    vf n = v_round(v_mul(bounded, v_set(1.44269504f)));
    vf r = v_fma(n, v_set(-0.693359375f), bounded);
    r = v_fma(n, v_set(2.12194440e-4f), r);
    vf p = v_set(1.0f / 5040);
    p = v_fma(p, r, v_set(1.0f / 720));
    p = v_fma(p, r, v_set(1.0f / 120));
    p = v_fma(p, r, v_set(1.0f / 24));
    p = v_fma(p, r, v_set(1.0f / 6));
    p = v_fma(p, r, v_set(0.5f));
    p = v_fma(p, r, v_set(1.0f));
    p = v_fma(p, r, v_set(1.0f));
    return v_if_ge(x, v_set(-87.0f), v_mul(p, v_exp2_whole(n)), v_set(0.0f));
}

// Weights

// STEP weights at index i of a row. Constant `type`: the branch is gone after inlining.
V_INLINE void v_weights(enum k_type type, const void *row, size_t i, vf out[2])
{
    switch (type) {
    case K_F32:
        out[0] = v_load((const float *)row + i);
        out[1] = v_load((const float *)row + i + VL);
        break;
    case K_F16: v_weights_f16((const uint16_t *)row + i, out); break;
    case K_BF16: v_weights_bf16((const uint16_t *)row + i, out); break;
    default: v_weights_e4m3((const uint8_t *)row + i, out); break;
    }
}

// v_weights of the last n < STEP weights of a row, zero beyond them.
V_INLINE void v_weights_tail(enum k_type type, size_t type_bytes, const void *row, size_t i,
                             size_t n, vf out[2])
{
    unsigned char padded[STEP * 4] = {0};
    memcpy(padded, (const char *)row + i * type_bytes, n * type_bytes);
    v_weights(type, padded, 0, out);
}

// What v_weights leaves out of a value: see simd_avx2.h.
static float weight_unit(const struct k_matrix *w)
{
    return w->type == K_E4M3 && !w->block ? 256.0f : 1.0f;
}

V_INLINE const char *row_start(const struct k_matrix *w, size_t type_bytes, size_t row)
{
    return (const char *)w->data + row * (size_t)w->n_col * type_bytes;
}

// n weights of a row with their block scales, from column `col` on.
static void unpack_blocks(float *out, const struct k_matrix *w, size_t row, size_t col, size_t n)
{
    size_t n_col = (size_t)w->n_col, n_across = (n_col + K_E4M3_BLOCK - 1) / K_E4M3_BLOCK;
    const uint8_t *data = (const uint8_t *)w->data + row * k_data_step(w);
    const uint8_t *block = (const uint8_t *)w->block;
    if (w->type != K_E4M3) block += row * k_block_step(w);
    const float *big = (const float *)w->block + row / K_E4M3_BLOCK * n_across;
    for (size_t i = col; i < col + n; i++) {
        uint8_t code = data[i / 2] >> i % 2 * 4;
        if (w->type == K_NVFP4)
            *out++ = e2m1_to_f32(code) * e4m3_to_f32(block[i / K_NVFP4_BLOCK]);
        else if (w->type == K_MXFP4)
            *out++ = e2m1_to_f32(code) * e8m0_to_f32(block[i / K_MXFP4_BLOCK]);
        else
            *out++ = e4m3_to_f32(data[i]) * big[i / K_E4M3_BLOCK];
    }
}

// One token. Its values come arranged: in the order in which a step's vectors hold the weights, and
// padded with zeros to whole steps.

enum { ROWS_TOGETHER = 4, STEP_VECS_MAX = 4, LINE_BYTES = 64 };

V_INLINE int step_vecs(enum k_type type)
{
    return type == K_E4M3 ? 4 : 2;
}

V_INLINE void v_step(enum k_type type, const char *p, vf out[STEP_VECS_MAX])
{
    if (type == K_E4M3)
        v_quads_e4m3((const uint8_t *)p, out);
    else
        v_weights(type, p, 0, out);
}

// Two halves of the unit, one here and one on the sum, keep the products in the middle of the
// range.
static float half_unit(enum k_type type)
{
    return type == K_E4M3 ? QUAD_HALF_UNIT : 1.0f;
}

static void arrange(float *out, const float *x, const struct k_matrix *w)
{
    int n_col = w->n_col, step = step_vecs(w->type) * VL;
    if (w->type != K_E4M3 || w->block) {
        memcpy(out, x, (size_t)n_col * sizeof *x);
        for (int i = n_col; i % step; i++) out[i] = 0;
        return;
    }
    for (; n_col >= STEP_VECS_MAX * VL; n_col -= STEP_VECS_MAX * VL, x += step, out += step)
        for (int i = 0; i < STEP_VECS_MAX * VL; i++) out[v_quad_place(i)] = x[i] * QUAD_HALF_UNIT;
    for (int i = 0; n_col > 0 && i < step; i++)
        out[v_quad_place(i)] = i < n_col ? x[i] * QUAD_HALF_UNIT : 0;
}

// The dot products of n_row consecutive rows with x. type and n_row are constant where it is
// called.
V_INLINE void dot_rows(enum k_type type, size_t type_bytes, int n_row, const char *rows,
                       size_t n_col, const float *x, float *sums)
{
    int n_vec = step_vecs(type);
    size_t row_bytes = n_col * type_bytes, step_bytes = (size_t)(n_vec * VL) * type_bytes, at = 0;
    vf acc[ROWS_TOGETHER][2], w[STEP_VECS_MAX];
    UNROLL for (int r = 0; r < n_row; r++) acc[r][0] = acc[r][1] = v_set(0);
    for (; at + step_bytes <= row_bytes; at += step_bytes, x += n_vec * VL) {
        // While these rows are used the next ones are fetched, in the order in which they lie:
        // memory delivers one stream faster than the four interleaved ones that use it.
        const char *ahead = rows + (size_t)n_row * (row_bytes + at);
        UNROLL for (size_t i = 0; i < (size_t)n_row * step_bytes; i += LINE_BYTES)
            __builtin_prefetch(ahead + i);
        UNROLL for (int r = 0; r < n_row; r++)
        {
            const char *p = rows + (size_t)r * row_bytes + at;
            v_step(type, p, w);
            UNROLL for (int v = 0; v < n_vec; v++) acc[r][v % 2] =
                v_fma(w[v], v_load(x + v * VL), acc[r][v % 2]);
        }
    }
    if (at < row_bytes) {
        for (int r = 0; r < n_row; r++) {
            char padded[STEP_VECS_MAX * VL * 4] = {0};
            memcpy(padded, rows + (size_t)r * row_bytes + at, row_bytes - at);
            v_step(type, padded, w);
            UNROLL for (int v = 0; v < n_vec; v++) acc[r][v % 2] =
                v_fma(w[v], v_load(x + v * VL), acc[r][v % 2]);
        }
    }
    for (int r = 0; r < n_row; r++) sums[r] = v_sum(v_add(acc[r][0], acc[r][1]));
}

static void finish_one(const struct k_product *p, float *out, float y, int row)
{
    if (p->w->scale) y *= p->w->scale[row];
    if (p->bias) y += p->bias[row];
    *out = p->add ? *out + y : y;
}

V_INLINE void product_one_of(enum k_type type, size_t type_bytes, const struct k_product *p,
                             const float *x, int row, int end)
{
    size_t n_col = (size_t)p->w->n_col;
    float sums[ROWS_TOGETHER], unit = half_unit(type);
    for (; row + ROWS_TOGETHER <= end; row += ROWS_TOGETHER) {
        const char *rows = row_start(p->w, type_bytes, (size_t)row);
        dot_rows(type, type_bytes, ROWS_TOGETHER, rows, n_col, x, sums);
        for (int r = 0; r < ROWS_TOGETHER; r++)
            finish_one(p, p->out + row + r, sums[r] * unit, row + r);
    }
    for (; row < end; row++) {
        const char *rows = row_start(p->w, type_bytes, (size_t)row);
        dot_rows(type, type_bytes, 1, rows, n_col, x, sums);
        finish_one(p, p->out + row, sums[0] * unit, row);
    }
}

// Block-scaled weights are made f32 a piece at a time: they are here to be right, not fast.
static void product_one_blocks(const struct k_product *p, const float *x, int row, int end)
{
    float piece[BLOCK_COLS];
    for (; row < end; row++) {
        float sum = 0, part;
        for (int col = 0; col < p->w->n_col; col += BLOCK_COLS) {
            int n = p->w->n_col - col < BLOCK_COLS ? p->w->n_col - col : BLOCK_COLS;
            unpack_blocks(piece, p->w, (size_t)row, (size_t)col, (size_t)n);
            dot_rows(K_F32, 4, 1, (const char *)piece, (size_t)n, x + col, &part);
            sum += part;
        }
        finish_one(p, p->out + row, sum, row);
    }
}

static void product_one(const struct k_product *p, const float *x, int row, int end)
{
    if (p->w->block) {
        product_one_blocks(p, x, row, end);
        return;
    }
    switch (p->w->type) {
    case K_F32: product_one_of(K_F32, 4, p, x, row, end); break;
    case K_F16: product_one_of(K_F16, 2, p, x, row, end); break;
    case K_BF16: product_one_of(K_BF16, 2, p, x, row, end); break;
    default: product_one_of(K_E4M3, 1, p, x, row, end); break;
    }
}

// Many tokens

static void pack_panel(float *out, const float *x, int n, int n_col)
{
    for (int c = 0; c < n_col; c++, out += PANEL)
        for (int t = 0; t < PANEL; t++)
            out[t] = t < n ? x[(size_t)t * (size_t)n_col + (size_t)c] : 0;
}

V_INLINE void unpack_of(enum k_type type, size_t type_bytes, float *out, const char *from, size_t n)
{
    size_t i = 0;
    vf w[2];
    for (; i + STEP <= n; i += STEP) {
        v_weights(type, from, i, w);
        v_store(out + i, w[0]);
        v_store(out + i + VL, w[1]);
    }
    if (i == n) return;
    float last[STEP];
    v_weights_tail(type, type_bytes, from, i, n - i, w);
    v_store(last, w[0]);
    v_store(last + VL, w[1]);
    memcpy(out + i, last, (n - i) * sizeof *out);
}

// Columns [col, col + n) of one row, without scale and unit.
static void unpack_part(float *out, const struct k_matrix *w, int row, size_t col, size_t n)
{
    if (w->block) {
        unpack_blocks(out, w, (size_t)row, col, n);
        return;
    }
    size_t type_bytes = k_row_bytes(w->type, 1);
    const char *from = row_start(w, type_bytes, (size_t)row) + col * type_bytes;
    switch (w->type) {
    case K_F32: unpack_of(K_F32, 4, out, from, n); break;
    case K_F16: unpack_of(K_F16, 2, out, from, n); break;
    case K_BF16: unpack_of(K_BF16, 2, out, from, n); break;
    default: unpack_of(K_E4M3, 1, out, from, n); break;
    }
}

static void unpack_row(float *out, const struct k_matrix *w, int row)
{
    float scale = weight_unit(w) * (w->scale ? w->scale[row] : 1.0f);
    unpack_part(out, w, row, 0, (size_t)w->n_col);
    for (int i = 0; i < w->n_col; i++) out[i] *= scale;
}

// c [n_row, PANEL] (+)= a [n_row, n_k] b [n_k, PANEL], where a's element (r, k) is at
// r * row_step + k * k_step. n_row is constant where it is called.
V_INLINE void tile_of(int n_row, const float *a, size_t row_step, size_t k_step, const float *b,
                      int n_k, float *c, size_t c_step, bool add)
{
    vf acc[TILE_ROWS][TILE_VECS];
    UNROLL for (int r = 0; r < n_row; r++) UNROLL for (int v = 0; v < TILE_VECS; v++) acc[r][v] =
        add ? v_load(c + (size_t)r * c_step + v * VL) : v_set(0);
    for (int k = 0; k < n_k; k++, a += k_step, b += PANEL) {
        vf x[TILE_VECS];
        UNROLL for (int v = 0; v < TILE_VECS; v++) x[v] = v_load(b + v * VL);
        UNROLL for (int r = 0; r < n_row; r++)
        {
            vf w = v_set(a[(size_t)r * row_step]);
            UNROLL for (int v = 0; v < TILE_VECS; v++) acc[r][v] = v_fma(w, x[v], acc[r][v]);
        }
    }
    UNROLL for (int r = 0; r < n_row; r++) UNROLL for (int v = 0; v < TILE_VECS; v++)
        v_store(c + (size_t)r * c_step + v * VL, acc[r][v]);
}

// The same for any number of rows.
static void tiles(int n_row, const float *a, size_t row_step, size_t k_step, const float *b,
                  int n_k, float *c, size_t c_step, bool add)
{
    int r = 0;
    for (; r + TILE_ROWS <= n_row; r += TILE_ROWS)
        tile_of(TILE_ROWS, a + (size_t)r * row_step, row_step, k_step, b, n_k,
                c + (size_t)r * c_step, c_step, add);
    for (; r + 2 <= n_row; r += 2)
        tile_of(2, a + (size_t)r * row_step, row_step, k_step, b, n_k, c + (size_t)r * c_step,
                c_step, add);
    if (r < n_row)
        tile_of(1, a + (size_t)r * row_step, row_step, k_step, b, n_k, c + (size_t)r * c_step,
                c_step, add);
}

// Scales the sums [n_row, c_step] along the tokens, then turns them into out's [token][row].
static void finish_block(const struct k_product *p, struct scratch *s, size_t c_step, int n_token,
                         int row, int n_row)
{
    size_t step = (size_t)p->w->n_row;
    for (int r = 0; r < n_row; r++) {
        float by = weight_unit(p->w) * (p->w->scale ? p->w->scale[row + r] : 1.0f);
        float bias = p->bias ? p->bias[row + r] : 0;
        float *sums = s->sums + (size_t)r * c_step;
        for (size_t t = 0; t < c_step; t += VL)
            v_store(sums + t, v_fma(v_load(sums + t), v_set(by), v_set(bias)));
    }
    for (int t = 0; t < n_token; t++) {
        float *out = p->out + (size_t)t * step + row;
        const float *sums = s->sums + t;
        if (p->add)
            for (int r = 0; r < n_row; r++) out[r] += sums[(size_t)r * c_step];
        else
            for (int r = 0; r < n_row; r++) out[r] = sums[(size_t)r * c_step];
    }
}

static void product_block(const struct k_product *p, const float *packed, int n_token, int row,
                          int end, struct scratch *s)
{
    int n_col = p->w->n_col, n_panel = (n_token + PANEL - 1) / PANEL;
    size_t c_step = (size_t)n_panel * PANEL;
    for (int col = 0; col < n_col; col += BLOCK_COLS) {
        int n = n_col - col < BLOCK_COLS ? n_col - col : BLOCK_COLS;
        for (int r = row; r < end; r++)
            unpack_part(s->unpacked + (size_t)(r - row) * UNPACKED_STEP, p->w, r, (size_t)col,
                        (size_t)n);
        for (int i = 0; i < n_panel; i++) {
            const float *panel = packed + ((size_t)i * (size_t)n_col + (size_t)col) * PANEL;
            tiles(end - row, s->unpacked, UNPACKED_STEP, 1, panel, n, s->sums + i * PANEL, c_step,
                  col > 0);
        }
    }
    finish_block(p, s, c_step, n_token, row, end - row);
}

// Attention

// No branch in the loops, so that the compiler makes vectors of them.
static unsigned char store_codes(unsigned char *codes, const float *x, int n)
{
    uint32_t largest = 0;
    for (int i = 0; i < n; i++) {
        uint32_t size = f32_bits(x[i]) & 0x7fffffff;
        largest = size > largest ? size : largest;
    }
    if (largest >= 0x7f800000) {
        memset(codes, 0x7f, (size_t)n);
        return 127;
    }
    uint8_t scale = e4m3_row_scale(largest);
    float by = f32_from_bits((254u - scale) << 23);
    for (int i = 0; i < n; i++) {
        // To the nearest, ties to even: of a normal code by a carry from the bits that go, of a
        // subnormal one by adding a number whose last bit is worth as much as the code's.
        uint32_t bits = f32_bits(x[i] * by), size = bits & 0x7fffffff;
        uint32_t normal = ((size + 0x7ffff + (size >> 20 & 1)) >> 20) - (120u << 3);
        uint32_t small = f32_bits(f32_from_bits(size) + 0x1p14f) - f32_bits(0x1p14f);
        uint32_t code = size < f32_bits(0x1p-6f) ? small : normal;
        codes[i] = (unsigned char)(code | (bits >> 24 & 0x80));
    }
    return scale;
}

// n rows of codes as f32. One code that is NaN says that its row is.
static void unpack_codes(float *out, const unsigned char *codes, const unsigned char *scale, int n,
                         int dim)
{
    for (int r = 0; r < n; r++, out += dim, codes += dim) {
        float by = f32_from_bits((uint32_t)scale[r] << 23);
        unpack_of(K_E4M3, 1, out, (const char *)codes, (size_t)dim);
        if (e4m3_is_nan(*codes)) by = NAN;
        for (int i = 0; i < dim; i++) out[i] = out[i] * 256.0f * by; // the unit of v_weights
    }
}

// How many keys go together.
static int key_block(const struct k_cache *c)
{
    int n = c->type == K_F32 ? (int)KEY_BLOCK : (int)KEY_ROOM / c->head_dim;
    return n < (int)KEY_BLOCK ? n : (int)KEY_BLOCK;
}

// Keys or values [first, first + n) of a head; what is not f32 is unpacked to `room`.
static const float *rows_at(const struct attention *a, bool values, int head, int first, int n,
                            float *room)
{
    const struct k_cache *c = a->cache;
    const void *rows = values ? c->v : c->k;
    size_t kv_head = (size_t)(head / (a->n_head / c->n_kv_head));
    size_t at = (kv_head * (size_t)c->ctx_max + (size_t)first) * (size_t)c->head_dim;
    if (c->type == K_F32) return (const float *)rows + at;
    if (c->type == K_BF16) {
        size_t n_value = (size_t)n * (size_t)c->head_dim;
        unpack_of(K_BF16, sizeof(uint16_t), room, (const char *)((const uint16_t *)rows + at),
                  n_value);
        return room;
    }
    const unsigned char *scale = values ? c->v_scale : c->k_scale;
    scale += kv_head * (k_scale_bytes(c) / (size_t)c->n_kv_head) + (size_t)first;
    unpack_codes(room, (const unsigned char *)rows + at, scale, n, c->head_dim);
    return room;
}

static float dot(const float *a, const float *b, int n)
{
    vf sum = v_set(0);
    int i = 0;
    for (; i + VL <= n; i += VL) sum = v_fma(v_load(a + i), v_load(b + i), sum);
    float s = v_sum(sum);
    for (; i < n; i++) s += a[i] * b[i];
    return s;
}

// p[i] = q . k[i]. Four keys together, as one sum alone waits for itself.
static void score_keys(float *p, const float *q, const float *k, int n_key, int dim)
{
    enum { KEYS = 4 };
    int i = 0;
    for (; i + KEYS <= n_key; i += KEYS, k += KEYS * (size_t)dim) {
        vf acc[KEYS];
        int d = 0;
        UNROLL for (int j = 0; j < KEYS; j++) acc[j] = v_set(0);
        for (; d + VL <= dim; d += VL) {
            vf x = v_load(q + d);
            UNROLL for (int j = 0; j < KEYS; j++) acc[j] =
                v_fma(x, v_load(k + (size_t)j * (size_t)dim + d), acc[j]);
        }
        for (int j = 0; j < KEYS; j++) {
            p[i + j] = v_sum(acc[j]);
            for (int rest = d; rest < dim; rest++)
                p[i + j] += q[rest] * k[(size_t)j * (size_t)dim + (size_t)rest];
        }
    }
    for (; i < n_key; i++, k += dim) p[i] = dot(q, k, dim);
}

// y = y * keep + the sum over j of p[j] * v[j]; keep 0: whatever y holds is gone
static void weigh_values(float *y, float keep, const float *p, const float *v, int n_key, int dim)
{
    enum { WIDE = 8 }; // vectors of y held in registers
    int i = 0;
    for (; i + WIDE * VL <= dim; i += WIDE * VL) {
        vf acc[WIDE];
        UNROLL for (int k = 0; k < WIDE; k++) acc[k] =
            keep > 0 ? v_mul(v_load(y + i + k * VL), v_set(keep)) : v_set(0);
        for (int j = 0; j < n_key; j++)
            UNROLL for (int k = 0; k < WIDE; k++) acc[k] =
                v_fma(v_set(p[j]), v_load(v + (size_t)j * (size_t)dim + i + k * VL), acc[k]);
        UNROLL for (int k = 0; k < WIDE; k++) v_store(y + i + k * VL, acc[k]);
    }
    for (; i < dim; i++) {
        float sum = keep > 0 ? y[i] * keep : 0;
        for (int j = 0; j < n_key; j++) sum += p[j] * v[(size_t)j * (size_t)dim + (size_t)i];
        y[i] = sum;
    }
}

// Scores of one query, times `by`, to probabilities against the largest so far, which is returned.
static float soften_row(float *p, int n, float by, float old, float *total)
{
    float largest = old;
    for (int i = 0; i < n; i++) {
        p[i] *= by;
        largest = p[i] > largest ? p[i] : largest;
    }
    for (int i = n; i % VL; i++) p[i] = -INFINITY;
    vf sum = v_set(0);
    for (int i = 0; i < n; i += VL) {
        vf e = v_exp(v_add(v_load(p + i), v_set(-largest)));
        v_store(p + i, e);
        sum = v_add(sum, e);
    }
    *total = *total * expf(old - largest) + v_sum(sum);
    return largest;
}

// The first position that the token at `pos` sees.
static int first_seen(const struct attention *a, int pos)
{
    return pos < a->window ? 0 : pos + 1 - a->window;
}

static float sink_of(const struct attention *a, int head)
{
    return a->sinks ? a->sinks[head] : -INFINITY;
}

// The n_head heads from `head` on, which share their keys, of one token against everything it sees:
// lanes run along the head, then along the keys. Block by block, so that what comes from memory for
// the first head is in the cache for the others. Sinks are in the running maximum and total from
// the beginning.
static void attend_one(const struct attention *a, int token, int head, int n_head,
                       struct scratch *s)
{
    const struct k_cache *c = a->cache;
    int dim = c->head_dim, n_key = a->pos + token + 1, block = key_block(c);
    int start = first_seen(a, a->pos + token);
    size_t at = ((size_t)token * (size_t)a->n_head + (size_t)head) * (size_t)dim;
    for (int h = 0; h < n_head; h++) {
        s->largest[h] = sink_of(a, head + h);
        s->total[h] = s->largest[h] > -INFINITY ? 1 : 0;
    }
    for (int j = start; j < n_key; j += block) {
        int n = n_key - j < block ? n_key - j : block;
        const float *k = rows_at(a, false, head, j, n, s->keys);
        const float *v = rows_at(a, true, head, j, n, s->values);
        for (int h = 0; h < n_head; h++) {
            size_t of_head = at + (size_t)(h * dim);
            float old = s->largest[h];
            score_keys(s->score, a->q + of_head, k, n, dim);
            s->largest[h] = soften_row(s->score, n, 1 / sqrtf((float)dim), old, &s->total[h]);
            float keep = j > start ? expf(old - s->largest[h]) : 0;
            weigh_values(a->out + of_head, keep, s->score, v, n, dim);
        }
    }
    for (int h = 0; h < n_head; h++)
        for (int i = 0; i < dim; i++) a->out[at + (size_t)(h * dim + i)] /= s->total[h];
}

// Scores of key `key` that a query in the lanes may not see, since it lies ahead or behind the
// window, become -infinity: lane i stands at `first` + i.
static void hide_unseen(float *score, int key, int first, int window)
{
    for (int i = 0; i < PANEL && first + i < key; i++) score[i] = -INFINITY;
    for (int i = PANEL - 1; i >= 0 && first + i - key >= window; i--) score[i] = -INFINITY;
}

// Scores [n, PANEL] to probabilities against the running maximum; s->value is scaled down to it.
// A lane that has seen nothing yet stays as it is.
static void soften(struct scratch *s, int n, int dim)
{
    for (int v = 0; v < PANEL; v += VL) {
        vf old = v_load(s->largest + v), largest = old, sum = v_set(0);
        for (int j = 0; j < n; j++) largest = v_max(v_load(s->score + j * PANEL + v), largest);
        vf minus = v_mul(v_max(largest, v_set(-FLT_MAX)), v_set(-1));
        for (int j = 0; j < n; j++) {
            vf e = v_exp(v_add(v_load(s->score + j * PANEL + v), minus));
            v_store(s->score + j * PANEL + v, e);
            sum = v_add(sum, e);
        }
        v_store(s->largest + v, largest);
        vf keep = v_exp(v_add(old, minus));
        v_store(s->total + v, v_fma(v_load(s->total + v), keep, sum));
        for (int d = 0; d < dim; d++)
            v_store(s->value + d * PANEL + v, v_mul(v_load(s->value + d * PANEL + v), keep));
    }
}

// One head of a panel of queries, the tokens from `token` on.
static void attend_panel(const struct attention *a, int token, int head, struct scratch *s)
{
    const struct k_cache *c = a->cache;
    int dim = c->head_dim, n = a->n_token - token < PANEL ? a->n_token - token : PANEL;
    int first = a->pos + token, n_key = first + n, together = key_block(c);
    int start = first_seen(a, first);
    float sink = sink_of(a, head);
    size_t step = (size_t)a->n_head * (size_t)dim, size = (size_t)dim;
    size_t at = (size_t)token * step + (size_t)head * size;
    float by = 1 / sqrtf((float)dim);
    for (int d = 0; d < dim; d++)
        for (int t = 0; t < PANEL; t++)
            s->query[d * PANEL + t] = t < n ? a->q[at + (size_t)t * step + (size_t)d] * by : 0;
    for (int t = 0; t < PANEL; t++) s->largest[t] = sink, s->total[t] = sink > -INFINITY ? 1 : 0;
    memset(s->value, 0, (size_t)dim * PANEL * sizeof *s->value);
    for (int j = start; j < n_key; j += together) {
        int block = n_key - j < together ? n_key - j : together;
        const float *k = rows_at(a, false, head, j, block, s->keys);
        const float *v = rows_at(a, true, head, j, block, s->values);
        tiles(block, k, size, 1, s->query, dim, s->score, PANEL, false);
        for (int i = 0; i < block; i++) hide_unseen(s->score + i * PANEL, j + i, first, a->window);
        soften(s, block, dim);
        tiles(dim, v, 1, size, s->score, block, s->value, PANEL, true);
    }
    for (int t = 0; t < n; t++)
        for (int d = 0; d < dim; d++)
            a->out[at + (size_t)t * step + (size_t)d] = s->value[d * PANEL + t] / s->total[t];
}

// The small operations

static void rms_norm(float *out, const float *x, const float *gain, int dim, float eps)
{
    float inverse = 1 / sqrtf(dot(x, x, dim) / (float)dim + eps);
    int i = 0;
    for (; i + VL <= dim; i += VL)
        v_store(out + i, v_mul(v_mul(v_load(x + i), v_set(inverse)), v_load(gain + i)));
    for (; i < dim; i++) out[i] = x[i] * inverse * gain[i];
}

static void rope(float *x, const float *table, int n_head, int head_dim)
{
    int half = head_dim / 2;
    for (int h = 0; h < n_head; h++, x += head_dim) {
        int i = 0;
        for (; i + VL <= half; i += VL) {
            vf a = v_load(x + i), b = v_load(x + half + i);
            vf c = v_load(table + i), s = v_load(table + half + i);
            v_store(x + i, v_fma(a, c, v_mul(v_mul(b, s), v_set(-1))));
            v_store(x + half + i, v_fma(b, c, v_mul(a, s)));
        }
        for (; i < half; i++) {
            float a = x[i], b = x[half + i], c = table[i], s = table[half + i];
            x[i] = a * c - b * s;
            x[half + i] = b * c + a * s;
        }
    }
}

// Comparisons with a NaN are false: it stays what it is.
V_INLINE vf gated(vf g, vf u, const struct k_gating *how)
{
    vf most = v_set(how->limit), least = v_set(-how->limit);
    g = v_if_ge(g, most, most, g);
    u = v_if_ge(u, most, most, u);
    u = v_if_ge(least, u, least, u);
    vf e = v_exp(v_mul(g, v_set(-how->slope)));
    return v_mul(v_div(g, v_add(v_set(1), e)), v_add(u, v_set(how->shift)));
}

static void swiglu(float *gate, const float *up, size_t n, const struct k_gating *how)
{
    size_t i = 0;
    for (; i + VL <= n; i += VL) v_store(gate + i, gated(v_load(gate + i), v_load(up + i), how));
    if (i == n) return;
    float g[VL] = {0}, u[VL] = {0};
    memcpy(g, gate + i, (n - i) * sizeof *g);
    memcpy(u, up + i, (n - i) * sizeof *u);
    v_store(g, gated(v_load(g), v_load(u), how));
    memcpy(gate + i, g, (n - i) * sizeof *g);
}

static uint64_t read_all(const void *p, size_t n_bytes)
{
    // GCC's and Clang's own vectors: whole registers of integers, read from any address.
    typedef uint64_t wide __attribute__((vector_size(VL * 4), aligned(1), may_alias));
    enum { SUMS = 4 }; // independent, so that only memory is waited for
    const char *at = p, *end = at + n_bytes;
    wide sum[SUMS] = {0};
    uint64_t total = 0;
    for (; (size_t)(end - at) >= sizeof sum; at += sizeof sum)
        UNROLL for (size_t k = 0; k < SUMS; k++) sum[k] += ((const wide *)at)[k];
    for (size_t k = 0; k < SUMS; k++)
        for (size_t i = 0; i < sizeof(wide) / 8; i++) total += sum[k][i];
    while (at < end) total += (unsigned char)*at++;
    return total;
}

const struct cpu_table SIMD_TABLE = {
    .name = SIMD_NAME,
    .panel = PANEL,
    .arrange = arrange,
    .product_one = product_one,
    .pack_panel = pack_panel,
    .product_block = product_block,
    .store_codes = store_codes,
    .attend_one = attend_one,
    .attend_panel = attend_panel,
    .rms_norm = rms_norm,
    .rope = rope,
    .swiglu = swiglu,
    .unpack = unpack_row,
    .read_all = read_all,
};
