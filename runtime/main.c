// hearth: the table of verbs. What each does is in its verb_*.c; cli.c makes the options and the
// help from their tables.
#include "verbs.h"

#include <stddef.h>

static const struct verb *const verbs[] = {
    &verb_run,
    &verb_chat,
    &verb_eval,
    &verb_tool_ls,
    &verb_tool_run,
    &verb_tool_new,
    &verb_tool_test,
    &verb_session_ls,
    &verb_session_show,
    &verb_memory_search,
    &verb_inspect,
    &verb_model_info,
    &verb_model_quantize,
    &verb_model_render,
    &verb_schema_check,
    &verb_schema_validate,
    &verb_schema_sample,
    &verb_doctor,
    &verb_bench_decode,
    &verb_bench_prefill,
    &verb_bench_load,
    &verb_bench_kernel,
    &verb_bench_sample,
    &verb_bench_tool,
    &verb_bench_mask,
    &verb_bench_agent,

    NULL,
};

int main(int argc, char **argv)
{
    return cli_main(verbs, argc, argv);
}
