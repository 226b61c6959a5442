// Operations on rows, and everything else whose time is the reading and writing of its operands
// once. None of them carries a decode step: a layer's own are fused into its products.
#include "kernels/cuda.h"

#include <cfloat>
#include <cstring>

enum { THREADS = 256 };

static unsigned blocks_for(size_t n)
{
    return (unsigned)((n + THREADS - 1) / THREADS);
}

static __device__ __forceinline__ size_t global_index()
{
    return (size_t)blockIdx.x * blockDim.x + threadIdx.x;
}

// The sum over a block, in every thread. Ends with a barrier, so that it can follow itself.
static __device__ float block_sum(float x)
{
    __shared__ float parts[THREADS / 32];
    __shared__ float sum;
    x = warp_sum(x);
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = x;
    __syncthreads();
    if (threadIdx.x == 0) {
        float total = 0;
        for (unsigned i = 0; i < blockDim.x / 32; i++) total += parts[i];
        sum = total;
    }
    __syncthreads();
    x = sum;
    __syncthreads();
    return x;
}

// One block per token.
__global__ void embed_kernel(float *out, struct k_matrix w, const int32_t *tokens)
{
    size_t row = (size_t)tokens[blockIdx.x], n = (size_t)w.n_col;
    float scale = w.scale ? w.scale[row] : 1;
    for (size_t i = threadIdx.x; i < n; i += blockDim.x)
        out[blockIdx.x * n + i] = weight_value(w, row, i) * scale;
}

void cuda_embed(k_device *d, float *out, const struct k_matrix *table, const int32_t *tokens,
                int n_token)
{
    embed_kernel<<<(unsigned)n_token, THREADS, 0, d->stream>>>(out, with_steps(table), tokens);
    cuda_check(d, cudaGetLastError(), "embed");
}

// One block per row. x is read twice, the second time from a cache.
__global__ void rms_norm_kernel(float *out, const float *x, const float *gain, int dim, float eps)
{
    size_t at = (size_t)blockIdx.x * dim;
    float sum = 0;
    for (int i = threadIdx.x; i < dim; i += blockDim.x) sum += x[at + i] * x[at + i];
    float factor = 1 / sqrtf(block_sum(sum) / dim + eps);
    for (int i = threadIdx.x; i < dim; i += blockDim.x) out[at + i] = x[at + i] * factor * gain[i];
}

void cuda_rms_norm(k_device *d, float *out, const float *x, const float *gain, int n_row, int dim,
                   float eps)
{
    rms_norm_kernel<<<(unsigned)n_row, THREADS, 0, d->stream>>>(out, x, gain, dim, eps);
    cuda_check(d, cudaGetLastError(), "rms_norm");
}

// One thread per angle, in double: positions times frequencies need more than 24 bits.
__global__ void rope_table_kernel(float *out, const double *inv_freq, int n_half, float scale,
                                  const int32_t *pos, size_t n)
{
    size_t i = global_index();
    early_trigger();
    early_wait();
    if (i >= n) return;
    size_t t = i / n_half, k = i % n_half;
    double s, c, angle = (double)(*pos + (int)t) * inv_freq[k];
    sincos(angle, &s, &c);
    out[t * 2 * n_half + k] = (float)c * scale;
    out[t * 2 * n_half + n_half + k] = (float)s * scale;
}

void cuda_rope_table(k_device *d, float *out, const double *inv_freq, int n_half, float scale,
                     const int32_t *pos, int n_token)
{
    size_t n = (size_t)n_half * n_token;
    cuda_launch_early(d, "rope_table", rope_table_kernel, dim3(blocks_for(n)), THREADS, 0, out,
                      inv_freq, n_half, scale, pos, n);
}

__global__ void rope_kernel(float *x, const float *table, int n_head, int half, size_t n)
{
    size_t i = global_index();
    if (i >= n) return;
    size_t k = i % half, head = i / half, t = head / n_head;
    float *p = x + head * 2 * half + k;
    float c = table[t * 2 * half + k], s = table[t * 2 * half + half + k], a = p[0], b = p[half];
    p[0] = a * c - b * s;
    p[half] = b * c + a * s;
}

void cuda_rope(k_device *d, float *x, const float *table, int n_token, int n_head, int head_dim)
{
    size_t n = (size_t)n_token * n_head * (head_dim / 2);
    rope_kernel<<<blocks_for(n), THREADS, 0, d->stream>>>(x, table, n_head, head_dim / 2, n);
    cuda_check(d, cudaGetLastError(), "rope");
}

// As `gated` of cuda.h, to the last bits.
static __device__ __forceinline__ float gated_exactly(float gate, float up,
                                                      const struct k_gating &how)
{
    gate = gate > how.limit ? how.limit : gate;
    up = up > how.limit ? how.limit : up < -how.limit ? -how.limit : up;
    return gate / (1 + expf(-how.slope * gate)) * (up + how.shift);
}

__global__ void swiglu_kernel(float *gate, const float *up, struct k_gating how, size_t n)
{
    size_t i = global_index();
    if (i < n) gate[i] = gated_exactly(gate[i], up[i], how);
}

void cuda_swiglu(k_device *d, float *gate, const float *up, int n_token, int dim,
                 const struct k_gating *how)
{
    size_t n = (size_t)n_token * dim;
    swiglu_kernel<<<blocks_for(n), THREADS, 0, d->stream>>>(gate, up, gating_of(how), n);
    cuda_check(d, cudaGetLastError(), "swiglu");
}

__global__ void sum_rows_kernel(float *out, const float *x, int n_row, int dim)
{
    size_t i = global_index();
    if (i >= (size_t)dim) return;
    float sum = out[i];
    for (int r = 0; r < n_row; r++) sum += x[(size_t)r * dim + i];
    out[i] = sum;
}

void cuda_sum_rows(k_device *d, float *out, const float *x, int n_row, int dim)
{
    sum_rows_kernel<<<blocks_for((size_t)dim), THREADS, 0, d->stream>>>(out, x, n_row, dim);
    cuda_check(d, cudaGetLastError(), "sum_rows");
}

// Acts

static __device__ __forceinline__ void act_store(const k_act &a, enum form form, size_t at, float x)
{
    const struct short_out out = {{a.hi[0], a.hi[1]}, {a.lo[0], a.lo[1]}};
    if (form == FORM_PAIR)
        write_pair(out, at, x);
    else if (form == FORM_SHORT)
        write_short(out, at, x);
    else
        a.x[at] = x;
}

__global__ void act_norm_kernel(k_act a, const float *x, const float *gain, int dim, float eps)
{
    size_t at = (size_t)blockIdx.x * dim;
    float sum = 0;
    early_trigger();
    early_wait();
    for (int i = threadIdx.x; i < dim; i += blockDim.x) sum += x[at + i] * x[at + i];
    float factor = 1 / sqrtf(block_sum(sum) / dim + eps);
    for (int i = threadIdx.x; i < dim; i += blockDim.x)
        act_store(a, a.form, at + i, x[at + i] * factor * gain[i]);
}

void cuda_norm(k_device *d, k_act *a, const float *x, const float *gain, int n_token, int dim,
               float eps)
{
    a->form = act_form(n_token, dim);
    a->n_sum = 0, a->q_form = Q_NONE;
    cuda_launch_early(d, "norm", act_norm_kernel, dim3((unsigned)n_token), THREADS, 0, *a, x, gain,
                      dim, eps);
}

__global__ void act_write_kernel(k_act a, const float *x, size_t n)
{
    size_t i = global_index();
    if (i < n) act_store(a, a.form, i, x[i]);
}

void cuda_act_write(k_device *d, k_act *a, const float *x, int n_token)
{
    size_t n = (size_t)n_token * a->n_col;
    a->form = act_form(n_token, a->n_col);
    a->n_sum = 0, a->q_form = Q_NONE;
    act_write_kernel<<<blocks_for(n), THREADS, 0, d->stream>>>(*a, x, n);
    cuda_check(d, cudaGetLastError(), "act");
}

__global__ void act_read_kernel(k_act a, float *out)
{
    size_t at = (size_t)blockIdx.x * a.n_col;
    float factor = 1;
    if (a.n_sum) {
        float sum = 0;
        for (int i = threadIdx.x; i < a.n_sum; i += blockDim.x)
            sum += a.sums[blockIdx.x * a.n_sum + i];
        factor = 1 / sqrtf(block_sum(sum) / a.norm_dim + a.eps);
    }
    for (int i = threadIdx.x; i < a.n_col; i += blockDim.x) {
        float x = f16_value(a.hi[X_F16][at + i]);
        if (a.form == FORM_PAIR) x += f16_value(a.lo[X_F16][at + i]);
        out[at + i] = x * (1 / F16_UNIT) * factor;
    }
}

const float *cuda_act_read(k_device *d, const k_act *a, int n_token)
{
    if (a->form == FORM_F32) return a->x;
    act_read_kernel<<<(unsigned)n_token, THREADS, 0, d->stream>>>(*a, d->scratch[2]);
    cuda_check(d, cudaGetLastError(), "act");
    return d->scratch[2];
}

__global__ void gate_act_kernel(k_act a, const float *gate, const float *up, size_t n)
{
    size_t i = global_index();
    if (i < n) act_store(a, a.form, i, gated_exactly(gate[i], up[i], {1, 0, INFINITY}));
}

void cuda_gate_act(k_device *d, k_act *a, const float *gate, const float *up, int n_token)
{
    size_t n = (size_t)n_token * a->n_col;
    a->form = act_form(n_token, a->n_col);
    a->n_sum = 0, a->q_form = Q_NONE;
    gate_act_kernel<<<blocks_for(n), THREADS, 0, d->stream>>>(*a, gate, up, n);
    cuda_check(d, cudaGetLastError(), "gate");
}

// Plain reading and filling

enum { READ_UNROLL = 8 };

__global__ void read_kernel(const uint4 *__restrict__ p, size_t n, const unsigned char *tail,
                            size_t n_tail, unsigned *out)
{
    size_t stride = (size_t)gridDim.x * blockDim.x, i = global_index();
    unsigned sum = 0;
    for (; i + (READ_UNROLL - 1) * stride < n; i += READ_UNROLL * stride) {
        uint4 v[READ_UNROLL];
#pragma unroll
        for (int k = 0; k < READ_UNROLL; k++) v[k] = __ldcs(p + i + k * stride);
#pragma unroll
        for (int k = 0; k < READ_UNROLL; k++) sum += v[k].x + v[k].y + v[k].z + v[k].w;
    }
    for (; i < n; i += stride) sum += p[i].x + p[i].y + p[i].z + p[i].w;
    if (global_index() < n_tail) sum += tail[global_index()];
#pragma unroll
    for (int k = 16; k; k /= 2) sum += __shfl_xor_sync(~0u, sum, k);
    if (threadIdx.x % 32 == 0) atomicAdd(out, sum);
}

uint64_t cuda_read_all(k_device *d, const void *p, size_t n_bytes)
{
    unsigned sum = 0;
    size_t n = n_bytes / sizeof(uint4);
    cuda_check(d, cudaMemsetAsync(d->read_sum, 0, sizeof sum, d->stream), "read_all");
    read_kernel<<<(unsigned)d->n_sm * 8, THREADS, 0, d->stream>>>(
        (const uint4 *)p, n, (const unsigned char *)p + n * sizeof(uint4), n_bytes % sizeof(uint4),
        d->read_sum);
    cuda_check(d, cudaGetLastError(), "read_all");
    cuda_check(d, cudaMemcpyAsync(&sum, d->read_sum, sizeof sum, cudaMemcpyDeviceToHost, d->stream),
               "read_all");
    cuda_check(d, cudaStreamSynchronize(d->stream), "read_all");
    return sum;
}

// k_random_word of kernels/number.h.
static __device__ unsigned long long random_word(unsigned long long seed, unsigned long long i)
{
    unsigned long long z = seed + (i + 1) * 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

__global__ void fill_kernel(unsigned char *to, size_t n_bytes, unsigned long long seed,
                            unsigned long long keep, unsigned long long set)
{
    for (size_t i = global_index(); i < (n_bytes + 7) / 8; i += (size_t)gridDim.x * blockDim.x) {
        unsigned long long word = (random_word(seed, i) & keep) | set;
        if (i * 8 + 8 <= n_bytes)
            ((unsigned long long *)to)[i] = word;
        else
            for (size_t k = i * 8; k < n_bytes; k++, word >>= 8) to[k] = (unsigned char)word;
    }
}

void cuda_fill(k_device *d, void *to, size_t n_bytes, uint64_t seed, uint64_t keep, uint64_t set)
{
    fill_kernel<<<(unsigned)d->n_sm * 8, THREADS, 0, d->stream>>>((unsigned char *)to, n_bytes,
                                                                  seed, keep, set);
    cuda_check(d, cudaGetLastError(), "fill");
}

// Eight FP4 codes of a word from the checkpoint's order (code i in bits 4 i .. 4 i + 3) to ours.
static __device__ __forceinline__ unsigned arranged(unsigned word)
{
    unsigned out = 0;
    for (unsigned half = 0; half < 2; half++) {
        unsigned code[4], bits;
        for (unsigned k = 0; k < 4; k++) code[k] = word >> (8 * k + 4 * half) & 15;
        bits = (code[0] & 8) << 12 | (code[0] & 7) << 9 | (code[1] & 8) << 9 | (code[1] & 7) << 6 |
               (code[2] & 8) << 11 | (code[2] & 7) << 3 | (code[3] & 8) << 10 | (code[3] & 7);
        out |= bits << 16 * half;
    }
    return out;
}

// n_word words of a row. Rows that follow each other are one.
__global__ void arrange_kernel(char *data, size_t step, size_t n_word, size_t n)
{
    for (size_t i = global_index(); i < n; i += (size_t)gridDim.x * blockDim.x) {
        unsigned *word = (unsigned *)(data + i / n_word * step) + i % n_word;
        *word = arranged(*word);
    }
}

void cuda_arrange(k_device *d, const struct k_matrix *w)
{
    if (w->type != K_NVFP4 && w->type != K_MXFP4) return;
    size_t n_word = (size_t)w->n_col / 8, n = n_word * (size_t)w->n_row,
           step = with_steps(w).data_step;
    bool is_one = step == n_word * sizeof(unsigned);
    arrange_kernel<<<(unsigned)d->n_sm * 8, THREADS, 0, d->stream>>>((char *)w->data, step,
                                                                     is_one ? n : n_word, n);
    cuda_check(d, cudaGetLastError(), "arrange");
}

void cuda_spread(k_device *d, void *to, size_t step, const void *from, size_t n_bytes, size_t n_row)
{
    cuda_check(d, cudaMemsetAsync(to, 0, step * n_row, d->stream), "spread");
    cuda_check(d,
               cudaMemcpy2DAsync(to, step, from, n_bytes, n_bytes, n_row, cudaMemcpyDeviceToDevice,
                                 d->stream),
               "spread");
}
