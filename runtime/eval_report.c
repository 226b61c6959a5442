#include "eval_report.h"

#include "base/buf.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { REPORT_BYTES_MAX = 64 << 20, SHOWN_REASON = 200 };

// ---- figures ----

// Wilson, E. B. (1927), Probable inference, the law of succession, and statistical inference.
void eval_wilson(double k, double n, double *low, double *high)
{
    const double z = 1.959963984540054; // 97.5 % of the normal distribution
    *low = 0;
    *high = 1;
    if (n <= 0) return;
    double p = k / n, middle = p + z * z / (2 * n),
           half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)), scale = 1 + z * z / n;
    *low = fmax(0, (middle - half) / scale);
    *high = fmin(1, (middle + half) / scale);
}

double eval_sign_test(int a, int b)
{
    int n = a + b, least = a < b ? a : b;
    if (n == 0) return 1;
    double sum = 0;
    for (int k = 0; k <= least; k++)
        sum += exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) - n * log(2));
    return fmin(1, 2 * sum);
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static double number_of(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

static bool passed(const json_t *result)
{
    return strcmp(text_of(result, "status"), "passed") == 0;
}

// ---- making one ----

struct sums {
    double n, passed; // tasks, and the sum of their rates
};

static void put_rate(json_t *o, struct sums s)
{
    double low, high;
    eval_wilson(s.passed, s.n, &low, &high);
    json_object_set_new(o, "tasks", json_integer((json_int_t)s.n));
    json_object_set_new(o, "passed", json_real(s.passed));
    json_object_set_new(o, "rate", json_real(s.n > 0 ? s.passed / s.n : 0));
    json_object_set_new(o, "interval", json_pack("[f, f]", low, high));
}

static json_t *task_entry(const struct eval_pool *p, size_t task, size_t *not_run)
{
    const struct eval_task *t = &p->suite->tasks[task];
    json_t *runs = json_array();
    int n_passed = 0;
    for (size_t i = 0; i < p->n; i++) {
        if (p->runs[i].task != task) continue;
        if (!p->runs[i].result) {
            ++*not_run;
            continue;
        }
        n_passed += passed(p->runs[i].result);
        json_array_append(runs, p->runs[i].result);
    }
    if (json_array_size(runs) == 0) {
        json_decref(runs);
        return NULL;
    }
    json_t *o = json_pack("{s:s, s:s, s:i, s:o}", "id", t->id, "kind", t->kind, "passed", n_passed,
                          "runs", runs);
    if (t->file) json_object_set_new(o, "file", json_string(t->file));
    return o;
}

static json_t *options_of(const struct command *c)
{
    static const char *const numbers[] = {"temperature", "top-p", "min-p"};
    static const char *const integers[] = {"seed",   "top-k",   "steps",
                                           "tokens", "seconds", "recalled"};
    json_t *o = json_pack("{s:i}", "repeat", (int)cli_int(c, "repeat"));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (cli_option(c, numbers[i])->given)
            json_object_set_new(o, numbers[i], json_real(cli_number(c, numbers[i])));
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++)
        if (cli_option(c, integers[i])->given)
            json_object_set_new(o, integers[i], json_integer(cli_int(c, integers[i])));
    if (cli_flag(c, "bfcl"))
        json_object_set_new(o, "tool-choice", json_string(cli_text(c, "tool-choice")));
    return o;
}

static struct sums sums_of(const json_t *tasks, const char *kind)
{
    struct sums s = {0};
    const json_t *t;
    size_t i;
    json_array_foreach((json_t *)tasks, i, t)
    {
        if (kind && strcmp(text_of(t, "kind"), kind) != 0) continue;
        s.n++;
        s.passed += number_of(t, "passed") / (double)json_array_size(json_object_get(t, "runs"));
    }
    return s;
}

json_t *eval_report(const struct eval_pool *p, double seconds)
{
    json_t *tasks = json_array(), *kinds = json_object(), *t, *run;
    size_t not_run = 0, i, k;
    for (i = 0; i < p->suite->n; i++) {
        json_t *entry = task_entry(p, i, &not_run);
        if (entry) json_array_append_new(tasks, entry);
    }
    double tokens_out = 0;
    json_array_foreach(tasks, i, t)
    {
        json_array_foreach(json_object_get(t, "runs"), k, run) tokens_out +=
            number_of(run, "tokens_out");
        if (json_object_get(kinds, text_of(t, "kind"))) continue;
        json_t *kind = json_object();
        put_rate(kind, sums_of(tasks, text_of(t, "kind")));
        json_object_set_new(kinds, text_of(t, "kind"), kind);
    }
    json_t *o = json_pack("{s:s, s:O?, s:o}", "hearth", HEARTH_VERSION, "model", p->model,
                          "options", options_of(p->command));
    json_t *total = json_object();
    put_rate(total, sums_of(tasks, NULL));
    json_object_set_new(o, "total", total);
    json_object_set_new(o, "not_run", json_integer((json_int_t)not_run));
    json_object_set_new(o, "tokens_out", json_integer((json_int_t)tokens_out));
    json_object_set_new(o, "seconds", json_real(seconds));
    json_object_set_new(o, "kinds", kinds);
    json_object_set_new(o, "tasks", tasks);
    return o;
}

// ---- the table ----

static void print_text(FILE *f, const char *text, size_t max)
{
    size_t n = strcspn(text, "\n");
    bool cut = text[n] != 0;
    if (n > max) {
        n = max;
        while (n && ((unsigned char)text[n] & 0xc0) == 0x80) n--;
        cut = true;
    }
    screen_text(f, text, n);
    if (cut) fputs(" ...", f);
}

// Means over the runs of a task.
static double mean(const json_t *runs, const char *key)
{
    const json_t *r;
    size_t i;
    double sum = 0;
    json_array_foreach((json_t *)runs, i, r) sum += number_of(r, key);
    return sum / (double)json_array_size(runs);
}

static void print_rate(FILE *f, const json_t *o)
{
    const json_t *interval = json_object_get(o, "interval");
    fprintf(f, "%6.1f %%  [%.1f, %.1f]", 100 * number_of(o, "rate"),
            100 * json_number_value(json_array_get(interval, 0)),
            100 * json_number_value(json_array_get(interval, 1)));
}

static void print_tasks(FILE *f, const json_t *tasks)
{
    const json_t *t;
    size_t i;
    fprintf(f, "%-36s %-10s %6s %6s %8s %8s %8s\n", "TASK", "PASSED", "STEPS", "CALLS", "TOK IN",
            "TOK OUT", "SECONDS");
    json_array_foreach((json_t *)tasks, i, t)
    {
        const json_t *runs = json_object_get(t, "runs"), *first = json_array_get(runs, 0);
        char mark[40];
        if (json_array_size(runs) == 1)
            snprintf(mark, sizeof mark, "%s", passed(first) ? "yes" : text_of(first, "status"));
        else
            snprintf(mark, sizeof mark, "%.0f/%zu", number_of(t, "passed"), json_array_size(runs));
        fprintf(f, "%-36s %-10s %6.1f %6.1f %8.0f %8.0f %8.2f\n", text_of(t, "id"), mark,
                mean(runs, "steps"), mean(runs, "calls"), mean(runs, "tokens_in"),
                mean(runs, "tokens_out"), mean(runs, "seconds"));
    }
}

static void print_failures(FILE *f, const json_t *tasks)
{
    const json_t *t, *run;
    size_t i, k;
    bool any = false;
    json_array_foreach((json_t *)tasks, i, t)
    {
        json_array_foreach(json_object_get(t, "runs"), k, run)
        {
            if (passed(run)) continue;
            if (!any) fprintf(f, "\nnot passed:\n");
            any = true;
            fprintf(f, "  %s", text_of(t, "id"));
            if (json_array_size(json_object_get(t, "runs")) > 1) fprintf(f, " (run %zu)", k + 1);
            fprintf(f, ": %s: ", text_of(run, "status"));
            print_text(f, text_of(run, "reason"), SHOWN_REASON);
            if (*text_of(run, "dir"))
                fprintf(f, "\n    hearth inspect --store %s/hearth.db", text_of(run, "dir"));
            fputc('\n', f);
        }
    }
}

void eval_report_print(const json_t *report, FILE *f)
{
    const json_t *tasks = json_object_get(report, "tasks"),
                 *total = json_object_get(report, "total"),
                 *model = json_object_get(report, "model");
    const char *name;
    json_t *kind;
    print_tasks(f, tasks);
    print_failures(f, tasks);
    fprintf(f, "\n%-28s %6s %8s  %s\n", "KIND", "TASKS", "RATE", "95 %");
    json_object_foreach(json_object_get(report, "kinds"), name, kind)
    {
        fprintf(f, "%-28s %6.0f ", name, number_of(kind, "tasks"));
        print_rate(f, kind);
        fputc('\n', f);
    }
    fprintf(f, "%-28s %6.0f ", "all", number_of(total, "tasks"));
    print_rate(f, total);
    fprintf(f, "\n\n%.0f tokens made in %.1f s", number_of(report, "tokens_out"),
            number_of(report, "seconds"));
    if (model)
        fprintf(f, "; %s, %.1f M parameters, %s on %s, %.8s", text_of(model, "architecture"),
                number_of(model, "parameters") / 1e6, text_of(model, "weights"),
                text_of(model, "backend"), text_of(model, "digest"));
    fputc('\n', f);
    if (number_of(report, "not_run") > 0)
        fprintf(f, "%.0f runs were not made\n", number_of(report, "not_run"));
}

// ---- JUnit ----

static void put_xml(buf *b, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '<')
            buf_str(b, "&lt;");
        else if (c == '>')
            buf_str(b, "&gt;");
        else if (c == '&')
            buf_str(b, "&amp;");
        else if (c == '"')
            buf_str(b, "&quot;");
        else if (c == '\n')
            buf_str(b, "&#10;");
        else if (c >= 0x20 || c == '\t') // XML has no other control characters
            buf_byte(b, (char)c);
    }
}

static void put_case(buf *b, const json_t *task, const json_t *run, size_t number)
{
    buf_str(b, "  <testcase classname=\"");
    put_xml(b, text_of(task, "kind"));
    buf_str(b, "\" name=\"");
    put_xml(b, text_of(task, "id"));
    if (number) buf_printf(b, " (run %zu)", number);
    buf_printf(b, "\" time=\"%.3f\"", number_of(run, "seconds"));
    if (passed(run)) {
        buf_str(b, "/>\n");
        return;
    }
    // A wrong outcome is a failure; what kept it from having one is an error.
    const char *what = strcmp(text_of(run, "status"), "failed") == 0 ? "failure" : "error";
    buf_printf(b, ">\n    <%s type=\"%s\" message=\"", what, text_of(run, "status"));
    put_xml(b, text_of(run, "reason"));
    buf_printf(b, "\"/>\n  </testcase>\n");
}

char *eval_report_junit(const json_t *report, err *e)
{
    const json_t *tasks = json_object_get(report, "tasks"), *t, *run;
    size_t i, k, n = 0, failures = 0, errors = 0;
    buf cases = buf_new(REPORT_BYTES_MAX), all = buf_new(REPORT_BYTES_MAX);
    json_array_foreach((json_t *)tasks, i, t)
    {
        const json_t *runs = json_object_get(t, "runs");
        json_array_foreach((json_t *)runs, k, run)
        {
            bool failed = strcmp(text_of(run, "status"), "failed") == 0;
            n++;
            failures += failed;
            errors += !failed && !passed(run);
            put_case(&cases, t, run, json_array_size(runs) > 1 ? k + 1 : 0);
        }
    }
    buf_printf(&all,
               "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"hearth eval\" "
               "tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" time=\"%.3f\">\n",
               n, failures, errors, number_of(report, "seconds"));
    buf_put(&all, buf_text(&cases), cases.n);
    buf_str(&all, "</testsuite>\n");
    bool full = cases.full || all.full;
    buf_free(&cases);
    if (!full) return buf_take(&all);
    buf_free(&all);
    err_set(e, ERR_BUDGET, "the report is larger than %d bytes", REPORT_BYTES_MAX);
    return NULL;
}

// ---- two of them ----

static double rate_of(const json_t *task)
{
    return number_of(task, "passed") / (double)json_array_size(json_object_get(task, "runs"));
}

static int check_report(const json_t *r, const char *name, err *e)
{
    const json_t *tasks = json_object_get(r, "tasks"), *t;
    size_t i;
    if (!json_is_array(tasks))
        return err_set(e, ERR_INPUT,
                       "%s: field `tasks`: expected a list; a report is what `hearth "
                       "eval --json` writes",
                       name);
    json_array_foreach((json_t *)tasks, i, t)
    {
        if (json_is_string(json_object_get(t, "id")) &&
            json_is_integer(json_object_get(t, "passed")) &&
            json_array_size(json_object_get(t, "runs")) > 0)
            continue;
        return err_set(e, ERR_INPUT, "%s: task %zu: expected {id, passed, runs: [...]}", name,
                       i + 1);
    }
    return 0;
}

static json_t *by_id(const json_t *report)
{
    json_t *o = json_object(), *t;
    size_t i;
    json_array_foreach(json_object_get(report, "tasks"), i, t)
        json_object_set(o, text_of(t, "id"), t);
    return o;
}

static json_t *rate_entry(struct sums s)
{
    json_t *o = json_object();
    put_rate(o, s);
    return o;
}

json_t *eval_compare(const json_t *before, const char *before_name, const json_t *after,
                     const char *after_name, err *e)
{
    if (check_report(before, before_name, e) || check_report(after, after_name, e)) return NULL;
    json_t *a = by_id(before), *b = by_id(after), *t;
    json_t *better = json_array(), *worse = json_array(), *only_a = json_array(),
           *only_b = json_array();
    struct sums sum_a = {0}, sum_b = {0};
    int same = 0;
    const char *id;
    json_object_foreach(a, id, t)
    {
        const json_t *other = json_object_get(b, id);
        if (!other) {
            json_array_append_new(only_a, json_string(id));
            continue;
        }
        double was = rate_of(t), is = rate_of(other);
        sum_a.n++, sum_b.n++;
        sum_a.passed += was, sum_b.passed += is;
        same += was == is;
        if (was != is)
            json_array_append_new(is > was ? better : worse, json_pack("{s:s, s:f, s:f}", "id", id,
                                                                       "before", was, "after", is));
    }
    json_object_foreach(b, id, t) if (!json_object_get(a, id))
        json_array_append_new(only_b, json_string(id));
    double p = eval_sign_test((int)json_array_size(better), (int)json_array_size(worse));
    json_decref(a);
    json_decref(b);
    return json_pack("{s:o, s:o, s:f, s:i, s:o, s:o, s:o, s:o}", "before", rate_entry(sum_a),
                     "after", rate_entry(sum_b), "p", p, "same", same, "better", better, "worse",
                     worse, "only_before", only_a, "only_after", only_b);
}

static void print_changes(FILE *f, const char *what, const json_t *list)
{
    const json_t *t;
    size_t i;
    if (json_array_size(list)) fprintf(f, "%s:\n", what);
    json_array_foreach((json_t *)list, i, t)
        fprintf(f, "  %-36s %5.0f %% -> %3.0f %%\n", text_of(t, "id"), 100 * number_of(t, "before"),
                100 * number_of(t, "after"));
}

static void print_ids(FILE *f, const char *what, const json_t *list)
{
    const json_t *id;
    size_t i;
    if (json_array_size(list)) fprintf(f, "%s:\n", what);
    json_array_foreach((json_t *)list, i, id) fprintf(f, "  %s\n", json_string_value(id));
}

void eval_compare_print(const json_t *c, FILE *f)
{
    size_t n_better = json_array_size(json_object_get(c, "better")),
           n_worse = json_array_size(json_object_get(c, "worse"));
    print_changes(f, "better", json_object_get(c, "better"));
    print_changes(f, "worse", json_object_get(c, "worse"));
    print_ids(f, "only before", json_object_get(c, "only_before"));
    print_ids(f, "only after", json_object_get(c, "only_after"));
    fprintf(f, "before ");
    print_rate(f, json_object_get(c, "before"));
    fprintf(f, "\nafter  ");
    print_rate(f, json_object_get(c, "after"));
    fprintf(f,
            "\n%zu better, %zu worse, %.0f the same; a split like this or further from even by "
            "chance: p = %.3g\n",
            n_better, n_worse, number_of(c, "same"), number_of(c, "p"));
}
