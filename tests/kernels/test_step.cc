// If this fails, the resident kernel of decode steps (kernels/cuda_step.h) computes something else
// than the layers of a model, or one of its warps does not wait for another. The kernel's own code
// runs on the CPU (emulated_gpu.h): whole layers, attention and experts too, as one list of jobs,
// are compared with plain loops in double precision. Weights of every form, shapes that no number
// of multiprocessors divides, every number of tokens that the kernel treats differently.
//
// Activations keep 10 bits, for bf16 weights 14 with up to 4 tokens and 8 with more of them. Where
// keys and values are kept in e4m3 such a bit may decide for the next code.
#define HEARTH_EMULATED
#include "kernels/cuda_step.cu"
#include "kernels/cuda_step_bf16.cu"
#include "kernels/cuda_step_e4m3.cu"
#include "kernels/cuda_step_e4m3_block.cu"
#include "kernels/cuda_step_mxfp4.cu"
#include "kernels/cuda_step_nvfp4.cu"

#include "arena.h"
#include "cache_rows.h"

// With what a layer is made of.
struct layer_arena : arena {
    using arena::arena;
    struct k_matrix *matrix(int form, int n_row, int n_col);
    struct k_act *act(int n_col);
};

// Values of about 1 / sqrt(n_col). FP4 codes are random bytes: whatever order they are kept in,
// weight_value reads them.
struct k_matrix *layer_arena::matrix(int form, int n_row, int n_col)
{
    static const enum k_type types[] = {K_BF16, K_E4M3, K_E4M3, K_NVFP4, K_MXFP4};
    struct k_matrix *w = many<struct k_matrix>(1);
    size_t n = (size_t)n_row * (size_t)n_col;
    float size = 1 / sqrtf((float)n_col);
    *w = {};
    w->type = types[form], w->n_row = n_row, w->n_col = n_col;
    if (form == W_BF16) {
        uint16_t *data = many<uint16_t>(n);
        for (size_t i = 0; i < n; i++) data[i] = bf16_bits(normal() * size);
        w->data = data;
        return w;
    }
    bool is_fp4 = form == W_NVFP4 || form == W_MXFP4;
    unsigned char *data = many<unsigned char>(n);
    for (size_t i = 0; i < n; i++)
        data[i] = is_fp4 ? (unsigned char)random()
                         : __nv_cvt_float_to_fp8(normal(), __NV_SATFINITE, __NV_E4M3);
    w->data = data;
    float *scale = many<float>((size_t)n_row);
    for (int i = 0; i < n_row; i++) scale[i] = size * between(0.2f, 0.8f);
    w->scale = scale;
    if (form == W_E4M3_BLOCK) {
        size_t n_block = (size_t)((n_row + 127) / 128) * (size_t)((n_col + 127) / 128);
        bool alone = random() % 2;
        float *block = many<float>(n_block);
        for (size_t i = 0; i < n_block; i++) block[i] = between(0.5f, 1.5f) * (alone ? size : 1);
        w->block = block;
        if (alone) w->scale = nullptr;
    }
    if (is_fp4) {
        size_t n_block = n / (form == W_NVFP4 ? K_NVFP4_BLOCK : K_MXFP4_BLOCK);
        unsigned char *block = many<unsigned char>(n_block);
        for (size_t i = 0; i < n_block; i++) // from 2^-3 to 1, from 2^-3 to 2
            block[i] = (unsigned char)(form == W_NVFP4 ? 0x20 + random() % 32 : 124 + random() % 4);
        w->block = block;
    }
    *w = with_steps(w);
    return w;
}

struct k_act *layer_arena::act(int n_col)
{
    struct k_act *a = many<struct k_act>(1);
    *a = {};
    a->n_col = n_col, a->form = FORM_PAIR;
    for (int i = 0; i < X_N_KIND; i++) {
        a->hi[i] = many<uint16_t>((size_t)(FEW_TOKENS * n_col));
        a->lo[i] = many<uint16_t>((size_t)(FEW_TOKENS * n_col));
    }
    a->sums = many<float>(SUMS_MAX * FEW_TOKENS);
    return a;
}

struct shape {
    int n_token, n_sm, dim, ffn, n_head, n_kv_head, head_dim, pos;
    bool mixes;
    int n_layer;
    bool codes; // keys and values are kept in e4m3
    // As gpt-oss has them: biases everywhere, sinks, a clamped gating, rows of an expert's gate and
    // up in turn (FP4).
    bool dressed;
    int window; // of every second layer; 0: none
};

enum { N_EXPERT = 9, N_USED = 3 };

// The definition

static numbers product(const numbers &x, int n_token, const struct k_matrix *w, const float *bias)
{
    size_t n_row = (size_t)w->n_row, n_col = (size_t)w->n_col;
    numbers y((size_t)n_token * n_row), row(n_col);
    for (size_t r = 0; r < n_row; r++) {
        for (size_t c = 0; c < n_col; c++)
            row[c] = (double)weight_value(*w, r, c) * (double)(w->scale ? w->scale[r] : 1);
        for (size_t t = 0; t < (size_t)n_token; t++) {
            double sum = bias ? (double)bias[r] : 0;
            for (size_t c = 0; c < n_col; c++) sum += row[c] * x[t * n_col + c];
            y[t * n_row + r] = sum;
        }
    }
    return y;
}

static numbers norm(const numbers &x, int dim, const float *gain)
{
    numbers y(x.size());
    for (size_t t = 0; t < x.size(); t += (size_t)dim) {
        double sum = 0;
        for (int i = 0; i < dim; i++) sum += x[t + (size_t)i] * x[t + (size_t)i];
        for (int i = 0; i < dim; i++)
            y[t + (size_t)i] = x[t + (size_t)i] / sqrt(sum / dim + 1e-5) * (double)gain[i];
    }
    return y;
}

static numbers gated(const numbers &gate, const numbers &up, const struct k_gating &how)
{
    numbers y(gate.size());
    double limit = (double)how.limit;
    for (size_t i = 0; i < y.size(); i++) {
        double g = fmin(gate[i], limit), u = fmin(fmax(up[i], -limit), limit);
        y[i] = g / (1 + exp(-(double)how.slope * g)) * (u + (double)how.shift);
    }
    return y;
}

static void add(numbers &x, const numbers &y)
{
    for (size_t i = 0; i < x.size(); i++) x[i] += y[i];
}

// One head's vector: norm, then the turn by `rope`.
static void prepare(double *h, int dim, const float *gain, const float *rope)
{
    double sum = 0;
    for (int i = 0; i < dim; i++) sum += h[i] * h[i];
    for (int i = 0; gain && i < dim; i++) h[i] *= (double)gain[i] / sqrt(sum / dim + 1e-5);
    for (int i = 0; i < dim / 2; i++) {
        double c = (double)rope[i], s = (double)rope[dim / 2 + i], p = h[i], q = h[i + dim / 2];
        h[i] = p * c - q * s, h[i + dim / 2] = q * c + p * s;
    }
}

// A layer's cache, of which `pos` rows are there, and the same in double.
struct history {
    struct k_cache cache;
    numbers k, v; // [n_kv_head, ctx_max, head_dim]
};

static numbers attention(const struct shape &s, struct history &h, numbers q, numbers k,
                         const numbers &v, const struct k_attend &args)
{
    const float *q_norm = args.q_norm, *k_norm = args.k_norm, *rope = args.rope;
    int dim = s.head_dim, group = s.n_head / s.n_kv_head, ctx = h.cache.ctx_max;
    numbers out(q.size());
    for (int t = 0; t < s.n_token; t++)
        for (int kv = 0; kv < s.n_kv_head; kv++) {
            size_t row = (size_t)(kv * ctx + s.pos + t), to = row * (size_t)dim;
            double *key = &k[(size_t)((t * s.n_kv_head + kv) * dim)];
            prepare(key, dim, k_norm, rope + t * dim);
            std::copy_n(key, dim, &h.k[to]);
            std::copy_n(&v[(size_t)((t * s.n_kv_head + kv) * dim)], dim, &h.v[to]);
            keep(&h.k[to], h.cache, false, false, row);
            keep(&h.v[to], h.cache, true, false, row);
        }
    for (int t = 0; t < s.n_token; t++)
        for (int head = 0; head < s.n_head; head++) {
            size_t at = (size_t)((t * s.n_head + head) * dim),
                   from = (size_t)(head / group * ctx * dim);
            numbers score((size_t)(s.pos + t + 1));
            double sink = args.sinks ? (double)args.sinks[head] : -INFINITY, top = sink;
            prepare(&q[at], dim, q_norm, rope + t * dim);
            for (size_t j = 0; j < score.size(); j++) {
                if (args.window && score.size() - j > (size_t)args.window) score[j] = -INFINITY;
                for (size_t i = 0; i < (size_t)dim; i++)
                    score[j] += q[at + i] * h.k[from + j * (size_t)dim + i] / sqrt(dim);
                top = fmax(top, score[j]);
            }
            double sum = exp(sink - top);
            for (double &x : score) sum += x = exp(x - top);
            for (size_t j = 0; j < score.size(); j++)
                for (size_t i = 0; i < (size_t)dim; i++)
                    out[at + i] += score[j] / sum * h.v[from + j * (size_t)dim + i];
        }
    return out;
}

static const float *of_expert(const float *table, int expert, int n_row)
{
    return table ? table + expert * n_row : nullptr;
}

static numbers mixture(const struct shape &s, const struct k_experts *e, const numbers &x)
{
    numbers scores = product(x, s.n_token, e->router, e->router_bias), sum(x.size());
    std::vector<numbers> out;
    for (int i = 0; i < N_EXPERT; i++) {
        numbers gate = product(x, s.n_token, e->gate + i, of_expert(e->gate_bias, i, s.ffn)),
                up = product(x, s.n_token, e->up + i, of_expert(e->up_bias, i, s.ffn));
        out.push_back(product(gated(gate, up, gating_of(e->gating)), s.n_token, e->down + i,
                              of_expert(e->down_bias, i, s.dim)));
    }
    for (int t = 0; t < s.n_token; t++) {
        const double *score = &scores[(size_t)(t * N_EXPERT)];
        double all = 0, chosen = 0;
        bool used[N_EXPERT] = {};
        for (int i = 0; i < N_EXPERT; i++) all += exp(score[i]);
        for (int k = 0; k < N_USED; k++) {
            int best = -1;
            for (int i = 0; i < N_EXPERT; i++)
                if (!used[i] && (best < 0 || score[i] > score[best])) best = i;
            used[best] = true;
            chosen += exp(score[best]);
        }
        for (int i = 0; i < N_EXPERT; i++)
            for (int c = 0; used[i] && c < s.dim; c++)
                sum[(size_t)(t * s.dim + c)] += exp(score[i]) / (e->normalise ? chosen : all) *
                                                out[(size_t)i][(size_t)(t * s.dim + c)];
    }
    return sum;
}

// The kernel's jobs

// FP4 with the scales of rows 16 bytes apart, or a multiple of it.
static void spread_blocks(layer_arena &a, struct k_matrix *w)
{
    size_t step = (w->block_step + 15) / 16 * 16, n = (size_t)w->n_row;
    unsigned char *block = a.many<unsigned char>(n * step);
    memset(block, 0, n * step);
    for (size_t r = 0; r < n; r++)
        memcpy(block + r * step, (const char *)w->block + r * w->block_step, w->block_step);
    w->block = block, w->block_step = step;
}

// Gate and up, rows in turn.
static void mingled_rows(layer_arena &a, int form, const struct shape &s, struct k_matrix *gate,
                         struct k_matrix *up)
{
    *gate = *a.matrix(form, 2 * s.ffn, s.dim);
    spread_blocks(a, gate);
    *up = *gate;
    up->data = (const char *)gate->data + gate->data_step;
    up->block = (const char *)gate->block + gate->block_step;
    up->scale += s.ffn;
    for (struct k_matrix *w : {gate, up}) w->n_row = s.ffn, w->data_step *= 2, w->block_step *= 2;
}

static struct k_experts *experts(k_device *d, layer_arena &a, int form, const struct shape &s)
{
    static const struct k_gating clamped = {1.702f, 1, 0.7f}; // what some go beyond
    bool is_fp4 = form == W_NVFP4 || form == W_MXFP4;
    struct k_experts *e = a.many<struct k_experts>(1);
    struct k_matrix *list = (struct k_matrix *)a.bytes(expert_list_bytes(N_EXPERT)),
                    *of[EXPERT_MATRICES];
    for (int i = 0; i < EXPERT_MATRICES; i++) {
        of[i] = a.many<struct k_matrix>(N_EXPERT);
        for (int n = 0; n < N_EXPERT; n++) {
            of[i][n] =
                *(i == EXPERT_DOWN ? a.matrix(form, s.dim, s.ffn) : a.matrix(form, s.ffn, s.dim));
            if (s.dressed && is_fp4 && i == EXPERT_DOWN) spread_blocks(a, &of[i][n]);
        }
    }
    for (int n = 0; n < N_EXPERT; n++) {
        if (s.dressed && is_fp4) mingled_rows(a, form, s, &of[EXPERT_GATE][n], &of[EXPERT_UP][n]);
        for (int i = 0; i < EXPERT_MATRICES; i++) list[n * EXPERT_MATRICES + i] = of[i][n];
    }
    *e = {};
    e->router = a.matrix(W_BF16, N_EXPERT, s.dim);
    e->gate = of[EXPERT_GATE], e->up = of[EXPERT_UP], e->down = of[EXPERT_DOWN];
    e->n_expert = N_EXPERT, e->n_used = N_USED, e->normalise = a.random() % 2 == 0, e->list = list;
    if (s.dressed) {
        size_t n_mid = (size_t)(N_EXPERT * s.ffn);
        e->router_bias = a.normals(N_EXPERT, 0.5f), e->gating = &clamped;
        e->gate_bias = a.normals(n_mid, 0.5f), e->up_bias = a.normals(n_mid, 0.5f);
        e->down_bias = a.normals((size_t)(N_EXPERT * s.dim), 1);
        if (!may_have_biases(form)) {
            if (cuda_step_mixes(e, s.n_token)) fail_msg("biases that no kernel has are taken");
            e->gating = nullptr, e->gate_bias = e->up_bias = e->down_bias = nullptr;
        }
    }
    cuda_step_map_experts(d, e, expert_maps(list, N_EXPERT));
    return e;
}

// Some outweigh all keys, one weighs nothing.
static float *sinks_of(layer_arena &a, const struct shape &s)
{
    float *sinks = a.normals((size_t)s.n_head, 3);
    for (int i = 0; i < s.n_head; i++) sinks[i] += 2;
    sinks[s.n_head / 2] = -INFINITY;
    return sinks;
}

static struct history *history_of(layer_arena &a, const struct shape &s)
{
    struct history *h = new history();
    int ctx = s.pos + s.n_token + 5;
    size_t n_row = (size_t)(s.n_kv_head * ctx), dim = (size_t)s.head_dim, n = n_row * dim;
    h->cache = {s.codes ? K_E4M3 : K_BF16,
                a.bytes(2 * n),
                a.bytes(2 * n),
                nullptr,
                nullptr,
                s.n_kv_head,
                s.head_dim,
                ctx};
    h->cache.k_scale = a.many<unsigned char>(scale_place(h->cache, n_row));
    h->cache.v_scale = a.many<unsigned char>(scale_place(h->cache, n_row));
    h->k.resize(n), h->v.resize(n);
    for (size_t row = 0; row < n_row; row++) {
        if (row % (size_t)ctx >= (size_t)s.pos) continue;
        // Codes of rows of all sizes; a few are zero.
        float size = s.codes && row % 5 == 0 ? a.between(0, 4) : 1;
        for (size_t i = row * dim; i < (row + 1) * dim; i++) {
            h->k[i] = (double)(a.normal() * fminf(size, 1));
            h->v[i] = (double)a.normal() * (row % 7 == 3 && s.codes ? 0 : (double)(size * size));
        }
        keep(&h->k[row * dim], h->cache, false, true, row);
        keep(&h->v[row * dim], h->cache, true, true, row);
    }
    return h;
}

// The largest error of x after the layers, in units of its root mean square.
static double error_of(int form, const struct shape &s, bool small)
{
    layer_arena a((unsigned)(form * 1000 + s.n_token * 100 + s.pos));
    k_device device = {}, *d = &device;
    std::vector<void *> lists;
    std::vector<struct history *> histories;
    size_t n_x = (size_t)(s.n_token * s.dim);
    d->n_sm = s.n_sm, d->shared_max = (small ? 99 : 227) << 10;
    d->parts = a.many<float>((size_t)FEW_ITEMS_MAX * 16 * 130);
    d->counters = a.many<unsigned>(FEW_ITEMS_MAX);
    memset(d->counters, 0, FEW_ITEMS_MAX * sizeof *d->counters);
    if (!cuda_steps_open(d)) fail_msg("the queue does not open");

    struct k_act *in = a.act(s.dim), *attended = a.act(s.n_head * s.head_dim), *mid = a.act(s.ffn),
                 *next = a.act(s.dim);
    float *x = a.normals(n_x, 1), *rope = a.many<float>((size_t)(FEW_TOKENS * s.head_dim)),
          *q = a.many<float>((size_t)(s.n_token * s.n_head * s.head_dim)),
          *k = a.many<float>((size_t)(s.n_token * s.n_kv_head * s.head_dim)),
          *v = a.many<float>((size_t)(s.n_token * s.n_kv_head * s.head_dim)),
          *gain = a.normals((size_t)s.dim, 1);
    int32_t *pos = a.many<int32_t>(1);
    numbers exact(x, x + n_x);
    // What a list before this one has left looks as if it were there already.
    for (float *old : {q, k, v})
        for (int i = 0; i < s.n_token * (old == q ? s.n_head : s.n_kv_head) * s.head_dim; i++)
            old[i] = __uint_as_float(0x7fc00001);
    *pos = s.pos;
    for (int t = 0; t < s.n_token; t++)
        for (int i = 0; i < s.head_dim / 2; i++) {
            double angle = (s.pos + t) * pow(10000, -2.0 * i / s.head_dim);
            rope[t * s.head_dim + i] = (float)cos(angle);
            rope[t * s.head_dim + s.head_dim / 2 + i] = (float)sin(angle);
        }
    // What an embedding and its norm would have left: x * gain, and sums of squares in pieces.
    enum { PIECES = 14 };
    in->n_sum = PIECES, in->norm_dim = s.dim, in->eps = 1e-5f;
    for (int t = 0; t < s.n_token; t++) {
        double sum = 0;
        for (int i = 0; i < s.dim; i++) {
            float y = x[t * s.dim + i];
            struct short_out to = {{in->hi[0], in->hi[1]}, {in->lo[0], in->lo[1]}};
            write_pair(to, (size_t)(t * s.dim + i), y * gain[i]);
            sum += (double)y * (double)y;
        }
        for (int i = 0; i < PIECES; i++) in->sums[t * PIECES + i] = (float)(sum / PIECES);
    }

    // What every layer uses, as the engine has it.
    float *scores = a.many<float>((size_t)(s.n_token * N_EXPERT));
    struct short_out room;
    for (int i = 0; i < X_N_KIND; i++) {
        room.hi[i] = a.many<uint16_t>((size_t)(FEW_TOKENS * N_USED * (s.ffn + 255)));
        room.lo[i] = a.many<uint16_t>((size_t)(FEW_TOKENS * N_USED * (s.ffn + 255)));
    }
    cuda_steps_record(d, &lists);
    for (int l = 0; l < s.n_layer; l++) {
        struct history *h = history_of(a, s);
        int n_q = s.n_head * s.head_dim, n_kv = s.n_kv_head * s.head_dim;
        int own = s.dressed ? (int)W_BF16 : form; // of what is no expert
        struct k_matrix *w_q = a.matrix(own, n_q, s.dim), *w_k = a.matrix(own, n_kv, s.dim),
                        *w_v = a.matrix(own, n_kv, s.dim), *w_o = a.matrix(own, s.dim, n_q);
        float *bias = l % 2 ? nullptr : a.normals((size_t)n_q, 0.3f),
              *q_norm = l % 2 ? nullptr : a.normals((size_t)s.head_dim, 1),
              *k_norm = l % 2 ? nullptr : a.normals((size_t)s.head_dim, 1),
              *gain_ffn = a.normals((size_t)s.dim, 1), *gain_next = a.normals((size_t)s.dim, 1),
              *o_bias = s.dressed ? a.normals((size_t)s.dim, 0.5f) : nullptr;
        struct k_product products[] = {
            {w_q, bias, q, false}, {w_k, nullptr, k, false}, {w_v, nullptr, v, false}};
        struct k_attend attend = {q,    k,         v,        q_norm, k_norm, 1e-5f,
                                  rope, &h->cache, s.n_head, pos,    0,      nullptr};
        struct k_add add_o = {w_o, o_bias, x, next, gain_ffn, 1e-5f};
        if (s.dressed) attend.window = l % 2 ? 0 : s.window, attend.sinks = sinks_of(a, s);
        struct k_act *after = l + 1 < s.n_layer ? in : nullptr;
        histories.push_back(h);
        if (!cuda_step_attends(&attend, s.n_token)) fail_msg("attention is not for few tokens");
        if (l % 2 == 0) { // one after the other, so that in the first layer none waits
            for (const struct k_product &p : products) cuda_step_project(d, in, s.n_token, &p, 1);
        } else {
            cuda_step_project(d, in, s.n_token, products, 3);
        }
        cuda_step_attend(d, attended, &attend, s.n_token);
        cuda_step_add(d, attended, &add_o, s.n_token);

        numbers y = norm(exact, s.dim, gain);
        add(exact, product(attention(s, *h, product(y, s.n_token, w_q, bias),
                                     product(y, s.n_token, w_k, nullptr),
                                     product(y, s.n_token, w_v, nullptr), attend),
                           s.n_token, w_o, o_bias));
        y = norm(exact, s.dim, gain_ffn);
        if (s.mixes) {
            struct k_experts *e = experts(d, a, form, s);
            struct k_mix mix = {e, x, nullptr, after, gain_next, 1e-5f};
            if (!cuda_step_mixes(e, s.n_token)) fail_msg("experts are not for few tokens");
            cuda_step_scores(d, next, e, scores, s.n_token);
            cuda_step_mix(d, next, &mix, scores, &room, s.n_token);
            add(exact, mixture(s, e, y));
        } else {
            struct k_matrix *w_gate = a.matrix(form, s.ffn, s.dim),
                            *w_up = a.matrix(form, s.ffn, s.dim),
                            *w_down = a.matrix(form, s.dim, s.ffn);
            struct k_gate gate = {w_gate, w_up, {nullptr, nullptr}};
            struct k_add add_down = {w_down, nullptr, x, after, gain_next, 1e-5f};
            cuda_step_gate(d, mid, next, &gate, s.n_token);
            cuda_step_add(d, mid, &add_down, s.n_token);
            add(exact, product(gated(product(y, s.n_token, w_gate, nullptr),
                                     product(y, s.n_token, w_up, nullptr), gating_of(nullptr)),
                               s.n_token, w_down, nullptr));
        }
        gain = gain_next;
    }
    cuda_steps_flush(d);
    cuda_steps_record(d, nullptr);
    cuda_steps_close(d);

    double worst = 0, sum = 0;
    for (size_t i = 0; i < n_x; i++) {
        double error = fabs((double)x[i] - exact[i]);
        worst = error > worst || error != error ? error : worst;
        sum += exact[i] * exact[i];
    }
    // The cache's new rows, which later steps read.
    for (struct history *h : histories) {
        size_t dim = (size_t)s.head_dim;
        for (size_t i = 0; i < h->k.size(); i++) {
            int pos = (int)(i / dim) % h->cache.ctx_max;
            if (pos < s.pos || pos >= s.pos + s.n_token) continue;
            for (int which = 0; which < 2; which++) {
                double want = which ? h->v[i] : h->k[i],
                       found = cached(h->cache, which, i / dim, i % dim),
                       error = fabs(found - want) - fabs(want) / (s.codes ? 7 : 64);
                if (error > (s.n_token > 4 ? 0.1 : 0.01) || error != error)
                    fail_msg("row %d of the cache: %g instead of %g", pos, found, want);
            }
        }
        delete h;
    }
    for (void *p : lists) cudaFree(p);
    return worst / sqrt(sum / (double)n_x);
}

static void check(int form, const struct shape &s)
{
#ifdef HEARTH_EMULATED_SMALL
    bool small = true;
#else
    bool small = false;
#endif
    bool is_fp4 = form == W_NVFP4 || form == W_MXFP4;
    double limit = is_fp4 ? 1e-2 : form != W_BF16 ? 2e-3 : s.n_token > 4 ? 3e-2 : 1e-3;
    double most = limit * (s.codes ? 4 : 1), error = error_of(form, s, small);
    printf("form %d, %d tokens at %d, %d blocks, %s%s%s: %.1e\n", form, s.n_token, s.pos, s.n_sm,
           s.mixes ? "experts" : "dense", s.dressed ? " with biases" : "",
           s.codes ? ", cache in e4m3" : "", error);
    if (!(error <= most)) fail_msg("off by %g of the root mean square, limit %g", error, most);
}

template <int FORM> static void test_form(void **)
{
    constexpr bool is_fp4 = unit<FORM>::is_fp4;
    constexpr int step = FORM == W_MXFP4 ? 512 : is_fp4 ? 256 : 128; // columns that it takes
    constexpr int other = is_fp4 ? 128 : 64;                         // a head's
    const struct shape shapes[] = {
        {1, 3, step * 2, step * 3, 4, 2, 128, 37, false, 3, false, false, 0},
        {8, 3, step, step * 2, 8, 4, 64, 21, false, 3, false, false, 0},
        {1, 3, step * 2, step, 8, 1, 128, 90, true, 3, false, false, 0},
        {4, 2, step, step, 8, 2, 128, 5, true, 1, false, false, 0},
        {1, 5, step, step * (is_fp4 ? 18 : 17), 4, 1, other, 0, false, 1, false, false,
         0},                                                           // warps with 5 units
        {3, 2, step, step, 4, 1, 128, 290, false, 2, false, false, 0}, // a context in two parts
        {7, 3, step, step, 8, 2, 64, 50, true, 1, false, false, 0},
        {1, 11, step, step, 8, 2, 128, 20, true, 3, false, false, 0},  // more blocks than experts
        {1, 3, step, step, 20, 1, 64, 300, false, 2, false, false, 0}, // more heads than a tile
    };
    const struct shape of_codes[] = {
        {1, 3, step * 2, step, 4, 2, 128, 37, false, 2, true, false, 0},
        {8, 3, step, step, 8, 4, 64, 21, false, 1, true, false, 0},
        {1, 2, step, step, 4, 1, 128, 700, false, 1, true, false, 0}, // takers with several tiles
        {4, 2, step, step, 20, 2, 64, 600, true, 1, true, false, 0},
        {1, 2, step, step, 4, 1, 64, 0, false, 1, true, false, 0},
        {5, 2, step, step, 16, 2, 128, 290, true, 2, true, false, 0},
        {1, 3, step, step, 12, 1, 128, 300, false, 2, true, false, 0},
    };
    // Rows of FP4 end within units.
    constexpr int ragged = is_fp4 ? 64 : 0;
    const struct shape dressed[] = {
        {1, 3, step + ragged, step + 3 * ragged, 8, 2, 64, 150, true, 3, false, true, 40},
        {3, 2, step + 3 * ragged, step + ragged, 8, 1, 64, 70, true, 2, false, true, 2},
        {8, 3, step + ragged, step, 16, 2, 64, 33, true, 1, false, true, 16},
        {2, 2, step + ragged, step + ragged, 8, 2, 64, 600, true, 2, true, true, 300},
        {1, 2, step, step + ragged, 8, 2, 128, 700, true, 2, false, true, 1000},
        {1, 3, 2880, 192, 8, 1, 64, 5, true, 1, false, true, 4}, // as gpt-oss
        {3, 2, 192, 2880, 8, 1, 64, 5, true, 1, false, true, 4},
    };
    constexpr int n_codes = sizeof of_codes / sizeof *of_codes;
#ifdef HEARTH_EMULATED_SMALL
    int n = FORM == W_NVFP4 ? 3 : FORM == W_E4M3 ? 1 : 0;
    int n_of_codes = FORM == W_E4M3 ? n_codes : 0;
    int n_dressed = FORM == W_MXFP4 ? sizeof dressed / sizeof *dressed : 0;
#else
    int n = FORM == W_NVFP4 ? sizeof shapes / sizeof *shapes : FORM == W_E4M3 ? 3 : 1;
    int n_of_codes = FORM == W_E4M3 ? n_codes : FORM == W_MXFP4;
    int n_dressed = FORM == W_MXFP4 ? sizeof dressed / sizeof *dressed : FORM == W_NVFP4 ? 2 : 1;
#endif
    for (int i = 0; i < n_dressed; i++) check(FORM, dressed[i]);
    for (int i = 0; i < n_of_codes; i++) check(FORM, of_codes[i]);
    for (int i = 0; i < n; i++) check(FORM, shapes[i]);
}

static void test_divisors(void **)
{
    for (int d = 1; d < 70000; d += d < 300 ? 1 : 97) {
        struct divisor by = divisor_of(d);
        uint64_t end = std::min<uint64_t>((1ull << 32) / (unsigned)d, INT_MAX);
        for (uint64_t n : {(uint64_t)0, (uint64_t)1, (uint64_t)d - 1, (uint64_t)d, (uint64_t)d + 1,
                           end / 2, end / (unsigned)d * (unsigned)d - 1, end - 1})
            if (n < end) assert_int_equal(quotient((int)n, by), (int)n / d);
    }
}

// Experts of a kind that no kernel has, and so many rows that what divides them would be wrong.
static void test_experts_taken(void **)
{
    struct k_matrix gate[8] = {}, down[8] = {};
    struct k_experts e = {};
    e.gate = e.up = gate, e.down = down, e.n_expert = e.n_used = 8;
    auto takes = [&](enum k_type type, int ffn) {
        for (int i = 0; i < 8; i++) {
            gate[i].type = down[i].type = type, gate[i].data = down[i].data = (void *)4096;
            gate[i].n_row = down[i].n_col = ffn, gate[i].n_col = down[i].n_row = 128;
        }
        return cuda_step_mixes(&e, 1);
    };
    assert_true(takes(K_E4M3, 1 << 14));
    assert_false(takes(K_E4M3, 1 << 15));
    assert_false(takes(K_F32, 1 << 10));
    assert_false(takes(K_F16, 1 << 10));
}

int main(int n_arg, char **args)
{
    const struct CMUnitTest tests[] = {
        {"divisors", test_divisors, NULL, NULL, NULL},
        {"experts that are taken", test_experts_taken, NULL, NULL, NULL},
        {"bf16", test_form<W_BF16>, NULL, NULL, NULL},
        {"fp8", test_form<W_E4M3>, NULL, NULL, NULL},
        {"fp8 in blocks", test_form<W_E4M3_BLOCK>, NULL, NULL, NULL},
        {"nvfp4", test_form<W_NVFP4>, NULL, NULL, NULL},
        {"mxfp4", test_form<W_MXFP4>, NULL, NULL, NULL},
    };
    emulated_call = [](const void *kernel, void *argument) {
        ((step_function)kernel)(*(const struct step_list *)argument);
    };
    if (n_arg > 1) cmocka_set_test_filter(args[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
