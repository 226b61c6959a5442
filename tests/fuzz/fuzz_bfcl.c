// libs: runtime
// Function-calling files: questions, and answers behind an empty line. What is read can be judged,
// and the ground truth taken for calls is never wrong for want of a call.
#include "base/mem.h"
#include "runtime/bfcl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *text = (const char *)data, *answers = memmem(text, n, "\n\n", 2);
    size_t n_question = answers ? (size_t)(answers - text) : n, n_answer = n - n_question;
    struct eval_suite suite = {0};
    err e = {ERR_NONE, ""};
    char *a = answers ? mem_strn(answers, n_answer) : NULL;
    if (bfcl_read_text(text, n_question, "questions", a, a ? strlen(a) : 0, "answers", &suite,
                       &e)) {
        assert(e.code == ERR_INPUT && e.msg[0]);
    } else {
        assert(suite.n > 0);
        for (size_t i = 0; i < suite.n; i++) {
            const json_t *truth = json_object_get(suite.tasks[i].bfcl, "truth"), *call;
            json_t *calls = json_array();
            size_t k;
            json_array_foreach((json_t *)truth, k, call)
            {
                void *at = json_object_iter((json_t *)call);
                json_array_append_new(calls,
                                      json_pack("{s:s, s:O}", "name", json_object_iter_key(at),
                                                "arguments", json_object_iter_value(at)));
            }
            if (!bfcl_check(suite.tasks[i].bfcl, calls, &e)) assert(e.msg[0]);
            json_decref(calls);
        }
    }
    free(a);
    eval_suite_free(&suite);
    return 0;
}
