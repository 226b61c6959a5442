// Every verb of the command line; main.c lists them in the order of the help.
#pragma once
#include "cli.h"

extern const struct verb verb_run, verb_chat, verb_eval;
extern const struct verb verb_tool_ls, verb_tool_run, verb_tool_new, verb_tool_test;
extern const struct verb verb_session_ls, verb_session_show, verb_memory_search, verb_inspect;
extern const struct verb verb_model_info, verb_model_quantize, verb_model_render, verb_doctor;
extern const struct verb verb_bench_decode, verb_bench_prefill, verb_bench_load, verb_bench_kernel,
    verb_bench_sample, verb_bench_tool, verb_bench_mask;
extern const struct verb verb_bench_agent;
extern const struct verb verb_schema_check, verb_schema_validate, verb_schema_sample;
