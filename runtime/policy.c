#include "policy.h"

#include <string.h>

static const char *const names[] = {"allow", "ask", "deny"};

const char *policy_name(enum policy_verdict v)
{
    return names[v];
}

int policy_of(const char *name)
{
    for (int i = 0; i < 3; i++)
        if (strcmp(name, names[i]) == 0) return i;
    return -1;
}

enum policy_verdict policy_decide(const struct policy_rule *rules, size_t n_rule, const tool *t)
{
    for (size_t i = n_rule; i-- > 0;)
        if (strcmp(rules[i].tool, t->name) == 0 || strcmp(rules[i].tool, "*") == 0)
            return rules[i].verdict;
    const char *fs = json_string_value(json_object_get(t->capabilities, "fs"));
    bool changes = (fs && strcmp(fs, "rw") == 0) || t->effect == EFFECT_ONCE;
    return changes ? POLICY_ASK : POLICY_ALLOW;
}
