#include "sandbox/landlock.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

// The three calls have the same numbers on every architecture.
enum { NR_CREATE_RULESET = 444, NR_RESTRICT_SELF = 446 };
enum { CREATE_RULESET_VERSION = 1 };

struct ruleset { // struct landlock_ruleset_attr; the kernel takes any prefix it knows
    uint64_t fs, net, scoped;
};

#define FS_UP_TO(bit) ((UINT64_C(1) << ((bit) + 1)) - 1)

// What each ABI added. Rights that a later ABI adds are not asked for until a row names them: the
// seccomp filter denies those calls in any case. ABI 7 and 8 add no rights.
static const struct rung {
    int abi;
    struct ruleset rights;
    size_t size; // bytes of struct ruleset that this ABI knows
} ladder[] = {
    {1, {FS_UP_TO(12), 0, 0}, 8},  // read, write, execute, list, make, remove
    {2, {FS_UP_TO(13), 0, 0}, 8},  // + link and rename across directories
    {3, {FS_UP_TO(14), 0, 0}, 8},  // + truncate
    {4, {FS_UP_TO(14), 3, 0}, 16}, // + TCP bind and connect
    {5, {FS_UP_TO(15), 3, 0}, 16}, // + ioctl on devices
    {6, {FS_UP_TO(15), 3, 3}, 24}, // + abstract unix sockets and signals to the outside
};

int landlock_abi(void)
{
    long abi = syscall(NR_CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION);
    if (abi < 0 && (errno == ENOSYS || errno == EOPNOTSUPP)) return 0;
    return (int)abi;
}

int landlock_ruleset_deny_all(int abi)
{
    const struct rung *best = NULL;
    for (size_t i = 0; i < sizeof ladder / sizeof *ladder; i++)
        if (ladder[i].abi <= abi) best = &ladder[i];
    if (!best) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return (int)syscall(NR_CREATE_RULESET, &best->rights, best->size, 0);
}

int landlock_restrict(int ruleset)
{
    return (int)syscall(NR_RESTRICT_SELF, ruleset, 0);
}
