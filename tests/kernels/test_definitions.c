// If this fails, ref does not do what kernels.h says of attention with windows and sinks, of
// clamped gates, of experts with biases, or of matrices whose rows lie apart. test_kernels compares
// every other instance with ref; here ref is compared with the sentences themselves, written down
// once more as loops over whole sets in double.
#include "test.h"

#include "base/mem.h"
#include "base/rng.h"
#include "kernels/kernels.h"
#include "kernels/number.h"

#include <math.h>
#include <string.h>

static rng random_state;

static size_t pick(size_t low, size_t high)
{
    return low + rng_below(&random_state, high - low + 1);
}

static float *floats(size_t n, double scale)
{
    float *p = mem_new((n + 1) * sizeof *p);
    for (size_t i = 0; i < n; i++) p[i] = (float)(rng_normal(&random_state) * scale);
    return p;
}

static void check_near(const char *what, const float *got, const double *want, size_t n,
                       double limit)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) <= limit * (1 + fabs(want[i]))))
            fail_msg("%s: element %zu is %g, expected %g", what, i, (double)got[i], want[i]);
}

// Attention

struct history {
    size_t n_head, n_kv, dim, pos, n_token;
    float *q, *k, *v; // [n_token, n_head, dim], [pos + n_token, n_kv, dim] x 2
};

// The softmax over a set: the positions that token t sees, and the sink.
static void attend_plainly(const struct history *h, size_t t, size_t head, int window,
                           const float *sinks, double *out)
{
    size_t here = h->pos + t, kv = head / (h->n_head / h->n_kv);
    double *weight = mem_new((here + 1) * sizeof *weight), sum = 0;
    double sink = sinks ? (double)sinks[head] : -INFINITY, top = sink;
    for (size_t p = 0; p <= here; p++) {
        bool seen = window == 0 || here - p < (size_t)window;
        weight[p] = seen ? 0 : -INFINITY;
        for (size_t i = 0; i < h->dim; i++)
            weight[p] += (double)h->q[(t * h->n_head + head) * h->dim + i] *
                         (double)h->k[(p * h->n_kv + kv) * h->dim + i] / sqrt((double)h->dim);
        top = fmax(top, weight[p]);
    }
    for (size_t p = 0; p <= here; p++) sum += weight[p] = exp(weight[p] - top);
    sum += exp(sink - top);
    for (size_t i = 0; i < h->dim; i++) {
        out[i] = 0;
        for (size_t p = 0; p <= here; p++)
            out[i] += weight[p] / sum * (double)h->v[(p * h->n_kv + kv) * h->dim + i];
    }
    free(weight);
}

static void check_attention(k_device *d, int window, const float *sinks, const struct history *h)
{
    size_t n = h->n_token * h->n_head * h->dim, n_all = h->pos + h->n_token;
    struct k_cache c = {.type = K_F32,
                        .n_kv_head = (int)h->n_kv,
                        .head_dim = (int)h->dim,
                        .ctx_max = (int)n_all + 2};
    int32_t zero = 0, pos = (int32_t)h->pos;
    c.k = k_ref.alloc(d, k_cache_bytes(&c));
    c.v = k_ref.alloc(d, k_cache_bytes(&c));
    k_ref.kv_store(d, &c, h->k, h->v, &zero, (int)n_all);
    float *got = mem_new(n * sizeof *got);
    double *want = mem_new(n * sizeof *want);
    const struct k_attend at = {.q = h->q,
                                .cache = &c,
                                .n_head = (int)h->n_head,
                                .pos = &pos,
                                .window = window,
                                .sinks = sinks};
    k_ref.attention(d, got, &at, (int)h->n_token);
    for (size_t t = 0; t < h->n_token; t++)
        for (size_t head = 0; head < h->n_head; head++)
            attend_plainly(h, t, head, window, sinks, want + (t * h->n_head + head) * h->dim);
    check_near("attention", got, want, n, 1e-6);
    k_ref.release(d, c.k);
    k_ref.release(d, c.v);
    free(got);
    free(want);
}

static void test_windows_and_sinks(void **state)
{
    err e = {0};
    k_device *d = k_ref.open(1, &e);
    (void)state;
    for (int i = 0; i < 60; i++) {
        struct history h = {
            .n_kv = pick(1, 3), .dim = 2 * pick(1, 20), .pos = pick(0, 40), .n_token = pick(1, 9)};
        h.n_head = h.n_kv * pick(1, 4);
        size_t n_all = h.pos + h.n_token;
        h.q = floats(h.n_token * h.n_head * h.dim, 2);
        h.k = floats(n_all * h.n_kv * h.dim, 1);
        h.v = floats(n_all * h.n_kv * h.dim, 1);
        float *sinks = floats(h.n_head, 3);
        sinks[0] = i % 4 == 0 ? -INFINITY : i % 4 == 1 ? 1000 : i % 4 == 2 ? -1000 : sinks[0];
        check_attention(d, 0, NULL, &h);
        check_attention(d, 0, sinks, &h);
        check_attention(d, 1, NULL, &h);
        check_attention(d, (int)pick(1, n_all), sinks, &h);
        check_attention(d, (int)(n_all + pick(0, 50)), sinks, &h);
        free(h.q);
        free(h.k);
        free(h.v);
        free(sinks);
    }
    k_ref.close(d);
}

// Gates

static double clamp(double x, double low, double high)
{
    return fmin(fmax(x, low), high);
}

static double gated(double gate, double up, const struct k_gating *how)
{
    double g = fmin(gate, (double)how->limit);
    double u = clamp(up, -(double)how->limit, (double)how->limit);
    return g / (1 + exp(-(double)how->slope * g)) * (u + (double)how->shift);
}

static void test_gates(void **state)
{
    enum { N = 400 };
    err e = {0};
    k_device *d = k_ref.open(1, &e);
    const struct k_gating clamped = {1.702f, 1, 7};
    (void)state;
    for (int i = 0; i < 2; i++) {
        float *gate = floats(N, 8), *up = floats(N, 8);
        double want[N];
        int beyond = 0;
        for (size_t k = 0; k < N; k++) {
            want[k] = gated((double)gate[k], (double)up[k], i ? &clamped : &k_silu);
            beyond += gate[k] > 7 || fabsf(up[k]) > 7;
        }
        assert_true(beyond > N / 10);
        k_ref.swiglu(d, gate, up, 4, N / 4, i ? &clamped : NULL);
        check_near("gates", gate, want, N, 1e-6);
        free(gate);
        free(up);
    }
    float gate[] = {NAN, 1}, up[] = {1, NAN};
    k_ref.swiglu(d, gate, up, 1, 2, &clamped);
    assert_true(isnan(gate[0]) && isnan(gate[1]));
    k_ref.close(d);
}

// Experts: f32, so that values are plain.

struct expert {
    float *gate, *up, *down; // [ffn, dim] x 2, [dim, ffn]
};

enum { DIM = 24, FFN = 20, N_EXPERT = 7, N_USED = 3, N_TOKEN = 5 };

static double product(const float *row, const double *x, size_t n, double bias)
{
    for (size_t i = 0; i < n; i++) bias += (double)row[i] * x[i];
    return bias;
}

// What a token's experts add to x.
static void mix_plainly(const struct k_experts *e, const struct expert *experts,
                        const float *router, const float *a, double *x)
{
    double in[DIM], score[N_EXPERT], all = 0;
    bool chosen[N_EXPERT] = {false};
    for (size_t i = 0; i < DIM; i++) in[i] = (double)a[i];
    for (size_t k = 0; k < N_EXPERT; k++)
        score[k] = exp(product(router + k * DIM, in, DIM, (double)e->router_bias[k]));
    for (int n = 0; n < N_USED; n++) {
        size_t best = N_EXPERT;
        for (size_t k = 0; k < N_EXPERT; k++)
            if (!chosen[k] && (best == N_EXPERT || score[k] > score[best])) best = k;
        chosen[best] = true;
        all += score[best];
    }
    for (size_t k = 0; k < N_EXPERT; k++) {
        double mid[FFN];
        if (!chosen[k]) continue;
        for (size_t r = 0; r < FFN; r++)
            mid[r] = gated(
                product(experts[k].gate + r * DIM, in, DIM, (double)e->gate_bias[k * FFN + r]),
                product(experts[k].up + r * DIM, in, DIM, (double)e->up_bias[k * FFN + r]),
                e->gating);
        for (size_t r = 0; r < DIM; r++)
            x[r] += score[k] / all *
                    product(experts[k].down + r * FFN, mid, FFN, (double)e->down_bias[k * DIM + r]);
    }
}

static void test_experts(void **state)
{
    err e = {0};
    k_device *d = k_ref.open(1, &e);
    struct expert experts[N_EXPERT];
    struct k_matrix w[3][N_EXPERT];
    const struct k_gating clamped = {1.702f, 1, 1.5f};
    (void)state;
    for (size_t k = 0; k < N_EXPERT; k++) {
        experts[k] =
            (struct expert){floats(FFN * DIM, 0.4), floats(FFN * DIM, 0.4), floats(DIM * FFN, 0.4)};
        w[0][k] = (struct k_matrix){.n_row = FFN, .n_col = DIM, .data = experts[k].gate};
        w[1][k] = (struct k_matrix){.n_row = FFN, .n_col = DIM, .data = experts[k].up};
        w[2][k] = (struct k_matrix){.n_row = DIM, .n_col = FFN, .data = experts[k].down};
    }
    float *router = floats(N_EXPERT * DIM, 0.3),
          *bias[] = {floats(N_EXPERT, 1), floats(N_EXPERT * FFN, 1), floats(N_EXPERT * FFN, 1),
                     floats(N_EXPERT * DIM, 1)};
    struct k_matrix router_matrix = {.n_row = N_EXPERT, .n_col = DIM, .data = router};
    const struct k_experts block = {.router = &router_matrix,
                                    .gate = w[0],
                                    .up = w[1],
                                    .down = w[2],
                                    .router_bias = bias[0],
                                    .gate_bias = bias[1],
                                    .up_bias = bias[2],
                                    .down_bias = bias[3],
                                    .gating = &clamped,
                                    .n_expert = N_EXPERT,
                                    .n_used = N_USED,
                                    .normalise = true};
    float *in = floats(N_TOKEN * DIM, 1), *gain = floats(DIM, 0), *x = floats(N_TOKEN * DIM, 1);
    float *room = mem_new(k_ref.mix_room(&block, N_TOKEN) * sizeof *room), *normed = floats(DIM, 0);
    double want[N_TOKEN * DIM];
    for (size_t i = 0; i < DIM; i++) gain[i] = 1;
    assert_int_equal(k_ref.reserve(d, N_TOKEN, DIM, &e), 0);
    for (size_t i = 0; i < N_TOKEN * DIM; i++) want[i] = (double)x[i];
    for (size_t t = 0; t < N_TOKEN; t++) {
        k_ref.rms_norm(d, normed, in + t * DIM, gain, 1, DIM, 1e-6f);
        mix_plainly(&block, experts, router, normed, want + t * DIM);
    }
    k_act *a = k_ref.act_new(d, N_TOKEN, DIM);
    const struct k_mix mix = {.experts = &block, .x = x, .room = room};
    k_ref.norm(d, a, in, gain, N_TOKEN, DIM, 1e-6f);
    k_ref.mix(d, a, &mix, N_TOKEN);
    check_near("experts", x, want, N_TOKEN * DIM, 1e-5);
    k_ref.act_free(d, a);
    for (size_t k = 0; k < N_EXPERT; k++) {
        free(experts[k].gate);
        free(experts[k].up);
        free(experts[k].down);
    }
    for (size_t i = 0; i < 4; i++) free(bias[i]);
    float *all[] = {router, in, gain, x, room, normed};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    k_ref.close(d);
}

// Rows that lie apart give what the same rows give side by side.
static void test_rows_apart(void **state)
{
    enum { N_ROW = 5, N_COL = 96 };
    static const enum k_type types[] = {K_NVFP4, K_MXFP4};
    err e = {0};
    k_device *d = k_ref.open(1, &e);
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        size_t row = N_COL / 2, blocks = types[i] == K_NVFP4 ? N_COL / 16 : N_COL / 32;
        unsigned char data[N_ROW * N_COL], block[N_ROW * N_COL], near_data[N_ROW * N_COL],
            near_block[N_ROW * N_COL];
        for (size_t k = 0; k < sizeof data; k++) {
            data[k] = (unsigned char)pick(0, 255);
            block[k] = (unsigned char)(types[i] == K_NVFP4 ? pick(0, 0x7e) : pick(120, 130));
        }
        for (size_t r = 0; r < N_ROW; r++) {
            memcpy(near_data + r * row, data + 2 * r * row, row);
            memcpy(near_block + r * blocks, block + r * 16, blocks);
        }
        struct k_matrix near = {.type = types[i],
                                .n_row = N_ROW,
                                .n_col = N_COL,
                                .data = near_data,
                                .block = near_block},
                        apart = near;
        apart.data = data, apart.block = block;
        apart.data_step = 2 * row, apart.block_step = 16;
        assert_int_equal(k_block_bytes(&near), N_ROW * blocks);
        assert_int_equal(k_block_bytes(&apart), N_ROW * 16);
        int32_t rows[N_ROW] = {0, 1, 2, 3, 4};
        float a[N_ROW * N_COL], b[N_ROW * N_COL];
        k_ref.embed(d, a, &near, rows, N_ROW);
        k_ref.embed(d, b, &apart, rows, N_ROW);
        assert_memory_equal(a, b, sizeof a);
    }
    k_ref.close(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows_and_sinks),
        cmocka_unit_test(test_gates),
        cmocka_unit_test(test_experts),
        cmocka_unit_test(test_rows_apart),
    };
    random_state = rng_seed(11);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
