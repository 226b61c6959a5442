// A timeline is the list of tokens whose keys and values the cache holds, and nothing else: to go
// back is to shorten the list, and a call that fails half-way leaves the list as long as what was
// computed. `has_logits` says whether the device's logits belong to the last token of the list,
// `is_fetched` whether the host's copy does: tokens are chosen on the device and need none.
#include "engine/session.h"

#include "base/mem.h"
#include "base/rng.h"
#include "engine/forward.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct session {
    const struct model *model;
    const tokenizer *tokenizer; // or NULL
    struct work work;
    int32_t *tokens; // [ctx_max]
    size_t n_token;
    float *logits; // [n_vocab] on the host
    bool has_logits, is_fetched;
    bool is_issued;  // tokens that session_await has not waited for
    size_t n_before; // tokens before those
    int last_row;    // of the device's logits that belongs to the last token
    int n_usable;
    uint64_t *room; // [n_vocab] for sampling
    rng random;
};

session *session_open(const struct model *m, const tokenizer *t, int ctx_max, err *e)
{
    session *s = mem_new(sizeof *s);
    size_t n_vocab = (size_t)m->config.n_vocab;
    s->model = m;
    s->tokenizer = t;
    s->n_usable = t ? tokenizer_size(t) : m->config.n_vocab;
    s->tokens = mem_new((size_t)ctx_max * sizeof *s->tokens);
    s->logits = mem_new(n_vocab * sizeof *s->logits);
    s->room = mem_new(n_vocab * sizeof *s->room);
    if (work_open(&s->work, m, ctx_max, e)) {
        session_free(s);
        return NULL;
    }
    return s;
}

void session_free(session *s)
{
    if (!s) return;
    work_close(&s->work, s->model);
    free(s->tokens);
    free(s->logits);
    free(s->room);
    free(s);
}

static int check_tokens(const session *s, const int32_t *tokens, size_t n, err *e)
{
    if (n > (size_t)s->work.ctx_max)
        return err_set(e, ERR_BUDGET, "%zu tokens do not fit the context of %d", n,
                       s->work.ctx_max);
    for (size_t i = 0; i < n; i++)
        if (tokens[i] < 0 || tokens[i] >= s->model->config.n_vocab)
            return err_set(e, ERR_INPUT, "token %d is outside the vocabulary of %d", tokens[i],
                           s->model->config.n_vocab);
    return 0;
}

// Appends up to one chunk of tokens; returns how many, or -1.
static int append_chunk(session *s, const int32_t *tokens, size_t n, const volatile int *cancel,
                        err *e)
{
    int k = n < (size_t)s->work.chunk_max ? (int)n : s->work.chunk_max;
    s->has_logits = false;
    if (forward_chunk(&s->work, s->model, tokens, k, (int)s->n_token, cancel))
        return err_set(e, ERR_CANCELLED, "cancelled");
    memcpy(s->tokens + s->n_token, tokens, (size_t)k * sizeof *tokens);
    s->n_token += (size_t)k;
    return k;
}

static int end_with_logits(session *s, err *e)
{
    const struct model *m = s->model;
    s->is_fetched = false;
    s->has_logits = m->ops->finish(m->device, e) == 0;
    return s->has_logits ? 0 : -1;
}

// Appends tokens, n >= 1, chunk by chunk, and issues the logits after the last.
static int issue_chunks(session *s, const int32_t *tokens, size_t n, const volatile int *cancel,
                        err *e)
{
    for (size_t at = 0; at < n;) {
        int k = append_chunk(s, tokens + at, n - at, cancel, e);
        if (k < 0) return -1;
        at += (size_t)k;
        if (at < n) continue;
        forward_head(&s->work, s->model, k - 1);
        s->last_row = 0;
    }
    return 0;
}

int session_sync(session *s, const int32_t *tokens, size_t n, size_t *n_reused,
                 const volatile int *cancel, err *e)
{
    size_t same = 0;
    assert(!s->is_issued);
    if (n_reused) *n_reused = 0;
    if (n == 0) return err_set(e, ERR_INPUT, "a timeline has at least one token");
    if (check_tokens(s, tokens, n, e)) return -1;
    while (same < n && same < s->n_token && tokens[same] == s->tokens[same]) same++;

    bool is_here = same == n && s->n_token == n && s->has_logits;
    if (n_reused) *n_reused = is_here ? n : same - (same == n);
    if (is_here) return 0;
    if (same == n) same--; // the last token runs again for its logits
    s->n_token = same;
    s->has_logits = false;
    return issue_chunks(s, tokens + same, n - same, cancel, e) || end_with_logits(s, e) ? -1 : 0;
}

int session_issue(session *s, const int32_t *tokens, size_t n, err *e)
{
    assert(n >= 1 && !s->is_issued);
    if (n > (size_t)s->work.ctx_max - s->n_token)
        return err_set(e, ERR_BUDGET, "the context of %d tokens is full", s->work.ctx_max);
    if (check_tokens(s, tokens, n, e)) return -1;
    s->n_before = s->n_token;
    s->has_logits = false;
    if (n <= STEP_ROWS) {
        forward_step(&s->work, s->model, tokens, (int)n, (int)s->n_token);
        s->last_row = (int)n - 1;
        memcpy(s->tokens + s->n_token, tokens, n * sizeof *tokens);
        s->n_token += n;
    } else if (issue_chunks(s, tokens, n, NULL, e)) {
        return -1;
    }
    s->is_issued = true;
    return 0;
}

int session_await(session *s, err *e)
{
    assert(s->is_issued);
    s->is_issued = false;
    if (end_with_logits(s, e) == 0) return 0;
    s->n_token = s->n_before;
    return -1;
}

int session_append(session *s, const int32_t *tokens, size_t n, err *e)
{
    return session_issue(s, tokens, n, e) || session_await(s, e) ? -1 : 0;
}

int session_steps(session *s, const int32_t *tokens, int n, err *e)
{
    assert(n <= STEP_ROWS);
    return session_append(s, tokens, (size_t)n, e);
}

int session_step(session *s, int32_t token, err *e)
{
    return session_append(s, &token, 1, e);
}

// On the device.
static const float *last_logits(const session *s)
{
    return s->work.logits + (size_t)s->last_row * (size_t)s->model->config.n_vocab;
}

const float *session_logits(session *s)
{
    assert(!s->is_issued);
    const struct model *m = s->model;
    if (!s->is_fetched)
        m->ops->download(m->device, s->logits, last_logits(s),
                         (size_t)m->config.n_vocab * sizeof *s->logits);
    s->is_fetched = true;
    return s->logits;
}

size_t session_length(const session *s)
{
    return s->n_token;
}

int session_ctx_max(const session *s)
{
    return s->work.ctx_max;
}

void session_seed(session *s, uint64_t seed)
{
    s->random = rng_seed(seed);
}

int32_t session_sample(session *s, const struct sample_options *o, const uint64_t *mask)
{
    const struct model *m = s->model;
    assert(!s->is_issued);
    struct k_sampling how = {o->temperature, o->top_p, o->min_p, o->top_k, 0};
    if (how.temperature > 0) how.word = rng_u64(&s->random);
    return m->ops->sample(m->device, last_logits(s), s->n_usable, mask, &how, s->room);
}

static int pool_tokens(session *s, const int32_t *tokens, size_t n, float *out, err *e)
{
    const struct model *m = s->model;
    const struct config *c = &m->config;
    size_t dim = (size_t)c->dim, at = 0;
    double length = 0;
    if (n == 0) return err_set(e, ERR_INPUT, "an empty text has no embedding");
    if (check_tokens(s, tokens, n, e)) return -1;

    memset(out, 0, dim * sizeof *out);
    m->ops->upload(m->device, s->work.pooled, out, dim * sizeof *out);
    s->n_token = 0;
    s->has_logits = false;
    while (at < n) {
        int k = append_chunk(s, tokens + at, n - at, NULL, e);
        if (k < 0) return -1;
        m->ops->rms_norm(m->device, s->work.x, s->work.x, m->final_norm, k, c->dim, c->norm_eps);
        m->ops->sum_rows(m->device, s->work.pooled, s->work.x, k, c->dim);
        at += (size_t)k;
    }
    s->n_token = 0;
    if (m->ops->finish(m->device, e)) return -1;
    m->ops->download(m->device, out, s->work.pooled, dim * sizeof *out);
    for (size_t i = 0; i < dim; i++) length += (double)out[i] * (double)out[i];
    for (size_t i = 0; i < dim && length > 0; i++) out[i] = (float)(out[i] / sqrt(length));
    return 0;
}

int session_embed(session *s, const char *text, size_t n_bytes, float *out, err *e)
{
    token_buf ids = {0};
    assert(s->tokenizer);
    tokenizer_encode(s->tokenizer, text, n_bytes, &ids);
    int rc = pool_tokens(s, ids.ids, ids.n, out, e);
    token_buf_free(&ids);
    return rc;
}
