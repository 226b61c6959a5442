// hearth bench decode|prefill|load|kernel|sample|tool: the measurements, each printed by itself and
// as JSON. What is measured is in the parts themselves
#include "app.h"
#include "base/mem.h"
#include "engine/decode_bench.h"
#include "engine/load_bench.h"
#include "engine/product_bench.h"
#include "engine/sample_bench.h"
#include "paths.h"
#include "tools/tool_bench.h"
#include "verbs.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int print_json(json_t *o)
{
    json_dumpf(o, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(o);
    return 0;
}

static int in_range(const struct command *c, const char *name, long long min, long long max,
                    int *out, err *e)
{
    long long v = cli_int(c, name);
    if (v < min || v > max)
        return err_set(e, ERR_USAGE, "--%s: expected %lld to %lld, found %lld", name, min, max, v);
    *out = (int)v;
    return 0;
}

// ---- decode ----

static const struct option_row decode_options[] = {
    {"model", OPTION_TEXT, "DIR",
     "model directory (without it and without --shape: the built-in model)", NULL},
    {"shape", OPTION_TEXT, "NAME",
     "random weights in the shape of a known model: llama-3.2-1b, ...", NULL},
    {"weights", OPTION_TEXT, "TYPE", "of a shape: fp8, bf16, nvfp4 or mxfp4", "fp8"},
    {"head", OPTION_TEXT, "TYPE", "of a shape's output head (without: bf16; fp8 with nvfp4, mxfp4)",
     NULL},
    {"activations", OPTION_TEXT, "TYPE",
     "of a shape, many tokens: fp8 at fp8 weights, fp4 at nvfp4 weights, too, or 16bit", "fp8"},
    {"backend", OPTION_TEXT, "NAME", "cuda, cpu, or ref: the slow scalar reference", NULL},
    {"kv", OPTION_TEXT, "TYPE",
     "of keys and values: bf16, fp8, or f32 on a CPU (without: bf16, on a CPU f32)", NULL},
    {"threads", OPTION_INT, "N", "0: one per CPU", "0"},
    {"prompt", OPTION_INT, "N", "tokens of prompt", "512"},
    {"decode", OPTION_INT, "N", "steps decoded behind it", "64"},
    {"rows", OPTION_INT, "N", "tokens in one step, 1 to 8", "1"},
    {"repeat", OPTION_INT, "N", "repetitions; the median counts", "5"},
    {0},
};

// The options that prefill and decode share.
static int run_model_bench(struct command *c, struct decode_bench_options *o,
                           struct decode_bench_result *r, err *e)
{
    char *dir = NULL;
    o->shape = cli_text(c, "shape");
    o->weights = cli_text(c, "weights");
    o->activations = cli_text(c, "activations");
    o->backend = cli_text(c, "backend");
    o->kv = cli_text(c, "kv");
    if (cli_text(c, "model") && o->shape)
        return err_set(e, ERR_USAGE, "--model and --shape exclude each other");
    if (in_range(c, "threads", 0, 1024, &o->n_thread, e) ||
        in_range(c, "prompt", 1, 1 << 20, &o->n_prompt, e) ||
        in_range(c, "repeat", 1, 1000, &o->repeat, e))
        return -1;
    if (!o->shape && !(dir = paths_model(cli_text(c, "model"), e))) return -1;
    o->model_dir = dir;
    int rc = decode_bench(o, r, &app_cancel, e);
    free(dir);
    return rc;
}

static int bench_decode(struct command *c, err *e)
{
    struct decode_bench_options o = {.head = cli_text(c, "head")};
    struct decode_bench_result r;
    if (in_range(c, "decode", 1, 1 << 20, &o.n_decode, e) ||
        in_range(c, "rows", 1, 8, &o.n_row, e) || run_model_bench(c, &o, &r, e))
        return -1;
    if (c->json)
        return print_json(json_pack(
            "{s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, "
            "s:f}",
            "model", o.shape ? o.shape : "directory", "backend", r.backend, "weight_type",
            r.weight_type, "kv_type", r.kv_type, "threads", r.n_thread, "prompt_tokens", o.n_prompt,
            "decode_steps", o.n_decode, "rows", o.n_row, "parameters", (json_int_t)r.n_parameter,
            "weight_bytes_per_token", (json_int_t)r.weight_bytes_per_token, "prefill_tokens_per_s",
            r.prefill_tps, "decode_steps_per_s", r.decode_tps, "decode_spread", r.decode_spread,
            "between_steps_us", r.between_us, "read_gb_per_s", r.read_gbps, "ratio", r.ratio,
            "kv_bytes_per_token", r.kv_bytes_per_token, "full_ratio", r.full_ratio));
    printf("%s, %s, %d threads, %.1f M parameters in %s, keys and values in %s\n",
           o.shape ? o.shape : "model directory", r.backend, r.n_thread,
           (double)r.n_parameter / 1e6, r.weight_type, r.kv_type);
    printf("  prefill   %10.1f tokens/s (%d tokens)\n", r.prefill_tps, o.n_prompt);
    printf("  decode    %10.1f steps/s of %d token%s (%d steps, spread %.0f %%)\n", r.decode_tps,
           o.n_row, o.n_row == 1 ? "" : "s", o.n_decode, 100 * r.decode_spread);
    if (!strncmp(r.backend, "cuda", 4)) // elsewhere issuing a step is computing it
        printf("  between   %10.1f us from a step's logits to the next step\n", r.between_us);
    printf("  weights   %10.1f MB read per token\n", (double)r.weight_bytes_per_token / 1e6);
    printf("  memory    %10.1f GB/s read by the same threads in this run\n", r.read_gbps);
    printf("  ratio     %10.1f %% of it reached by decoding, %.1f %% with keys and values\n",
           100 * r.ratio, 100 * r.full_ratio);
    return 0;
}

const struct verb verb_bench_decode = {
    .name = "bench decode",
    .arguments = "",
    .help = "tokens per second, and how near the memory's speed",
    .options = decode_options,
    .run = bench_decode,
};

// ---- prefill ----

static const struct option_row prefill_options[] = {
    {"model", OPTION_TEXT, "DIR",
     "model directory (without it and without --shape: the built-in model)", NULL},
    {"shape", OPTION_TEXT, "NAME",
     "random weights in the shape of a known model: llama-3.2-1b, ...", NULL},
    {"weights", OPTION_TEXT, "TYPE", "of a shape: fp8, bf16, nvfp4 or mxfp4", "fp8"},
    {"activations", OPTION_TEXT, "TYPE",
     "of a shape: fp8 at fp8 weights, fp4 at nvfp4 weights, too, or 16bit", "fp8"},
    {"backend", OPTION_TEXT, "NAME", "cuda, cpu, or ref: the slow scalar reference", NULL},
    {"kv", OPTION_TEXT, "TYPE",
     "of keys and values: bf16, fp8, or f32 on a CPU (without: bf16, on a CPU f32)", NULL},
    {"threads", OPTION_INT, "N", "0: one per CPU", "0"},
    {"prompt", OPTION_INT, "N", "tokens of prompt", "2048"},
    {"repeat", OPTION_INT, "N", "repetitions; the median counts", "5"},
    {0},
};

static int bench_prefill(struct command *c, err *e)
{
    struct decode_bench_options o = {.n_row = 1};
    struct decode_bench_result r;
    if (run_model_bench(c, &o, &r, e)) return -1;
    if (c->json)
        return print_json(json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:f, s:f}", "model",
                                    o.shape ? o.shape : "directory", "backend", r.backend,
                                    "weight_type", r.weight_type, "kv_type", r.kv_type, "threads",
                                    r.n_thread, "prompt_tokens", o.n_prompt, "prefill_tokens_per_s",
                                    r.prefill_tps, "tflop_per_s", r.prefill_tflops));
    printf("%s, %s, %d threads, weights in %s, keys and values in %s\n",
           o.shape ? o.shape : "model directory", r.backend, r.n_thread, r.weight_type, r.kv_type);
    printf("  prefill   %10.1f tokens/s (%d tokens)\n", r.prefill_tps, o.n_prompt);
    printf("  products  %10.2f TFLOP/s, attention counted, the head not\n", r.prefill_tflops);
    return 0;
}

const struct verb verb_bench_prefill = {
    .name = "bench prefill",
    .arguments = "",
    .help = "tokens per second while a prompt is read, and the arithmetic done for them",
    .options = prefill_options,
    .run = bench_prefill,
};

// ---- load ----

static const struct option_row load_options[] = {
    {"model", OPTION_TEXT, "DIR", "model directory (without it: the built-in model)", NULL},
    {"backend", OPTION_TEXT, "NAME", "cuda; with --copy also cpu or ref", NULL},
    {"copy", OPTION_FLAG, NULL, "copies also where weights would stay mapped", NULL},
    {"repeat", OPTION_INT, "N", "repetitions; the median counts", "3"},
    {0},
};

static int bench_load(struct command *c, err *e)
{
    struct load_bench_options o = {.backend = cli_text(c, "backend"), .copy = cli_flag(c, "copy")};
    struct load_bench_result r;
    if (in_range(c, "repeat", 1, 1000, &o.repeat, e)) return -1;
    char *dir = paths_model(cli_text(c, "model"), e);
    o.model_dir = dir;
    int rc = dir ? load_bench(&o, &r, e) : -1;
    free(dir);
    if (rc) return -1;
    if (c->json)
        return print_json(json_pack("{s:s, s:I, s:b, s:f, s:f, s:f, s:f, s:f, s:f, s:I}", "backend",
                                    r.backend, "weight_bytes", (json_int_t)r.n_bytes, "direct",
                                    r.is_direct, "load_seconds", r.load_seconds, "open_seconds",
                                    r.open_seconds, "read_seconds", r.read_seconds, "gb_per_s",
                                    r.load_gbps, "read_gb_per_s", r.read_gbps, "ratio", r.ratio,
                                    "peak_extra_host_bytes", (json_int_t)r.extra_bytes));
    printf("%.2f GB of weights to %s, %s\n", (double)r.n_bytes / 1e9, r.backend,
           r.is_direct ? "read past the page cache" : "read through the page cache");
    printf("  load      %10.2f s, %.2f GB/s; %.2f s with all of opening\n", r.load_seconds,
           r.load_gbps, r.open_seconds);
    printf("  reading   %10.2f s, %.2f GB/s, and nothing else, in this run\n", r.read_seconds,
           r.read_gbps);
    printf("  ratio     %10.1f %%\n", 100 * r.ratio);
    printf("  memory    %10.1f MB of the host's at the peak\n", (double)r.extra_bytes / 1e6);
    return 0;
}

const struct verb verb_bench_load = {
    .name = "bench load",
    .arguments = "",
    .help = "how fast weights come from their files into a device's memory",
    .options = load_options,
    .run = bench_load,
};

// ---- kernel ----

static const struct option_row kernel_options[] = {
    {"weights", OPTION_TEXT, "TYPE", "fp8, bf16, nvfp4 or mxfp4", "fp8"},
    {"backend", OPTION_TEXT, "NAME", "cuda, cpu, or ref: the slow scalar reference", NULL},
    {"threads", OPTION_INT, "N", "0: one per CPU", "0"},
    {"n", OPTION_INT, "N", "rows of the matrix", "4096"},
    {"k", OPTION_INT, "N", "columns of the matrix", "4096"},
    {"rows", OPTION_INT, "N", "tokens, 1 to 8", "1"},
    {"repeat", OPTION_INT, "N", "repetitions; the median counts", "5"},
    {0},
};

static int bench_kernel(struct command *c, err *e)
{
    struct product_bench_options o = {.weights = cli_text(c, "weights"),
                                      .backend = cli_text(c, "backend")};
    struct product_bench_result r;
    if (in_range(c, "threads", 0, 1024, &o.n_thread, e) ||
        in_range(c, "n", 1, 1 << 20, &o.n_row, e) || in_range(c, "k", 1, 1 << 20, &o.n_col, e) ||
        in_range(c, "rows", 1, 8, &o.n_token, e) || in_range(c, "repeat", 1, 1000, &o.repeat, e) ||
        product_bench(&o, &r, e))
        return -1;
    if (c->json)
        return print_json(json_pack("{s:s, s:s, s:i, s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:f}",
                                    "backend", r.backend, "weights", o.weights, "n", o.n_row, "k",
                                    o.n_col, "rows", o.n_token, "us", r.us, "gb_per_s", r.gbps,
                                    "read_gb_per_s", r.read_gbps, "ratio", r.ratio, "in_turn_us",
                                    r.in_turn_us, "in_turn_ratio", r.in_turn_ratio));
    printf("[%d, %d] in %s times %d token%s on %s\n", o.n_row, o.n_col, o.weights, o.n_token,
           o.n_token == 1 ? "" : "s", r.backend);
    printf("  product   %10.1f us, %.1f GB/s of weights\n", r.us, r.gbps);
    printf("  memory    %10.1f GB/s read plainly in this run\n", r.read_gbps);
    printf("  ratio     %10.1f %%\n", 100 * r.ratio);
    printf("  in turn   %10.1f us, %.1f %%: each waits for all of the one before\n", r.in_turn_us,
           100 * r.in_turn_ratio);
    return 0;
}

const struct verb verb_bench_kernel = {
    .name = "bench kernel",
    .arguments = "",
    .help = "one product for a few tokens, and how near the memory's speed",
    .options = kernel_options,
    .run = bench_kernel,
};

// ---- sample ----

static const struct option_row sample_options[] = {
    {"backend", OPTION_TEXT, "NAME", "cuda, cpu, or ref: the slow scalar reference", NULL},
    {"n", OPTION_INT, "N", "tokens of the vocabulary", "151936"},
    {"repeat", OPTION_INT, "N", "repetitions; the median counts", "200"},
    {0},
};

static int bench_sample(struct command *c, err *e)
{
    struct sample_bench_options o = {.backend = cli_text(c, "backend")};
    struct sample_bench_result r;
    if (in_range(c, "n", 1, 1 << 22, &o.n_vocab, e) ||
        in_range(c, "repeat", 1, 100000, &o.repeat, e) || sample_bench(&o, &r, e))
        return -1;
    if (c->json) {
        json_t *rows = json_array();
        for (int i = 0; i < SAMPLE_BENCH_ROWS; i++)
            json_array_append_new(rows,
                                  json_pack("{s:s, s:f, s:f}", "settings", r.rows[i].what, "us",
                                            r.rows[i].us, "masked_us", r.rows[i].masked_us));
        return print_json(json_pack("{s:s, s:i, s:o, s:f}", "backend", r.backend, "n", o.n_vocab,
                                    "choices", rows, "download_us", r.download_us));
    }
    printf("a choice from %d logits on %s, with a mask of half of them in brackets\n", o.n_vocab,
           r.backend);
    for (int i = 0; i < SAMPLE_BENCH_ROWS; i++)
        printf("  %-20s %8.0f us  (%.0f us)\n", r.rows[i].what, r.rows[i].us, r.rows[i].masked_us);
    printf("  %-20s %8.0f us\n", "all to the host", r.download_us);
    return 0;
}

const struct verb verb_bench_sample = {
    .name = "bench sample",
    .arguments = "",
    .help = "the choice of a token from logits on the device",
    .options = sample_options,
    .run = bench_sample,
};

// ---- tool ----

static const struct option_row tool_options[] = {
    {"n", OPTION_INT, "N", "calls", "2000"},
    {"ballast", OPTION_INT, "MB", "dirty memory held by this process, as a loaded engine would",
     "0"},
    {0},
};

static int bench_tool(struct command *c, err *e)
{
    struct tool_bench b = {0};
    struct app app;
    if (in_range(c, "n", 1, 1000000, &b.n, e) ||
        in_range(c, "ballast", 0, 1 << 20, &b.ballast_mb, e))
        return -1;
    int rc = app_open(&app, c, APP_BOX, e);
    if (rc == 0) rc = tool_bench_run(app.box, &b, e);
    app_close(&app);
    if (rc) return -1;
    if (c->json)
        return print_json(json_pack("{s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:f}", "calls", b.n,
                                    "ballast_mb", b.ballast_mb, "p50_us", (json_int_t)b.p50_us,
                                    "p99_us", (json_int_t)b.p99_us, "max_us", (json_int_t)b.max_us,
                                    "spawn_p50_us", (json_int_t)b.spawn_p50_us, "spawn_p99_us",
                                    (json_int_t)b.spawn_p99_us, "calls_per_s", b.calls_per_s));
    printf("%d calls of a tool that does nothing, each in a fresh box, %d MB of ballast\n", b.n,
           b.ballast_mb);
    printf("  request to answer             p50 %6lld us   p99 %6lld us   max %6lld us\n",
           (long long)b.p50_us, (long long)b.p99_us, (long long)b.max_us);
    printf("  request to first instruction  p50 %6lld us   p99 %6lld us\n",
           (long long)b.spawn_p50_us, (long long)b.spawn_p99_us);
    printf("  %.0f calls/s\n", b.calls_per_s);
    return 0;
}

const struct verb verb_bench_tool = {
    .name = "bench tool",
    .arguments = "",
    .help = "time of a tool call through the whole sandbox",
    .options = tool_options,
    .run = bench_tool,
};
