// Function-calling files in the format of the Berkeley leaderboard: lines of JSON with a question
// and a list of functions, and lines with the answers that are right. One answer is asked for each
// question; its calls are compared and never run.
//
//   question  {"id", "question": [[{role, content}...]], "function": [{name, description,
//   parameters}]} answer    {"id", "ground_truth": [{"FUNCTION": {"ARGUMENT":
//   [alternatives...]}}...]}
//
// A call is right when its function's name is exact, no argument is there that the function does
// not declare, and each argument's value is among its alternatives: strings alike after case,
// spaces and
// ,./-_*^ are taken away and ' and " are one, numbers by value. "" among the alternatives: the
// argument may be left out. An object in the alternatives again gives alternatives for each key.
// All calls of the ground truth must be there and no others, in any order.
#pragma once
#include "engine/grammar.h"
#include "eval_task.h"

// Reads the files into the suite. answers may be NULL: then ids tell what is expected, `relevance`
// a call of any kind and `irrelevance` none. -1 and *e (ERR_INPUT) with file and line.
int bfcl_read(const char *questions, const char *answers, struct eval_suite *suite, err *e);
// The same from text, for tests; names are for messages.
int bfcl_read_text(const char *questions, size_t n_question, const char *questions_name,
                   const char *answers, size_t n_answer, const char *answers_name,
                   struct eval_suite *suite, err *e);

// Judges calls [{name, arguments}...] of one entry. True, or *why says what is wrong.
bool bfcl_check(const json_t *entry, const json_t *calls, err *why);

json_t *bfcl_run(struct app *app, const struct eval_task *task, enum tool_choice choice);
