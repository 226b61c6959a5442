// An allow-list of what a Lua interpreter that only computes needs: memory without execution, its
// one socket, the clocks, and the way out. No call that takes a path, makes a descriptor, starts a
// process or names another process is in it.
//
// Everything else fails with EPERM instead of killing the process: C libraries try calls we cannot
// foresee (a newer glibc probes, a sanitizer looks around) and do without them when told no, while
// a kill would turn a library update into an outage. A call from a foreign instruction set (x32,
// i386, AArch32) is never a library's doubt, so it kills. clone3 and the io_uring family answer
// ENOSYS, which makes libraries take the older call, which then gets EPERM.
//
// Arguments are compared under 32-bit masks: the kernel looks only at the low half of an int, so a
// 64-bit comparison could be passed by setting a high bit (CVE-2019-10063).
#include "sandbox/box_filter.h"

#include "sandbox/asan.h"
#include "sandbox/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOW_32            0xffffffffu
#define ON_CHANNEL        SCMP_A0(SCMP_CMP_MASKED_EQ, LOW_32, BOX_CHANNEL_FD)
#define NOT_EXECUTABLE    SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)
#define PRIVATE_ANONYMOUS SCMP_A3(SCMP_CMP_MASKED_EQ, MAPPING_KINDS, MAP_ANONYMOUS)

// Not shared (it would outlive the caps), not locked, not huge, not growing.
#define MAPPING_KINDS (MAP_ANONYMOUS | MAP_SHARED | MAP_LOCKED | MAP_HUGETLB | MAP_GROWSDOWN)

static const struct allowed {
    int nr;
    unsigned n_condition;
    struct scmp_arg_cmp condition[2];
} allow_list[] = {
    {SCMP_SYS(read), 1, {ON_CHANNEL}},
    {SCMP_SYS(write), 1, {ON_CHANNEL}},
    {SCMP_SYS(mmap), 2, {NOT_EXECUTABLE, PRIVATE_ANONYMOUS}},
    {SCMP_SYS(mprotect), 1, {NOT_EXECUTABLE}},
    {SCMP_SYS(mremap), 0, {{0}}}, // keeps the protection that is there
    {SCMP_SYS(munmap), 0, {{0}}},
    {SCMP_SYS(madvise), 0, {{0}}},
    {SCMP_SYS(brk), 0, {{0}}},
    {SCMP_SYS(futex), 0, {{0}}},
    {SCMP_SYS(clock_gettime), 0, {{0}}},
    {SCMP_SYS(gettimeofday), 0, {{0}}},
    {SCMP_SYS(getrandom), 0, {{0}}},
    {SCMP_SYS(rt_sigreturn), 0, {{0}}},
    {SCMP_SYS(restart_syscall), 0, {{0}}},
    {SCMP_SYS(exit), 0, {{0}}},
    {SCMP_SYS(exit_group), 0, {{0}}},
#if UNDER_ASAN
    {SCMP_SYS(write), 1, {SCMP_A0(SCMP_CMP_MASKED_EQ, LOW_32, STDERR_FILENO)}},
    {SCMP_SYS(sigaltstack), 0, {{0}}},
    {SCMP_SYS(gettid), 0, {{0}}},
    {SCMP_SYS(getpid), 0, {{0}}},
    {SCMP_SYS(sched_yield), 0, {{0}}},
#endif
};

static const int not_there[] = {
    SCMP_SYS(clone3),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
};

static int add_rules(scmp_filter_ctx ctx)
{
    int rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    for (size_t i = 0; rc == 0 && i < sizeof allow_list / sizeof *allow_list; i++)
        rc = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, allow_list[i].nr,
                                    allow_list[i].n_condition, allow_list[i].condition);
    for (size_t i = 0; rc == 0 && i < sizeof not_there / sizeof *not_there; i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), not_there[i], 0);
    return rc;
}

// libseccomp 2.5 writes the program only to a descriptor; a pipe holds 64 KiB, the program is about
// one.
static int export_program(scmp_filter_ctx ctx, struct sock_fprog *program)
{
    static struct sock_filter code[4096];
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return -errno;
    int rc = seccomp_export_bpf(ctx, ends[1]);
    close(ends[1]);
    ssize_t n = rc == 0 ? read(ends[0], code, sizeof code) : 0;
    close(ends[0]);
    if (rc < 0) return rc;
    if (n <= 0 || (size_t)n == sizeof code || (size_t)n % sizeof *code) return -E2BIG;
    *program = (struct sock_fprog){(unsigned short)((size_t)n / sizeof *code), code};
    return 0;
}

int box_filter_build(struct sock_fprog *program)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!ctx) {
        errno = ENOMEM;
        return -1;
    }
    int rc = add_rules(ctx);
    if (rc == 0) rc = export_program(ctx, program);
    seccomp_release(ctx);
    if (rc == 0) return 0;
    errno = -rc;
    return -1;
}

int box_filter_apply(const struct sock_fprog *program)
{
    enum { SET_MODE_FILTER = 1 };
    return (int)syscall(SYS_seccomp, SET_MODE_FILTER, 0, program);
}
