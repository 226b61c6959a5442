#include "engine/engine.h"

#include "base/file.h"
#include "base/mem.h"
#include "engine/model.h"
#include "engine/products.h"
#include "engine/session.h"
#include "engine/vocab.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CTX_DEFAULT_MAX = 8192, TEXT_BYTES_MAX = 4 << 20 };

struct engine {
    struct model *model;
    tokenizer *tokenizer;
    grammar_vocab vocab;
    char *chat_template; // or NULL
    char *bos, *eos;     // contents of the named tokens, or NULL
    struct engine_info info;
};

// The template is a string, a list of {name, template} of which "default" counts, or a file beside.
static char *template_of(const json_t *v)
{
    size_t i;
    json_t *item;
    if (json_is_string(v)) return mem_str(json_string_value(v));
    json_array_foreach((json_t *)v, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));
        const char *text = json_string_value(json_object_get(item, "template"));
        if (name && text && !strcmp(name, "default")) return mem_str(text);
    }
    return NULL;
}

// A special token of tokenizer_config.json is a string or {"content": string}.
static const char *token_name(const json_t *doc, const char *field)
{
    const json_t *v = json_object_get(doc, field);
    return json_string_value(json_is_object(v) ? json_object_get(v, "content") : v);
}

// The end of a turn is the tokenizer's own eos if the model stops there, else the first token that
// the model stops at.
static void choose_eos(engine *en, const char *name)
{
    const struct config *c = &en->model->config;
    int32_t named = name ? tokenizer_id(en->tokenizer, name) : -1;
    int32_t eos = c->n_eos ? c->eos[0] : named;
    for (int i = 0; i < c->n_eos; i++)
        if (c->eos[i] == named) eos = named;
    tokenizer_set_eos(en->tokenizer, eos);
}

static int load_tokenizer_config(engine *en, const char *dir, err *e)
{
    char *path = path_join(dir, "tokenizer_config.json");
    char *beside = path_join(dir, "chat_template.jinja"), *text = NULL;
    json_t *doc = NULL;
    json_error_t je;
    size_t n;
    int rc = -1;
    if (file_exists(path)) {
        if (!(text = file_read(path, TEXT_BYTES_MAX, &n, e))) goto out;
        doc = json_loadb(text, n, JSON_REJECT_DUPLICATES, &je);
        if (!json_is_object(doc)) {
            err_set(e, ERR_INPUT, "%s: line %d: %s", path, doc ? 1 : je.line,
                    doc ? "expected a JSON object" : je.text);
            goto out;
        }
    }
    const char *bos = token_name(doc, "bos_token"), *eos = token_name(doc, "eos_token");
    en->bos = bos ? mem_str(bos) : NULL;
    en->eos = eos ? mem_str(eos) : NULL;
    choose_eos(en, eos);
    en->chat_template = template_of(json_object_get(doc, "chat_template"));
    if (!en->chat_template && file_exists(beside) &&
        !(en->chat_template = file_read(beside, TEXT_BYTES_MAX, &n, e)))
        goto out;
    rc = 0;
out:
    json_decref(doc);
    free(text);
    free(path);
    free(beside);
    return rc;
}

static int load_tokenizer(engine *en, const char *dir, err *e)
{
    char *path = path_join(dir, "tokenizer.json");
    en->tokenizer = tokenizer_open(path, e);
    int rc = en->tokenizer ? 0 : -1;
    // Padding of the vocabulary to a round number is usual; more tokens than rows is not.
    if (!rc && tokenizer_size(en->tokenizer) > en->model->config.n_vocab)
        rc = err_set(e, ERR_INPUT, "%s: %d tokens, but config.json: vocab_size is %d", path,
                     tokenizer_size(en->tokenizer), en->model->config.n_vocab);
    free(path);
    return rc;
}

static void fill_info(engine *en)
{
    const struct model *m = en->model;
    const struct config *c = &m->config;
    const struct memory_plan plan = en->info.plan;
    en->info = (struct engine_info){.plan = plan,
                                    .architecture = c->architecture,
                                    .weight_type = k_type_name(m->weight_type),
                                    .backend = m->ops->describe(m->device),
                                    .n_layer = c->n_layer,
                                    .dim = c->dim,
                                    .n_head = c->n_head,
                                    .n_kv_head = c->n_kv_head,
                                    .head_dim = c->head_dim,
                                    .ffn_dim = c->ffn_dim,
                                    .n_vocab = c->n_vocab,
                                    .ctx_max = plan.ctx_max,
                                    .n_thread = m->ops->n_thread(m->device),
                                    .n_parameter = m->n_parameter,
                                    .weight_bytes = m->weight_bytes,
                                    .weight_bytes_per_token = m->weight_bytes_per_token};
    memcpy(en->info.digest, m->digest, sizeof en->info.digest);
}

static int check_options(const struct engine_options *o, err *e)
{
    if (!k_ops_known(o->backend, e)) return -1;
    enum k_type kv;
    if (k_kv_type(k_ops_find(o->backend), o->kv, &kv, e)) return -1;
    if (o->n_thread < 0 || o->n_thread > 1024)
        return err_set(e, ERR_USAGE, "threads: expected 0 to 1024, found %d", o->n_thread);
    if (o->ctx_max < 0)
        return err_set(e, ERR_USAGE, "context: expected at least 1 token, found %d", o->ctx_max);
    if (!o->model_dir || !file_is_dir(o->model_dir))
        return err_set(e, ERR_INPUT, "%s: expected the directory of a model",
                       o->model_dir ? o->model_dir : "(no model)");
    return 0;
}

engine *engine_open(const struct engine_options *o, err *e)
{
    if (check_options(o, e)) return NULL;
    engine *en = mem_new(sizeof *en);
    const struct model_need need = {.ctx_max = o->ctx_max,
                                    .ctx_default = CTX_DEFAULT_MAX,
                                    .n_session = o->n_session ? o->n_session : 1,
                                    .kv = o->kv,
                                    .watch = o->watch};
    en->model = model_open_planned(o->model_dir, k_ops_find(o->backend), o->n_thread, &need,
                                   &en->info.plan, e);
    if (!en->model || load_tokenizer(en, o->model_dir, e) ||
        load_tokenizer_config(en, o->model_dir, e))
        goto fail;
    if (vocab_make(&en->vocab, en->tokenizer, en->model->config.n_vocab,
                   tokenizer_eos(en->tokenizer), e))
        goto fail;
    fill_info(en);
    return en;
fail:
    engine_close(en);
    return NULL;
}

void engine_close(engine *en)
{
    if (!en) return;
    vocab_free(&en->vocab);
    free(en->chat_template);
    free(en->bos);
    free(en->eos);
    tokenizer_close(en->tokenizer);
    model_close(en->model);
    free(en);
}

const struct engine_info *engine_info(const engine *en)
{
    return &en->info;
}

void products_of_engine(const engine *en, product_listener *tell, void *context)
{
    products_of_model(en->model, tell, context);
}

const tokenizer *engine_tokenizer(const engine *en)
{
    return en->tokenizer;
}

const grammar_vocab *engine_vocab(const engine *en)
{
    return &en->vocab;
}

const char *engine_chat_template(const engine *en)
{
    return en->chat_template;
}

const char *engine_bos(const engine *en)
{
    return en->bos;
}

const char *engine_eos(const engine *en)
{
    return en->eos;
}

bool engine_is_end(const engine *en, int32_t token)
{
    const struct config *c = &en->model->config;
    for (int i = 0; i < c->n_eos; i++)
        if (c->eos[i] == token) return true;
    return token == tokenizer_eos(en->tokenizer);
}

session *session_new(engine *en, err *e)
{
    return session_open(en->model, en->tokenizer, en->info.ctx_max, e);
}
