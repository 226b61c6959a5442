// If this fails, products of short numbers (kernels/cuda_short.cu) are not what they say: x is
// rounded to something else than NVFP4 or e4m3, or codes meet the wrong codes or the wrong scales.
// The kernels' own code runs on the CPU (emulated_gpu.h), and is compared
//
//   - with plain loops in double precision over x rounded by the definition (short_x.h): but for
//     the order of sums nothing may differ, 1e-5 of the sum of the terms' sizes
//   - with the same loops over x itself: what rounding may cost. The largest value of a block of 16
//     or 128 becomes 6 or 448 (6.4, when its scale is rounded down), where codes are 2 or 32 apart:
//     of it a value is off by at most 0.18 or 0.037.
//
// The emulated instructions are compared with their tables in the PTX ISA: for each lane and each
// value in it, the row and column it has.
#define HEARTH_EMULATED
#include "kernels/cuda_short.cu"

#include "arena.h"
#include "short_x.h"

enum kind { NVFP4, E4M3_BLOCKS, E4M3_ROWS, N_KIND };

// FP4 codes are random bytes: whatever order they are kept in, weight_value reads them.
static struct k_matrix matrix(arena &a, enum kind kind, int n_row, int n_col)
{
    struct k_matrix w = {};
    size_t n = (size_t)n_row * (size_t)n_col, n_byte = kind == NVFP4 ? n / 2 : n;
    unsigned char *data = a.many<unsigned char>(n_byte);
    w.type = kind == NVFP4 ? K_NVFP4 : K_E4M3, w.n_row = n_row, w.n_col = n_col;
    w.data = data, w.short_x = true;
    for (size_t i = 0; i < n_byte; i++)
        data[i] = kind == NVFP4 ? (unsigned char)a.random() : f32_to_e4m3(a.normal());
    if (kind != E4M3_BLOCKS || a.random() % 2) w.scale = a.normals((size_t)n_row, 0.1f);
    if (kind == NVFP4) { // any, subnormals too, or such as are alike
        unsigned char *block = a.many<unsigned char>(n / K_NVFP4_BLOCK);
        bool any = a.random() % 2;
        for (size_t i = 0; i < n / K_NVFP4_BLOCK; i++)
            block[i] = (unsigned char)(any ? a.random() % 0x7f : 0x30 + a.random() % 16);
        w.block = block;
    } else if (kind == E4M3_BLOCKS) {
        w.block = a.normals((size_t)((n_row + 127) / 128 * ((n_col + 127) / 128)), 1);
    }
    return with_steps(&w);
}

// Activations, some of them large, some tokens larger than others, and one block of zeros.
static float *activations(arena &a, int n_token, int n_col)
{
    float *x = a.normals((size_t)n_token * (size_t)n_col, 1);
    for (int t = 0; t < n_token; t++) {
        float scale = ldexpf(1, a.whole(-8, 8));
        for (int c = 0; c < n_col; c++)
            x[(size_t)t * (size_t)n_col + (size_t)c] *= scale * (a.random() % 64 ? 1 : 20);
    }
    memset(x + n_col / 32 * 16, 0, 16 * sizeof *x);
    return x;
}

static struct k_act act(arena &a, const float *x, int n_token, int n_col)
{
    struct k_act act = {};
    size_t n = (size_t)n_token * (size_t)n_col;
    act.form = FORM_SHORT, act.n_col = n_col;
    act.hi[X_F16] = a.many<uint16_t>(n);
    for (size_t i = 0; i < n; i++) act.hi[X_F16][i] = f16_bits(x[i] * F16_UNIT);
    act.q = a.many<unsigned char>(n);
    act.q_scale = a.many<float>(n / K_E4M3_BLOCK);
    return act;
}

struct product_case {
    enum kind kind;
    int n_row, n_col, n_token;
};

static void check_product(const struct product_case &s, unsigned seed)
{
    arena a(seed);
    k_device device = {}, *d = &device;
    d->read_sum = a.many<unsigned>(1);
    assert_true(cuda_short_open(d));
    size_t n_row = (size_t)s.n_row, n_col = (size_t)s.n_col, n_token = (size_t)s.n_token;
    struct k_matrix w = matrix(a, s.kind, s.n_row, s.n_col);
    float *x = activations(a, s.n_token, s.n_col);
    struct k_act in = act(a, x, s.n_token, s.n_col);
    size_t n_out = n_token * n_row;
    const float *bias = a.random() % 2 ? a.normals(n_row, 1) : nullptr;
    bool add = a.random() % 2;
    float *out = add ? a.normals(n_out, 1) : a.many<float>(n_out);
    std::vector<float> old(out, out + n_out);
    struct k_product p = {&w, bias, out, add};
    assert_true(cuda_short_takes(d, &in, &w));
    cuda_short_product(d, &in, &p, s.n_token);

    std::vector<float> rounded(n_token * n_col);
    numbers row(n_col);
    for (size_t t = 0; t < n_token; t++)
        (s.kind == NVFP4 ? short_x_nvfp4 : short_x_e4m3)(&rounded[t * n_col], x + t * n_col,
                                                         s.n_col);
    // The scales of blocks use all that e4m3 has.
    for (size_t t = 0; s.kind == NVFP4 && t < n_token; t++) {
        const unsigned char *scales = in.q + n_token * n_col / 2 + t * n_col / 16;
        assert_int_equal(*std::max_element(scales, scales + n_col / 16), 0x7e);
    }
    // The largest value of each block, which what rounding costs is relative to.
    size_t block = s.kind == NVFP4 ? 16 : 128;
    numbers largest(n_token * n_col);
    for (size_t i = 0; i < largest.size(); i++)
        for (size_t k = i / block * block; k < (i / block + 1) * block; k++)
            largest[i] = fmax(largest[i], fabs((double)x[k]));
    double worst = 0, lost = 0;
    for (size_t r = 0; r < n_row; r++) {
        for (size_t c = 0; c < n_col; c++)
            row[c] = (double)weight_value(w, r, c) * (double)(w.scale ? w.scale[r] : 1);
        for (size_t t = 0; t < n_token; t++) {
            double same = (bias ? (double)bias[r] : 0) + (add ? (double)old[t * n_row + r] : 0);
            double exact = same, size = fabs(same), room = size, y = (double)out[t * n_row + r];
            for (size_t c = 0; c < n_col; c++) {
                same += row[c] * (double)rounded[t * n_col + c];
                exact += row[c] * (double)x[t * n_col + c];
                size += fabs(row[c] * (double)x[t * n_col + c]);
                room += fabs(row[c] * largest[t * n_col + c]);
            }
            double error = fabs(y - same) / (size + 1e-30), loss = fabs(y - exact) / (room + 1e-30);
            if (!(error <= 1e-5))
                fail_msg("kind %d [%d, %d] x %d: row %zu, token %zu: %g instead of %g (of %g)",
                         s.kind, s.n_row, s.n_col, s.n_token, r, t, y, same, size);
            worst = fmax(worst, error), lost = fmax(lost, loss);
        }
    }
    printf("kind %d [%d, %d] x %d: off by %.1e, rounding costs %.1e\n", s.kind, s.n_row, s.n_col,
           s.n_token, worst, lost);
    if (!(lost <= (s.kind == NVFP4 ? 0.18 : 0.037))) fail_msg("rounding lost %g", lost);
    for (int i = 0; i < 32; i++)
        if (out[n_out + (size_t)i] == out[n_out + (size_t)i]) fail_msg("wrote behind its output");
}

template <int KIND> static void test_products(void **)
{
    enum kind kind = (enum kind)KIND;
    static const struct {
        int n_row, n_col, n_token;
    } edges[] = {{256, 128, 128}, {1, 128, 9}, {257, 384, 33}, {300, 640, 130}, {96, 1024, 16}};
    std::mt19937 random(KIND + 1);
    for (const auto &e : edges)
        check_product({kind, e.n_row, e.n_col, e.n_token}, (unsigned)random());
    for (int i = 0; i < 6; i++)
        check_product({kind, 1 + (int)(random() % 500), 128 * (1 + (int)(random() % 5)),
                       9 + (int)(random() % 200)},
                      (unsigned)random());
}

// silu(gate) * up as short numbers. What the two are off by, 1e-5 of their terms, the gate hands
// on.
static void check_gate(const struct product_case &s, unsigned seed)
{
    arena a(seed);
    k_device device = {}, *d = &device;
    d->read_sum = a.many<unsigned>(1);
    assert_true(cuda_short_open(d));
    size_t n_row = (size_t)s.n_row, n_col = (size_t)s.n_col, n_token = (size_t)s.n_token,
           n_out = n_token * n_row;
    struct k_matrix w[2] = {matrix(a, s.kind, s.n_row, s.n_col),
                            matrix(a, s.kind, s.n_row, s.n_col)};
    float *x = a.normals(n_token * n_col, 1);
    struct k_act in = act(a, x, s.n_token, s.n_col), out = {};
    out.n_col = s.n_row, out.form = FORM_F32, out.n_sum = 3, out.q_form = Q_TOKEN;
    for (int i = 0; i < X_N_KIND; i++) out.hi[i] = a.many<uint16_t>(n_out);
    struct k_gate g = {&w[0], &w[1], {nullptr, nullptr}};
    assert_true(cuda_short_gates(d, &out, &in, &g, s.n_token));
    cuda_short_gate(d, &out, &in, &g, s.n_token);
    assert_true(out.form == FORM_SHORT && out.n_sum == 0 && out.q_form == Q_NONE);

    std::vector<float> rounded(n_token * n_col);
    for (size_t t = 0; t < n_token; t++)
        (s.kind == NVFP4 ? short_x_nvfp4 : short_x_e4m3)(&rounded[t * n_col], x + t * n_col,
                                                         s.n_col);
    numbers row[2] = {numbers(n_col), numbers(n_col)};
    size_t n_checked = 0;
    for (size_t r = 0; r < n_row; r++) {
        for (int i = 0; i < 2; i++)
            for (size_t c = 0; c < n_col; c++)
                row[i][c] =
                    (double)weight_value(w[i], r, c) * (double)(w[i].scale ? w[i].scale[r] : 1);
        for (size_t t = 0; t < n_token; t++) {
            double v[2] = {0, 0}, size[2] = {0, 0};
            for (int i = 0; i < 2; i++)
                for (size_t c = 0; c < n_col; c++) {
                    double term = row[i][c] * (double)rounded[t * n_col + c];
                    v[i] += term, size[i] += fabs(term);
                }
            double silu = v[0] / (1 + exp(-v[0])), want = silu * v[1];
            double room = 1e-5 * (fabs(silu) * size[1] + 1.2 * size[0] * fabs(v[1]) +
                                  1e-5 * size[0] * size[1]);
            if (fabs(want) + room > 5e5) continue; // f16 ends at 2^20
            double f16 = (double)f16_value(out.hi[X_F16][t * n_row + r]) / (double)F16_UNIT,
                   bf16 = (double)bf16_value(out.hi[X_BF16][t * n_row + r]);
            if (!(fabs(f16 - want) <= room + fabs(want) / 2000 + 0x1p-20) ||
                !(fabs(bf16 - want) <= room + fabs(want) / 250))
                fail_msg("kind %d [%d, %d] x %d: row %zu, token %zu: %g, %g instead of %g", s.kind,
                         s.n_row, s.n_col, s.n_token, r, t, f16, bf16, want);
            n_checked++;
        }
    }
    assert_true(n_checked > n_out / 2);
    for (int i = 0; i < X_N_KIND; i++)
        for (size_t k = n_out; k < n_out + 64; k++) assert_int_equal(out.hi[i][k], 0xffff);
}

template <int KIND> static void test_gates(void **)
{
    enum kind kind = (enum kind)KIND;
    std::mt19937 random(KIND + 100);
    check_gate({kind, 128, 128, 9}, (unsigned)random());
    check_gate({kind, 192, 384, 150}, (unsigned)random());
    for (int i = 0; i < 3; i++)
        check_gate({kind, 64 * (1 + (int)(random() % 5)), 128 * (1 + (int)(random() % 4)),
                    9 + (int)(random() % 150)},
                   (unsigned)random());
}

// Runs of experts: places as kernels/cuda_experts.cu makes them, tiles that are not full, experts
// that nobody chose, more tiles than there are. Gate and up are judged by what they leave, down by
// the product with that rounded.
static void check_experts(enum kind kind, int n_token, int dim, int ffn, unsigned seed)
{
    enum { N_EXPERT = 5, N_USED = 2 };
    arena a(seed);
    k_device device = {}, *d = &device;
    d->read_sum = a.many<unsigned>(1);
    assert_true(cuda_short_open(d));
    size_t n_pair = (size_t)(n_token * N_USED), cols = (size_t)dim, rows = (size_t)ffn;
    struct k_matrix *list = a.many<struct k_matrix>(N_EXPERT * EXPERT_MATRICES), w[3][N_EXPERT];
    for (int i = 0; i < N_EXPERT; i++) {
        for (int k = 0; k < 3; k++) {
            w[k][i] = matrix(a, kind, k == EXPERT_DOWN ? dim : ffn, k == EXPERT_DOWN ? ffn : dim);
            // Sums that stay near 1.
            int n_row = w[k][i].n_row;
            w[k][i].scale = a.normals((size_t)n_row, 0.1f / sqrtf((float)w[k][i].n_col));
            list[i * EXPERT_MATRICES + k] = w[k][i];
        }
    }
    struct expert_runs runs = {};
    runs.n_used = N_USED, runs.tile_max = (int)n_pair / RUN_TILE + N_EXPERT;
    runs.order = a.many<int>(n_pair), runs.n_tile = a.many<int>(1);
    runs.tiles = a.many<struct run_tile>((size_t)runs.tile_max);
    std::vector<int> expert(n_pair), of_place(n_pair);
    for (size_t i = 0; i < n_pair; i++) { // two different ones for a token, never the last
        expert[i] = a.whole(0, N_EXPERT - 2);
        if (i % 2 && expert[i] == expert[i - 1]) expert[i] = (expert[i] + 1) % (N_EXPERT - 1);
    }
    int n_place = 0;
    *runs.n_tile = 0;
    for (int e = 0; e < N_EXPERT; e++) {
        int first = n_place;
        for (size_t i = 0; i < n_pair; i++)
            if (expert[i] == e) of_place[(size_t)n_place] = e, runs.order[n_place++] = (int)i;
        for (int at = first; at < n_place; at += RUN_TILE)
            runs.tiles[(*runs.n_tile)++] = {e, at, min(n_place - at, (int)RUN_TILE)};
    }
    float *x = a.normals((size_t)n_token * cols, 1), *out = a.many<float>(n_pair * cols);
    struct k_act in = act(a, x, n_token, dim);
    struct k_experts e = {nullptr, w[0],    w[1],     w[2],   nullptr, nullptr, nullptr,
                          nullptr, nullptr, N_EXPERT, N_USED, true,    list};
    struct short_mid mid = {a.many<uint16_t>(n_pair * rows), a.many<unsigned char>(n_pair * rows),
                            a.many<float>(n_pair * (rows / 128))};
    assert_true(cuda_short_mixes(d, &in, &e));
    cuda_short_mix(d, &in, &e, runs, mid, out, n_token);

    std::vector<float> rounded(std::max(cols, rows)), left(rows);
    auto round = kind == NVFP4 ? short_x_nvfp4 : short_x_e4m3;
    auto dot = [&](const struct k_matrix &m, size_t r, double *size) {
        double sum = 0;
        *size = 0;
        for (size_t c = 0; c < (size_t)m.n_col; c++) {
            double term = (double)weight_value(m, r, c) * (double)rounded[c];
            sum += term, *size += fabs(term);
        }
        *size *= fabs((double)m.scale[r]);
        return sum * (double)m.scale[r];
    };
    for (size_t p = 0; p < n_pair; p++) {
        int who = of_place[p];
        double size[2];
        round(rounded.data(), x + (size_t)(runs.order[p] / N_USED) * cols, dim);
        for (size_t r = 0; r < rows; r++) {
            double gate = dot(w[0][who], r, &size[0]), up = dot(w[1][who], r, &size[1]);
            double silu = gate / (1 + exp(-gate)), want = silu * up;
            double room =
                1e-5 * (fabs(silu) * size[1] + 1.2 * size[0] * fabs(up) + 1e-5 * size[0] * size[1]);
            left[r] = f16_value(mid.f16[p * rows + r]) / F16_UNIT;
            if (!(fabs((double)left[r] - want) <= room + fabs(want) / 2000 + 0x1p-20))
                fail_msg("kind %d [%d, %d] x %d: place %zu, row %zu: %g instead of %g", kind, ffn,
                         dim, n_token, p, r, (double)left[r], want);
        }
        round(rounded.data(), left.data(), ffn);
        for (size_t r = 0; r < cols; r++) {
            double want = dot(w[2][who], r, &size[0]), y = (double)out[p * cols + r];
            if (!(fabs(y - want) <= 1e-5 * size[0] + 1e-30))
                fail_msg("kind %d down [%d, %d] x %d: place %zu, row %zu: %g instead of %g", kind,
                         dim, ffn, n_token, p, r, y, want);
        }
    }
    for (size_t k = 0; k < 64; k++) {
        assert_int_equal(mid.f16[n_pair * rows + k], 0xffff);
        assert_true(isnan(out[n_pair * cols + k]));
    }
    struct k_matrix other = w[1][3];
    w[1][3].short_x = false;
    assert_false(cuda_short_mixes(d, &in, &e));
    w[1][3] = other, w[2][1].type = kind == NVFP4 ? K_E4M3 : K_NVFP4;
    assert_false(cuda_short_mixes(d, &in, &e));
}

template <int KIND> static void test_experts(void **)
{
    check_experts((enum kind)KIND, 9, 256, 128, KIND + 1);
    check_experts((enum kind)KIND, 150, 384, 256, KIND + 10);
}

// Three products of one act: what an earlier one left rounded is not taken for something else.
static void test_one_act_for_all(void **)
{
    enum { N_ROW = 20, N_COL = 256, N_TOKEN = 12 };
    arena a(5);
    k_device device = {}, *d = &device;
    d->read_sum = a.many<unsigned>(1);
    assert_true(cuda_short_open(d));
    struct k_act in = act(a, activations(a, N_TOKEN, N_COL), N_TOKEN, N_COL);
    static const enum kind order[] = {NVFP4, E4M3_BLOCKS, NVFP4, NVFP4};
    struct k_matrix w[2] = {matrix(a, NVFP4, N_ROW, N_COL), matrix(a, E4M3_BLOCKS, N_ROW, N_COL)};
    float *out[4];
    for (int i = 0; i < 4; i++) {
        out[i] = a.many<float>(N_ROW * N_TOKEN);
        struct k_product p = {&w[order[i] != NVFP4], nullptr, out[i], false};
        cuda_short_product(d, &in, &p, N_TOKEN);
        assert_int_equal(in.q_form, order[i] == NVFP4 ? Q_NVFP4 : Q_BLOCK);
    }
    assert_memory_equal(out[0], out[2], N_ROW * N_TOKEN * sizeof **out);
    assert_memory_equal(out[0], out[3], N_ROW * N_TOKEN * sizeof **out);
    assert_memory_not_equal(out[0], out[1], N_ROW * N_TOKEN * sizeof **out);
}

// What is no number before stays none: neither NaN nor infinity is an e2m1.
static void test_not_a_number(void **)
{
    enum { N_ROW = 40, N_COL = 384, N_TOKEN = 11 };
    for (int kind = 0; kind < N_KIND; kind++)
        for (int i = 0; i < 2; i++) {
            arena a((unsigned)(7 + i));
            k_device device = {}, *d = &device;
            d->read_sum = a.many<unsigned>(1);
            assert_true(cuda_short_open(d));
            float *x = activations(a, N_TOKEN, N_COL);
            x[3 * N_COL + 200] = i ? NAN : -INFINITY;
            struct k_act in = act(a, x, N_TOKEN, N_COL);
            struct k_matrix w = matrix(a, (enum kind)kind, N_ROW, N_COL);
            float *out = a.many<float>(N_ROW * N_TOKEN);
            struct k_product p = {&w, nullptr, out, false};
            cuda_short_product(d, &in, &p, N_TOKEN);
            for (int k = 0; k < N_ROW * N_TOKEN; k++)
                assert_int_equal(isfinite(out[k]) != 0, k / N_ROW != 3);
        }
}

// What is not for these kernels is left to others.
static void test_takes(void **)
{
    arena a(3);
    k_device device = {}, *d = &device;
    d->short_forms = 3;
    struct k_matrix w = matrix(a, NVFP4, 16, 256), v = matrix(a, E4M3_BLOCKS, 16, 256);
    struct k_act in = act(a, activations(a, 16, 256), 16, 256);
    assert_true(cuda_short_takes(d, &in, &w) && cuda_short_takes(d, &in, &v));
    d->short_forms = 1 << SHORT_E4M3;
    assert_true(!cuda_short_takes(d, &in, &w) && cuda_short_takes(d, &in, &v));
    d->short_forms = 3;
    for (int i = 0; i < 7; i++) {
        struct k_matrix m = w;
        struct k_act x = in;
        if (i == 0) m.short_x = false;
        if (i == 1) m.type = K_MXFP4;
        if (i == 2) m.n_col = 192;
        if (i == 3) m.data = (const char *)m.data + 8;
        if (i == 4) m.data_step *= 2;
        if (i == 5) x.form = FORM_PAIR;
        if (i == 6) x.q = nullptr;
        assert_false(cuda_short_takes(d, &x, &m));
        if (i > 4) continue;
        struct k_act out = in;
        struct k_gate gate = {&m, &w, {nullptr, nullptr}}, up = {&w, &m, {nullptr, nullptr}};
        assert_false(cuda_short_gates(d, &out, &x, &gate, 16));
        assert_false(cuda_short_gates(d, &out, &x, &up, 16));
    }
    struct k_act out = in, uneven = in;
    struct k_matrix rows = v;
    struct k_gate good = {&w, &w, {nullptr, nullptr}}, mixed = {&w, &v, {nullptr, nullptr}},
                  other = {&v, &rows, {nullptr, nullptr}};
    rows.block = nullptr, uneven.n_col = 40;
    assert_true(cuda_short_gates(d, &out, &in, &good, 16));
    assert_false(cuda_short_gates(d, &out, &in, &good, 8));
    assert_false(cuda_short_gates(d, &uneven, &in, &good, 16));
    assert_false(cuda_short_gates(d, &out, &in, &mixed, 16));
    assert_false(cuda_short_gates(d, &out, &in, &other, 16));
}

// The instructions' tables: of value i of a lane's registers, counted from the lowest bits of the
// first on. Scales of lanes that are not asked must not count.

struct table_job {
    float (*d)[8]; // [16, 8]
    const unsigned char (*a_codes)[64], (*b_codes)[8], (*a_scales)[4], (*b_scales)[8];
};

template <int PAIR, int FROM> static void nvfp4_table_kernel(struct table_job j)
{
    int lane = (int)threadIdx.x, g = lane / 4, t = lane % 4;
    unsigned a[4] = {}, b[2] = {}, a_scales = 0x7f7f7f7f, b_scales = 0x7f7f7f7f;
    float d[4];
    for (int i = 0; i < 32; i++) {
        int row = i < 8 || (i >= 16 && i < 24) ? g : g + 8, column = t * 8 + i % 8 + i / 16 * 32;
        a[i / 8] |= (unsigned)j.a_codes[row][column] << i % 8 * 4;
    }
    for (int i = 0; i < 16; i++)
        b[i / 8] |= (unsigned)j.b_codes[t * 8 + i % 8 + i / 8 * 32][g] << i % 8 * 4;
    if (t / 2 == PAIR) memcpy(&a_scales, j.a_scales[g + t % 2 * 8], 4);
    if (t == FROM)
        for (int i = 0; i < 4; i++) ((unsigned char *)&b_scales)[i] = j.b_scales[i][g];
    for (int i = 0; i < 4; i++) d[i] = j.d[g + i / 2 * 8][t * 2 + i % 2];
    mma_nvfp4<PAIR, FROM>(d, a, b[0], b[1], a_scales, b_scales);
    for (int i = 0; i < 4; i++) j.d[g + i / 2 * 8][t * 2 + i % 2] = d[i];
}

static void e4m3_table_kernel(struct table_job j)
{
    int lane = (int)threadIdx.x, g = lane / 4, t = lane % 4;
    unsigned a[4] = {}, b[2] = {};
    float d[4];
    for (int i = 0; i < 16; i++) {
        int row = i < 4 || (i >= 8 && i < 12) ? g : g + 8, column = t * 4 + i % 4 + i / 8 * 16;
        a[i / 4] |= (unsigned)j.a_codes[row][column] << i % 4 * 8;
    }
    for (int i = 0; i < 8; i++)
        b[i / 4] |= (unsigned)j.b_codes[t * 4 + i % 4 + i / 4 * 16][g] << i % 4 * 8;
    for (int i = 0; i < 4; i++) d[i] = j.d[g + i / 2 * 8][t * 2 + i % 2];
    mma_e4m3(d, a, b[0], b[1]);
    for (int i = 0; i < 4; i++) j.d[g + i / 2 * 8][t * 2 + i % 2] = d[i];
}

static void check_table(void (*kernel)(struct table_job), bool is_fp4)
{
    std::mt19937 random(11);
    unsigned char a[16][64], b[64][8], a_scales[16][4], b_scales[4][8];
    float d[16][8];
    double want[16][8];
    int n = is_fp4 ? 64 : 32;
    for (int k = 0; k < 64; k++) {
        for (int i = 0; i < 16; i++)
            a[i][k] = (unsigned char)(is_fp4 ? random() % 16 : random() % 2 << 7 | random() % 127);
        for (int i = 0; i < 8; i++)
            b[k][i] = (unsigned char)(is_fp4 ? random() % 16 : random() % 2 << 7 | random() % 127);
    }
    for (int k = 0; k < 4; k++) {
        for (int i = 0; i < 16; i++) a_scales[i][k] = (unsigned char)(0x20 + random() % 0x40);
        for (int i = 0; i < 8; i++) b_scales[k][i] = (unsigned char)(0x20 + random() % 0x40);
    }
    for (int r = 0; r < 16; r++)
        for (int c = 0; c < 8; c++) {
            want[r][c] = d[r][c] = (float)(random() % 100);
            for (int k = 0; k < n; k++)
                want[r][c] += is_fp4 ? (double)e2m1_to_f32(a[r][k]) * (double)e2m1_to_f32(b[k][c]) *
                                           (double)e4m3_to_f32(a_scales[r][k / 16]) *
                                           (double)e4m3_to_f32(b_scales[k / 16][c])
                                     : (double)e4m3_to_f32(a[r][k]) * (double)e4m3_to_f32(b[k][c]);
        }
    struct table_job j = {d, a, b, a_scales, b_scales};
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(1), config.blockDim = dim3(32);
    cudaLaunchKernelEx(&config, kernel, j);
    for (int r = 0; r < 16; r++)
        for (int c = 0; c < 8; c++)
            if (!(fabs((double)d[r][c] - want[r][c]) <= 1e-6 * fabs(want[r][c])))
                fail_msg("row %d, column %d: %g instead of %g", r, c, (double)d[r][c], want[r][c]);
}

static void test_tables(void **)
{
    check_table(e4m3_table_kernel, false);
    check_table(nvfp4_table_kernel<0, 0>, true);
    check_table(nvfp4_table_kernel<0, 1>, true);
    check_table(nvfp4_table_kernel<0, 2>, true);
    check_table(nvfp4_table_kernel<0, 3>, true);
    check_table(nvfp4_table_kernel<1, 0>, true);
    check_table(nvfp4_table_kernel<1, 1>, true);
    check_table(nvfp4_table_kernel<1, 2>, true);
    check_table(nvfp4_table_kernel<1, 3>, true);
}

// Every product of a code of the device's order with each of x's, one at a time.
static void test_every_code(void **)
{
    for (unsigned i = 0; i < 8; i++)
        for (unsigned code = 0; code < 16; code++) {
            // The word that has `code` for its value i and 0 for the others.
            static const unsigned place[8] = {6, 4, 2, 0, 7, 5, 3, 1};
            unsigned want = 0, word = 0;
            for (unsigned bit = 0; bit < 32; bit++)
                if (arranged_code(1u << bit, i) & code) word |= 1u << bit;
            for (unsigned n = 0; n < 8; n++)
                if (place[n] == i) want = code << 4 * n;
            assert_int_equal(arranged_code(word, i), code);
            assert_int_equal(straighten<SHORT_NVFP4>(word), want);
        }
}

static void call(const void *kernel, void *argument)
{
    const void *products[] = {(const void *)short_nvfp4_kernel<SHORT_ALL>,
                              (const void *)short_nvfp4_kernel<SHORT_GATE>,
                              (const void *)short_nvfp4_kernel<SHORT_RUN_GATE>,
                              (const void *)short_nvfp4_kernel<SHORT_RUN_DOWN>,
                              (const void *)short_e4m3_kernel<SHORT_ALL>,
                              (const void *)short_e4m3_kernel<SHORT_GATE>,
                              (const void *)short_e4m3_kernel<SHORT_RUN_GATE>,
                              (const void *)short_e4m3_kernel<SHORT_RUN_DOWN>};
    if (std::count(products, products + 8, kernel))
        ((void (*)(struct short_job))kernel)(*(const struct short_job *)argument);
    else if (kernel == (const void *)round_nvfp4_kernel ||
             kernel == (const void *)round_e4m3_kernel)
        ((void (*)(struct round_job))kernel)(*(const struct round_job *)argument);
    else if (kernel == (const void *)short_has_kernel)
        ((void (*)(struct has_job))kernel)(*(const struct has_job *)argument);
    else
        ((void (*)(struct table_job))kernel)(*(const struct table_job *)argument);
}

int main(int n_arg, char **args)
{
    const struct CMUnitTest tests[] = {
        {"tables", test_tables, NULL, NULL, NULL},
        {"every code", test_every_code, NULL, NULL, NULL},
        {"takes", test_takes, NULL, NULL, NULL},
        {"nvfp4", test_products<NVFP4>, NULL, NULL, NULL},
        {"fp8 in blocks", test_products<E4M3_BLOCKS>, NULL, NULL, NULL},
        {"fp8 by rows", test_products<E4M3_ROWS>, NULL, NULL, NULL},
        {"nvfp4 gate", test_gates<NVFP4>, NULL, NULL, NULL},
        {"fp8 gate in blocks", test_gates<E4M3_BLOCKS>, NULL, NULL, NULL},
        {"fp8 gate by rows", test_gates<E4M3_ROWS>, NULL, NULL, NULL},
        {"nvfp4 experts", test_experts<NVFP4>, NULL, NULL, NULL},
        {"fp8 experts in blocks", test_experts<E4M3_BLOCKS>, NULL, NULL, NULL},
        {"fp8 experts by rows", test_experts<E4M3_ROWS>, NULL, NULL, NULL},
        {"one act", test_one_act_for_all, NULL, NULL, NULL},
        {"not a number", test_not_a_number, NULL, NULL, NULL},
    };
    emulated_call = call;
    if (n_arg > 1) cmocka_set_test_filter(args[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
