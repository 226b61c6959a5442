// hearth doctor: what this machine offers and what Hearth would use of it. A part that must work is
// tried, not looked up: the sandbox runs a call, the store opens a scratch database.
#include "app.h"
#include "base/file.h"
#include "base/mem.h"
#include "engine/products.h"
#include "kernels/cuda_probe.h"
#include "paths.h"
#include "verbs.h"

#include <lua.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

enum grade { FINE, NOTE, BROKEN };

struct report {
    bool json;
    json_t *rows;
    bool broken;
};

static void line(struct report *r, enum grade grade, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static void line(struct report *r, enum grade grade, const char *what, const char *fmt, ...)
{
    static const char *const marks[] = {"ok", "note", "BROKEN"};
    char text[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (grade == BROKEN) r->broken = true;
    if (r->json)
        json_array_append_new(r->rows, json_pack("{s:s, s:s, s:s}", "check", what, "status",
                                                 marks[grade], "text", text));
    else
        printf("%-7s %-10s %s\n", marks[grade], what, text);
}

// The value of `key: value` in a file of /proc, without leading blanks; "" when there is none.
static void proc_value(const char *path, const char *key, char *out, size_t n)
{
    char text[512];
    FILE *f = fopen(path, "re");
    *out = 0;
    while (f && fgets(text, sizeof text, f)) {
        if (strncmp(text, key, strlen(key)) != 0) continue;
        char *colon = strchr(text, ':');
        if (!colon) continue;
        colon += 1 + strspn(colon + 1, " \t");
        colon[strcspn(colon, "\n")] = 0;
        snprintf(out, n, "%s", colon);
        break;
    }
    if (f) fclose(f);
}

static void check_machine(struct report *r)
{
    struct utsname u;
    char model[128], total[64], available[64];
    uname(&u);
    proc_value("/proc/cpuinfo", "model name", model, sizeof model);
    line(r, FINE, "system", "%s %s, %s", u.sysname, u.release, u.machine);
    line(r, FINE, "cpu", "%ld online%s%s", sysconf(_SC_NPROCESSORS_ONLN), *model ? ", " : "",
         model);
    proc_value("/proc/meminfo", "MemTotal", total, sizeof total);
    proc_value("/proc/meminfo", "MemAvailable", available, sizeof available);
    line(r, FINE, "memory", "%.1f GB, %.1f GB available", atof(total) / 1e6, atof(available) / 1e6);
}

static bool has_nvidia_driver(void)
{
    return access("/dev/nvidiactl", F_OK) == 0 || access("/dev/nvgpu", F_OK) == 0;
}

static void check_gpu(struct report *r)
{
#ifdef HEARTH_CUDA
    struct cuda_device devices[8];
    char why[400];
    int n = has_nvidia_driver() ? cuda_probe(devices, 8, why, sizeof why) : 0;
    if (n < 0) line(r, NOTE, "gpu", "not usable: %s", why);
    for (int i = 0; i < n && i < 8; i++) {
        const struct cuda_device *d = &devices[i];
        line(r, d->code_present ? FINE : NOTE, "gpu",
             "%s, sm_%d%d, %d SMs, %.1f GB (%.1f free)%s, reads %.0f GB/s", d->name, d->major,
             d->minor, d->n_sm, (double)d->total_bytes / 1e9, (double)d->free_bytes / 1e9,
             d->integrated ? ", shared with the host" : "", d->read_gb_s);
        if (d->code_present) continue;
        cuda_why_no_code(d->name, d->major, d->minor, why, sizeof why);
        line(r, NOTE, "gpu", "not usable: %s", why);
    }
    if (n == 0) line(r, FINE, "gpu", "none; the CPU is used");
#else
    if (has_nvidia_driver())
        line(r, NOTE, "gpu",
             "an NVIDIA driver is present, but this build has no CUDA (cmake --preset cuda); the "
             "CPU is used");
    else
        line(r, FINE, "gpu", "none; the CPU is used");
#endif
}

static void check_sandbox(struct report *r, const struct command *c)
{
    static const char source[] = "return { run = function(args) return args.n + 1 end }";
    err e = {0};
    struct app app;
    struct box_result result = {0};
    json_t *args = json_pack("{s:i}", "n", 41);
    const struct scmp_version *v = seccomp_version();
    int abi = sandbox_landlock_abi();
    line(r, abi ? FINE : NOTE, "landlock",
         abi ? "ABI %d" : "this kernel has none (%d); seccomp alone denies every path", abi);
    line(r, FINE, "seccomp", "libseccomp %u.%u.%u", v->major, v->minor, v->micro);
    if (app_open(&app, c, APP_BOX, &e) == 0) {
        struct box_request q = {.source = source,
                                .source_len = sizeof source - 1,
                                .chunk_name = "doctor",
                                .entry = "run",
                                .args = args,
                                .limits = BOX_DEFAULT_LIMITS};
        if (sandbox_run(app.box, &q, &result, &e) == 0 && result.status == BOX_OK &&
            json_integer_value(result.value) == 42)
            line(r, FINE, "sandbox", "a confined call works (%.2f ms)",
                 (double)result.wall_us / 1e3);
        else
            line(r, BROKEN, "sandbox", "%s", result.text ? result.text : e.msg);
        box_result_free(&result);
    } else {
        line(r, BROKEN, "sandbox", "%s", e.msg);
    }
    app_close(&app);
    json_decref(args);
}

static void check_store(struct report *r)
{
    err e = {0};
    char dir[] = "/tmp/hearth-doctor-XXXXXX";
    line(r, FINE, "sqlite", "%s%s", sqlite3_libversion(),
         sqlite3_libversion_number() < 3051003
             ? " (one writer and no mmap keep clear of its WAL-reset fault)"
             : "");
    if (mkdtemp(dir)) {
        char *path = path_join(dir, "try.db");
        store *s = store_open(path, STORE_WRITE, &e);
        if (s)
            line(r, FINE, "store", "a scratch database opens, FTS5 works");
        else
            line(r, BROKEN, "store", "%s", e.msg);
        store_close(s);
        static const char *const suffixes[] = {"", "-lock", "-wal", "-shm"};
        for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
            char *file = mem_printf("%s%s", path, suffixes[i]);
            unlink(file);
            free(file);
        }
        rmdir(dir);
        free(path);
    }
    char *path = paths_store(NULL, &e);
    line(r, path ? FINE : NOTE, "data", "%s", path ? path : e.msg);
    free(path);
}

static void check_libraries(struct report *r)
{
    char pcre[64] = "";
    pcre2_config(PCRE2_CONFIG_VERSION, pcre);
    line(r, FINE, "lua", "%s.%s", LUA_VERSION, LUA_VERSION_RELEASE);
    line(r, FINE, "libraries", "Jansson %s, PCRE2 %s", jansson_version_str(), pcre);
}

// Products of prefill that are done alike are one line.
struct products {
    struct report *report;
    char weights[80], how[256], shapes[240];
};

static void products_end(struct products *p)
{
    if (*p->shapes) line(p->report, FINE, "prefill", "%s: %s: %s", p->weights, p->how, p->shapes);
    *p->shapes = 0;
}

static void products_add(void *context, const struct product_kind *k)
{
    struct products *p = context;
    char weights[sizeof p->weights], shape[40];
    if (!*k->how) return; // nothing to choose from
    snprintf(weights, sizeof weights, "%s%s%s", k->weights, k->blocks ? " in blocks" : "",
             k->experts ? " of experts" : "");
    snprintf(shape, sizeof shape, "%s[%d, %d]", *p->shapes ? " " : "", k->n_row, k->n_col);
    if (strcmp(weights, p->weights) || strcmp(k->how, p->how) ||
        strlen(p->shapes) + strlen(shape) >= sizeof p->shapes) {
        products_end(p);
        snprintf(p->weights, sizeof p->weights, "%s", weights);
        snprintf(p->how, sizeof p->how, "%s", k->how);
        snprintf(shape, sizeof shape, "[%d, %d]", k->n_row, k->n_col);
    }
    strcat(p->shapes, shape);
}

// Of the model, when it was named; else of those that people have.
static void check_products(struct report *r, const engine *en)
{
    struct products p = {.report = r};
    err e = {0};
    if (en)
        products_of_engine(en, products_add, &p);
    else if (products_typical(products_add, &p, &e))
        line(r, NOTE, "prefill", "%s", e.msg);
    products_end(&p);
}

static void check_model(struct report *r, const struct command *c)
{
    err e = {0};
    char *dir = paths_model(cli_text(c, "model"), &e);
    struct engine_options o = {.model_dir = dir};
    engine *en = dir ? engine_open(&o, &e) : NULL;
    if (en) {
        const struct engine_info *i = engine_info(en);
        line(r, FINE, "backend", "%s, %d threads", i->backend, i->n_thread);
        line(r, FINE, "model", "%s: %s, %.1f M parameters, %s, context %d", dir, i->architecture,
             (double)i->n_parameter / 1e6, i->weight_type, i->ctx_max);
        check_products(r, cli_text(c, "model") ? en : NULL);
    } else {
        line(r, BROKEN, "model", "%s", e.msg);
        if (!cli_text(c, "model")) check_products(r, NULL);
    }
    engine_close(en);
    free(dir);
}

static int doctor(struct command *c, err *e)
{
    struct report r = {.json = c->json, .rows = json_array()};
    check_machine(&r);
    check_gpu(&r);
    check_sandbox(&r, c);
    check_store(&r);
    check_libraries(&r);
    check_model(&r, c);
    if (c->json) {
        json_t *o = json_pack("{s:s, s:b, s:O}", "version", HEARTH_VERSION, "ok", !r.broken,
                              "checks", r.rows);
        json_dumpf(o, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(o);
    }
    json_decref(r.rows);
    return r.broken ? err_set(e, ERR_REFUSED,
                              "something that Hearth needs does not work here (see above)")
                    : 0;
}

static const struct option_row options[] = {
    {"model", OPTION_TEXT, "DIR", "model directory to try (without: the built-in model)", NULL},
    {0},
};

const struct verb verb_doctor = {
    .name = "doctor",
    .arguments = "",
    .help = "what this machine offers, and whether every part works",
    .options = options,
    .run = doctor,
};
