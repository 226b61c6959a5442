// Raw tools for attack scripts. Lua's string.pack builds the structs, strings and buffers are
// passed as pointers, numbers as they are, so nearly every attack is a few lines of Lua in the
// test's table.
#include "sandbox/box_attack.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
    const char *name;
    long nr;
} calls[] = {
    {"read", SYS_read},
    {"write", SYS_write},
    {"openat", SYS_openat},
    {"close", SYS_close},
    {"lseek", SYS_lseek},
    {"dup", SYS_dup},
    {"fcntl", SYS_fcntl},
    {"ioctl", SYS_ioctl},
    {"getdents64", SYS_getdents64},
    {"truncate", SYS_truncate},
    {"ftruncate", SYS_ftruncate},
    {"unlinkat", SYS_unlinkat},
    {"mkdirat", SYS_mkdirat},
    {"linkat", SYS_linkat},
    {"symlinkat", SYS_symlinkat},
    {"renameat2", SYS_renameat2},
    {"readlinkat", SYS_readlinkat},
    {"chdir", SYS_chdir},
    {"fchmodat", SYS_fchmodat},
    {"execve", SYS_execve},
    {"execveat", SYS_execveat},
    {"memfd_create", SYS_memfd_create},
    {"mmap", SYS_mmap},
    {"mprotect", SYS_mprotect},
    {"clone", SYS_clone},
    {"clone3", SYS_clone3},
    {"unshare", SYS_unshare},
    {"mount", SYS_mount},
    {"chroot", SYS_chroot},
    {"setsid", SYS_setsid},
    {"getpid", SYS_getpid},
    {"getppid", SYS_getppid},
    {"kill", SYS_kill},
    {"tgkill", SYS_tgkill},
    {"pidfd_open", SYS_pidfd_open},
    {"pidfd_send_signal", SYS_pidfd_send_signal},
    {"pidfd_getfd", SYS_pidfd_getfd},
    {"ptrace", SYS_ptrace},
    {"wait4", SYS_wait4},
    {"process_vm_readv", SYS_process_vm_readv},
    {"process_vm_writev", SYS_process_vm_writev},
    {"socket", SYS_socket},
    {"connect", SYS_connect},
    {"bind", SYS_bind},
    {"listen", SYS_listen},
    {"sendto", SYS_sendto},
    {"sendmsg", SYS_sendmsg},
    {"recvmsg", SYS_recvmsg},
    {"setrlimit", SYS_setrlimit},
    {"prlimit64", SYS_prlimit64},
    {"setitimer", SYS_setitimer},
    {"prctl", SYS_prctl},
    {"seccomp", SYS_seccomp},
    {"io_uring_setup", SYS_io_uring_setup},
    {"io_uring_enter", SYS_io_uring_enter},
    {"bpf", SYS_bpf},
    {"perf_event_open", SYS_perf_event_open},
    {"userfaultfd", SYS_userfaultfd},
    {"add_key", SYS_add_key},
    {"shmget", SYS_shmget},
    {"shmat", SYS_shmat},
    {"nanosleep", SYS_nanosleep},
    {"uname", SYS_uname},
    {"sched_yield", SYS_sched_yield},
    {"exit_group", SYS_exit_group},
};

static long call_number(lua_State *L)
{
    if (lua_isinteger(L, 1)) return (long)lua_tointeger(L, 1);
    const char *name = luaL_checkstring(L, 1);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (strcmp(calls[i].name, name) == 0) return calls[i].nr;
    return luaL_error(L, "no such call: %s", name);
}

// syscall(name or number, ...) -> result, errno
static int l_syscall(lua_State *L)
{
    long arg[6] = {0}, nr = call_number(L);
    for (int i = 0; i < 6; i++) {
        if (lua_type(L, i + 2) == LUA_TSTRING)
            arg[i] = (long)(intptr_t)lua_tostring(L, i + 2);
        else if (lua_isuserdata(L, i + 2))
            arg[i] = (long)(intptr_t)lua_touserdata(L, i + 2);
        else
            arg[i] = (long)luaL_optinteger(L, i + 2, 0);
    }
    long rc = syscall(nr, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
    lua_pushinteger(L, rc);
    lua_pushinteger(L, rc < 0 ? errno : 0);
    return 2;
}

static int l_buffer(lua_State *L)
{
    size_t n = (size_t)luaL_checkinteger(L, 1);
    memset(lua_newuserdatauv(L, n, 0), 0, n);
    return 1;
}

static void *address_of(lua_State *L, int i)
{
    if (lua_type(L, i) == LUA_TSTRING) return (void *)(uintptr_t)lua_tostring(L, i);
    if (lua_isuserdata(L, i)) return lua_touserdata(L, i);
    return (void *)(uintptr_t)luaL_checkinteger(L, i);
}

static int l_address(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)(intptr_t)address_of(L, 1));
    return 1;
}

static int l_peek(lua_State *L) // peek(address, n) -> bytes
{
    lua_pushlstring(L, address_of(L, 1), (size_t)luaL_checkinteger(L, 2));
    return 1;
}

static int l_poke(lua_State *L) // poke(address, bytes)
{
    size_t n;
    const char *bytes = luaL_checklstring(L, 2, &n);
    memcpy(address_of(L, 1), bytes, n);
    return 0;
}

static int l_jump(lua_State *L) // jump(address) -> what the code there returns
{
    char *code = address_of(L, 1);
    __builtin___clear_cache(code, code + 64);
    int (*f)(void);
    memcpy(&f, &code, sizeof f);
    lua_pushinteger(L, f());
    return 1;
}

static _Noreturn int l_spin(lua_State *L) // a loop in C, where no hook of Lua looks
{
    (void)L;
    for (volatile unsigned i = 0;; i++) {
    }
}

static int l_environment(lua_State *L)
{
    extern char **environ;
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (char **p = environ; p && *p; p++) {
        luaL_addstring(&b, *p);
        luaL_addchar(&b, '\n');
    }
    luaL_pushresult(&b);
    return 1;
}

// A system call by the i386 door, whose numbers mean other things than the filter's: getpid is 20.
static int l_int80(lua_State *L)
{
#ifdef __x86_64__
    long rc = luaL_checkinteger(L, 1);
    __asm__ volatile("int $0x80" : "+a"(rc) : : "memory", "r8", "r9", "r10", "r11");
    lua_pushinteger(L, rc);
#else
    lua_pushnil(L);
#endif
    return 1;
}

void box_attack_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"syscall", l_syscall}, {"buffer", l_buffer},
                                         {"address", l_address}, {"peek", l_peek},
                                         {"poke", l_poke},       {"jump", l_jump},
                                         {"spin", l_spin},       {"environment", l_environment},
                                         {"int80", l_int80},     {NULL, NULL}};
    luaL_newlib(L, functions);
    lua_setglobal(L, "attack");
}
