// hearth model info|quantize: what a model directory holds, and a smaller one made from it.
#include "app.h"
#include "engine/quantize.h"
#include "paths.h"
#include "verbs.h"

#include <stdlib.h>
#include <string.h>

static const struct option_row info_options[] = {
    {"backend", OPTION_TEXT, "NAME",
     "cuda, cpu or ref, the slow scalar reference (without: a GPU if there is one)", NULL},
    {"ctx", OPTION_INT, "N", "tokens of context; 0: what the model has, at most 8192", "0"},
    {"kv", OPTION_TEXT, "TYPE",
     "of keys and values: bf16, fp8, or f32 on a CPU (without: bf16, on a CPU f32)", NULL},
    {0},
};

static int info(struct command *c, err *e)
{
    long long ctx = cli_int(c, "ctx");
    if (ctx < 0 || ctx > 1 << 20)
        return err_set(e, ERR_USAGE, "--ctx: expected 0 to %d, found %lld", 1 << 20, ctx);
    char *dir = paths_model(c->n_arg ? c->args[0] : NULL, e);
    if (!dir) return -1;
    struct engine_options o = {.model_dir = dir,
                               .backend = cli_text(c, "backend"),
                               .ctx_max = (int)ctx,
                               .kv = cli_text(c, "kv")};
    engine *en = engine_open(&o, e);
    if (!en) {
        free(dir);
        return -1;
    }
    const struct engine_info *i = engine_info(en);
    err why = {0};
    chat *ch = engine_chat_template(en) ? chat_open(engine_chat_template(en), "chat_template",
                                                    engine_bos(en), engine_eos(en), &why)
                                        : NULL;
    struct grammar_tools_options format = {0};
    bool calls = ch && chat_call_format(ch, &format, &why) == 0;
    char *plan = memory_plan_text(&i->plan);
    if (c->json) {
        json_t *out =
            json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:I, s:I, s:I, "
                      "s:s, s:b, s:b, s:{s:I, s:b, s:s, s:I, s:I, s:i, s:I, s:I}}",
                      "dir", dir, "architecture", i->architecture, "weight_type", i->weight_type,
                      "backend", i->backend, "layers", i->n_layer, "dim", i->dim, "heads",
                      i->n_head, "kv_heads", i->n_kv_head, "head_dim", i->head_dim, "ffn_dim",
                      i->ffn_dim, "vocabulary", i->n_vocab, "context", i->ctx_max, "parameters",
                      (json_int_t)i->n_parameter, "weight_bytes", (json_int_t)i->weight_bytes,
                      "weight_bytes_per_token", (json_int_t)i->weight_bytes_per_token, "digest",
                      i->digest, "chat", ch != NULL, "tool_calls", calls, "plan", "weights",
                      (json_int_t)i->plan.weights, "mapped", i->plan.is_mapped, "kv_type",
                      k_type_name(i->plan.kv_type), "cache", (json_int_t)i->plan.cache, "scratch",
                      (json_int_t)i->plan.scratch, "sessions", i->plan.n_session, "free",
                      (json_int_t)i->plan.free, "floor", (json_int_t)i->plan.floor);
        json_dumpf(out, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(out);
    } else {
        printf("%s\n", dir);
        printf("  architecture   %s, %d layers, dim %d, ffn %d\n", i->architecture, i->n_layer,
               i->dim, i->ffn_dim);
        printf("  attention      %d heads, %d key/value heads of %d\n", i->n_head, i->n_kv_head,
               i->head_dim);
        printf("  vocabulary     %d tokens, context %d\n", i->n_vocab, i->ctx_max);
        printf("  weights        %.1f M parameters, %.1f MB, mostly %s; %.1f MB read per token\n",
               (double)i->n_parameter / 1e6, (double)i->weight_bytes / 1e6, i->weight_type,
               (double)i->weight_bytes_per_token / 1e6);
        printf("  runs on        %s, %d threads\n", i->backend, i->n_thread);
        printf("  memory         %s\n", plan);
        if (ch)
            printf("  chat template  understood; tool calls %s%.*s\n",
                   calls ? "as " : "unknown: ", (int)strcspn(calls ? format.begin : why.msg, "\n"),
                   calls ? format.begin : why.msg);
        else
            printf("  chat template  %s\n", engine_chat_template(en) ? why.msg : "none");
        printf("  digest         %s\n", i->digest);
    }
    free(plan);
    chat_close(ch);
    engine_close(en);
    free(dir);
    return 0;
}

const struct verb verb_model_info = {
    .name = "model info",
    .arguments = "[DIR]",
    .help = "what a model directory holds and how it would run",
    .options = info_options,
    .args_max = 1,
    .run = info,
};

static int quantize(struct command *c, err *e)
{
    if (model_quantize(c->args[0], c->args[1], e)) return -1;
    if (c->json) {
        json_t *o = json_pack("{s:s}", "written", c->args[1]);
        json_dumpf(o, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(o);
    } else {
        printf("%s\n", c->args[1]);
    }
    return 0;
}

const struct verb verb_model_quantize = {
    .name = "model quantize",
    .arguments = "DIR NEW_DIR",
    .help = "write an FP8 (E4M3, a scale per row) copy of a model",
    .args_min = 2,
    .args_max = 2,
    .run = quantize,
};
