// Landlock by raw system calls and own constants, so that it builds with headers older than the
// kernel it runs on.
#pragma once

// What the running kernel speaks. 0: it has none (not built in, or not switched on at boot). -1 and
// errno: it could not be asked, which is not the same.
int landlock_abi(void);

// A ruleset that handles every right this kernel's ABI knows and has no rule: nothing is allowed. A
// descriptor, or -1 and errno.
int landlock_ruleset_deny_all(int abi);

int landlock_restrict(int ruleset); // confines the calling thread; needs no_new_privs
