// Whether a tool may run: allow, ask the person, or deny. Rules name a tool or "*"; the last rule
// that names it wins. Without a rule, what a tool can do decides: one that can change something
// outside its box (files "rw", effect "once") asks, anything else is allowed.
#pragma once
#include "tools/tool.h"

enum policy_verdict { POLICY_ALLOW, POLICY_ASK, POLICY_DENY };

struct policy_rule {
    char tool[65]; // name or "*"
    enum policy_verdict verdict;
};

enum policy_verdict policy_decide(const struct policy_rule *rules, size_t n_rule, const tool *t);
const char *policy_name(enum policy_verdict v);
int policy_of(const char *name); // -1: no such verdict
