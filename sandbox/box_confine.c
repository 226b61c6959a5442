// The order of the steps is the order in which they stop being possible: descriptors first, since
// every later step may fail and must not do so with the zygote's sockets open; limits while
// setrlimit still works; no_new_privs before Landlock and seccomp, which demand it of an
// unprivileged process; seccomp last, because it denies all the calls above. A step that fails ends
// the child: the caller gets its name and errno, and nothing has run.
#include "sandbox/box_confine.h"

#include "sandbox/asan.h"
#include "sandbox/box_filter.h"
#include "sandbox/landlock.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

enum {
    // Address space beside Lua's heap: code and libraries (about 10 MB), and the largest frame on
    // its
    // way in or out, as bytes and as a JSON tree.
    FIXED_MB = 96,
    STACK_MB = UNDER_ASAN ? 8 : 2,
    // The kernel's limit fires a little after the hook inside Lua, which can say where the script
    // is.
    CPU_GRACE_MS = 50
};

static int step_descriptors(const struct confinement *c)
{
    (void)c;
    return (int)syscall(SYS_close_range, BOX_RULESET_FD + 1, ~0u, 0);
}

static int step_session(const struct confinement *c)
{
    (void)c;
    return setsid() < 0 ? -1 : 0;
}

static int step_parent_death(const struct confinement *c)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) return -1;
    if (getppid() == c->zygote) return 0; // it may have died before the line above
    errno = ESRCH;
    return -1;
}

static int step_limits(const struct confinement *c)
{
    const struct box_spawn *s = c->spawn;
    rlim_t mb = 1 << 20, cpu_s = (rlim_t)(s->cpu_ms + CPU_GRACE_MS + 999) / 1000 + 1;
    // The sanitizer's shadow is 20 TB of address space; there only the allocator's cap holds.
    rlim_t space = UNDER_ASAN ? RLIM_INFINITY : ((rlim_t)s->memory_mb + FIXED_MB) * mb;
    const struct {
        int what;
        rlim_t most;
    } rows[] = {
        {RLIMIT_AS, space},
        {RLIMIT_CPU, cpu_s},
        {RLIMIT_STACK, STACK_MB * mb},
        {RLIMIT_FSIZE, 0},
        {RLIMIT_NOFILE, BOX_CHANNEL_FD + 1}, // all of them are in use
        {RLIMIT_NPROC, 0},
        {RLIMIT_CORE, 0},
        {RLIMIT_MEMLOCK, 0},
        {RLIMIT_MSGQUEUE, 0},
        {RLIMIT_SIGPENDING, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (setrlimit(rows[i].what, &(struct rlimit){rows[i].most, rows[i].most}) < 0) return -1;
    return 0;
}

// RLIMIT_CPU counts whole seconds; the profiling timer counts finer and its signal kills.
static int step_cpu_timer(const struct confinement *c)
{
    long ms = (long)c->spawn->cpu_ms + CPU_GRACE_MS;
    struct itimerval t = {.it_value = {ms / 1000, ms % 1000 * 1000}};
    return setitimer(ITIMER_PROF, &t, NULL);
}

static int step_dumpable(const struct confinement *c)
{
    (void)c;
    return prctl(PR_SET_DUMPABLE, 0);
}

// Of use when hearth runs as root: the child keeps the user number but none of its powers.
static int step_capabilities(const struct confinement *c)
{
    (void)c;
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
    return (int)syscall(SYS_capset, &head, none);
}

static int step_no_new_privs(const struct confinement *c)
{
    (void)c;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static int step_landlock(const struct confinement *c)
{
    if (c->landlock_abi > 0 && landlock_restrict(BOX_RULESET_FD) < 0) return -1;
    return close(BOX_RULESET_FD);
}

static int step_seccomp(const struct confinement *c)
{
    return box_filter_apply(c->filter);
}

static const struct step {
    const char *name;
    unsigned layer; // 0: cannot be switched off, even by the tests
    int (*apply)(const struct confinement *c);
} steps[] = {
    {"close descriptors", BOX_FD, step_descriptors},  {"new session", BOX_FD, step_session},
    {"parent death signal", 0, step_parent_death},    {"resource limits", BOX_RLIMIT, step_limits},
    {"CPU timer", BOX_RLIMIT, step_cpu_timer},        {"not dumpable", BOX_FD, step_dumpable},
    {"drop capabilities", BOX_FD, step_capabilities}, {"no_new_privs", 0, step_no_new_privs},
    {"Landlock", BOX_LANDLOCK, step_landlock},        {"seccomp", BOX_SECCOMP, step_seccomp},
};

enum { N_STEP = sizeof steps / sizeof *steps };

const char *box_confine(const struct confinement *c)
{
    const struct box_spawn *s = c->spawn;
    for (int i = 0; i < N_STEP; i++) {
        if (s->layers_off & steps[i].layer) continue;
        if (s->fault_step == i + 1) {
            errno = s->fault_errno;
            return steps[i].name;
        }
        if (steps[i].apply(c) < 0) return steps[i].name;
    }
    return NULL;
}
