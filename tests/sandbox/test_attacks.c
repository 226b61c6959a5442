// If this fails, a layer of the sandbox does not hold what it is there for.
//
// Each row is one attack and the set of layers that hold it. It is run with every layer on
// (contained), with each holding layer as the only one of its set (contained by it alone), and with
// the whole set off, where it MUST succeed: that last run shows that the attack is real and the
// oracle sees it. The oracle is outside: a canary file, a listening port, a victim process, a
// random secret. The payload's own word counts for nothing.
//
// Numbers are those of the project's attack table. Payloads run with the library of box_attack.c,
// so that the system's layers are tested even where Lua's would have stopped the script.
#include "test.h"

#include "attack_world.h"
#include "base/clock.h"
#include "sandbox/asan.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <pthread.h>

#define L BOX_LUA
#define S BOX_SECCOMP
#define K BOX_LANDLOCK
#define R BOX_RLIMIT
#define W BOX_WALL
#define F BOX_FD

enum need { // what the kernel or the user must have for the teeth
    ANYONE = 0,
    ROOT = 1,    // only a privileged attacker gets anywhere
    NO_ASAN = 2, // the sanitizer takes the place of the limit
    NET_ABI = 4, // Landlock holds from ABI 4, 6: else only the others of the set do
    SCOPE_ABI = 8,
    CAPS_TOO = 16,   // as root, dropped capabilities hold it too
    MAY_LACK = 32,   // the kernel may not have the feature: then the teeth are skipped
    PEEK = 64,       // the oracle reads /proc of the child, which as a user needs it dumpable
    NPROC_TOO = 128, // as a user, RLIMIT_NPROC holds it too
    NO_LIMITS = 256  // newer kernels count it against RLIMIT_MEMLOCK, which would hold it as well
};

struct outcome {
    int rc;
    struct box_result r;
    char *shown; // the result as text, or the error
    int64_t us;
};

typedef bool (*oracle)(struct world *w, const struct outcome *o);

struct attack {
    int number;
    const char *name;
    unsigned holds;
    unsigned need;
    const char *payload;
    oracle succeeded;
    struct box_limits limits;
};

static struct world world;
static sandbox *boxes[BOX_ALL + 1]; // by layers_off

// --- oracles

static bool secret_shown(struct world *w, const struct outcome *o)
{
    return strstr(o->shown, w->secret) || strstr(o->shown, w->victim_secret);
}
static bool name_shown(struct world *w, const struct outcome *o)
{
    (void)w;
    return strstr(o->shown, "canary") && strstr(o->shown, "inherited");
}
static bool canary_changed(struct world *w, const struct outcome *o)
{
    (void)o;
    return world_canary_changed(w);
}
static bool new_made(struct world *w, const struct outcome *o)
{
    (void)o;
    return world_has(w, "new");
}
static bool link_made(struct world *w, const struct outcome *o)
{
    (void)o;
    return world_has(w, "link");
}
static bool disk_filled(struct world *w, const struct outcome *o)
{
    (void)o;
    return world_size(w, "filled") > 0;
}
static bool tcp_reached(struct world *w, const struct outcome *o)
{
    (void)o;
    return world_connected(w->tcp);
}
static bool udp_reached(struct world *w, const struct outcome *o)
{
    (void)o;
    return world_connected(w->udp);
}
static bool unix_reached(struct world *w, const struct outcome *o)
{
    (void)o;
    return world_connected(w->unix_path);
}
static bool abstract_reached(struct world *w, const struct outcome *o)
{
    (void)o;
    return world_connected(w->unix_abstract);
}
static bool victim_dead(struct world *w, const struct outcome *o)
{
    (void)o;
    usleep(20000); // a signal that was sent arrives
    return world_victim_dead(w);
}
static bool victim_changed(struct world *w, const struct outcome *o)
{
    (void)o;
    return world_victim_changed(w);
}
static bool zygote_dead(struct world *w, const struct outcome *o)
{
    (void)w;
    return o->rc < 0;
}
static bool strays_left(struct world *w, const struct outcome *o)
{
    (void)o;
    usleep(100000);
    return world_strays(w, true) > 0;
}
// Someone had to come and end it, or (where the deadline is no holder) only the deadline did.
static bool ran_late(struct world *w, const struct outcome *o)
{
    (void)w;
    return o->r.status == BOX_CANCELLED || strstr(o->shown, "no answer within 1200 ms");
}
static bool grew_large(struct world *w, const struct outcome *o)
{
    (void)o;
    return w->child_rss_kb > 150 * 1024;
}
static bool new_user_ns(struct world *w, const struct outcome *o)
{
    (void)o;
    char ours[100] = "";
    ssize_t n = readlink("/proc/self/ns/user", ours, sizeof ours - 1);
    return n > 0 && w->child_user_ns[0] && strcmp(ours, w->child_user_ns) != 0;
}
static bool new_root(struct world *w, const struct outcome *o)
{
    (void)o;
    return strcmp(w->child_root, w->dir) == 0;
}
static bool has_userfaultfd(struct world *w, const struct outcome *o)
{
    (void)o;
    return strstr(w->child_fds, "userfaultfd") != NULL;
}
static bool has_memfd(struct world *w, const struct outcome *o)
{
    (void)o;
    return strstr(w->child_fds, "memfd:") != NULL;
}
static bool has_socket_pair(struct world *w, const struct outcome *o)
{
    (void)o;
    return strstr(w->child_fds, "0:socket") != NULL;
}
#ifdef __x86_64__ // only its rows of foreign calls look at this
static bool shows_own_pid(struct world *w, const struct outcome *o)
{
    char pid[20];
    snprintf(pid, sizeof pid, "pid %d.", w->child);
    return w->child > 0 && strstr(o->shown, pid);
}
#endif
static bool shows_address(struct world *w, const struct outcome *o)
{
    (void)w;
    for (const char *p = o->shown; (p = strstr(p, "0x")) != NULL; p++)
        if (strspn(p + 2, "0123456789abcdef") >= 6) return true;
    return false;
}
static bool shows_42(struct world *w, const struct outcome *o)
{
    (void)w;
    return strstr(o->shown, "code said 4242") != NULL;
}
static bool bytecode_ran(struct world *w, const struct outcome *o)
{
    return strstr(o->shown, w->secret) != NULL; // it came in as hexadecimal digits only
}

// --- payloads

static const char prelude[] =
    "local S = attack and attack.syscall local AT = -100 "
    "local function open(path, flags) S('close', 0) return S('openat', AT, path, flags or 0, 384) "
    "end "
    "local function slurp(path) local fd = open(path) if fd < 0 then return 'no' end "
    "  local b = attack.buffer(4096) local n = S('read', fd, b, 4096) "
    "  return n > 0 and attack.peek(b, n):gsub('[^%w ]', ' ') or 'no' end "
    "local function inet(port) return string.pack('<I2>I2>I4I8', 2, port, 0x7f000001, 0) end "
    "local function spawn(f) local flags = 17 local pid = S('clone', flags, 0, 0, 0, 0) "
    "  if pid == 0 then f() S('exit_group', 0) end return pid end "
    "local function path_vector(...) local keep, v = {...}, '' "
    "  for i, s in ipairs(keep) do v = v .. string.pack('i8', attack.address(s)) end "
    "  return v .. string.pack('i8', 0), keep end "
#ifdef __x86_64__
    "local CODE = string.pack('<I1I4I1', 0xb8, 4242, 0xc3) "
#else
    "local CODE = string.pack('<I4I4', 0x52800000 | 4242 << 5, 0xd65f03c0) "
#endif
    ;

// clang-format off
static const struct attack attacks[] = {
    {1, "bytecode through load", L, ANYONE,
     "local code = args.bytecode:gsub('..', function(h) return string.char(tonumber(h, 16)) end) "
     "local f = load(code, 'b', 'b') return f and f() or 'no'",
     bytecode_ran, {0}},
    {2, "a loaded chunk finds io", L | S | K, ANYONE,
     "if io then S('close', 0) end "
     "return load('local f = io and io.open(...) return f and f:read(\"a\") or "
     "\"no\"')(args.canary)",
     secret_shown, {0}},
    {3, "debug.getregistry finds io", L | S | K, ANYONE,
     "local r = debug and debug.getregistry() if not r then return 'no' end S('close', 0) "
     "local f = r._LOADED.io.open(args.canary) return f and f:read('a') or 'no'",
     secret_shown, {0}},
    {6, "os.remove", L | S | K, ANYONE,
     "if os.remove then os.remove(args.canary) end return 'x'",
     canary_changed, {0}},
    {6, "os.getenv", L | F, ANYONE,
     "return os.getenv and os.getenv('HEARTH_TEST_API_KEY') or 'no'",
     secret_shown, {0}},
    {7, "a string larger than the cap", R, ANYONE,
     "local s = ('x'):rep(160 << 20) ctx.probe() return #s",
     grew_large, {20000, 20000, 0, 0}},
    {7, "raw mmap beyond the cap", R, NO_ASAN,
     "local n = 250 << 20 local p = S('mmap', 0, n, 3, 0x22, -1, 0) if p < 0 then return 'no' end "
     "for i = 0, n - 4096, 4096 do attack.poke(p + i, 'x') end ctx.probe() return 1",
     grew_large, {4000, 4000, 0, 0}},
    {8, "pattern backtracking", W | R, ANYONE,
     "return ('a'):rep(60):find(('a?'):rep(60) .. ('a'):rep(60) .. 'b')",
     ran_late, {200, 200, 0, 0}},
    {9, "a loop that swallows every error", W | R, ANYONE,
     "while true do pcall(function() while true do end end) end",
     ran_late, {200, 200, 0, 0}},
    {10, "a loop inside coroutines", W | R, ANYONE,
     "local function f() while true do coroutine.wrap(f)() end end "
     "while true do pcall(coroutine.wrap(f)) end",
     ran_late, {200, 200, 0, 0}},
    {9, "a loop in C", W | R, ANYONE, "attack.spin()", ran_late, {200, 200, 0, 0}},
    {46, "sleeping without using the CPU", W | S, ANYONE,
     "S('nanosleep', string.pack('i8i8', 10, 0), 0) return 1",
     ran_late, {200, 200, 0, 0}},
    {46, "switching the CPU timer off", S, ANYONE,
     "S('setitimer', 2, string.pack('i8i8i8i8', 0, 0, 0, 0), 0) attack.spin()",
     ran_late, {1200, 100, 0, 0}},
    {17, "addresses in text", L, ANYONE,
     "local ok, p = pcall(string.format, '%p', {}) "
     "return tostring(pcall) .. tostring({}) .. ('%s'):format({}) .. tostring(p)",
     shows_address, {0}},
    {21, "reading a file", S | K, ANYONE, "return slurp(args.canary)", secret_shown, {0}},
    {21, "listing a folder", S | K, ANYONE,
     "local fd = open(args.dir) if fd < 0 then return 'no' end "
     "local b = attack.buffer(4096) local n = S('getdents64', fd, b, 4096) "
     "return n > 0 and attack.peek(b, n):gsub('[^%w]', ' ') or 'no'",
     name_shown, {0}},
    {21, "making a file", S | K, ANYONE, "return open(args.new, 0x41)", new_made, {0}},
    {28, "truncating a file", S | K, ANYONE,
     "return S('truncate', args.canary, 0)",
     canary_changed, {0}},
    {21, "deleting a file", S | K, ANYONE,
     "return S('unlinkat', AT, args.canary, 0)",
     canary_changed, {0}},
    {21, "making a folder", S | K, ANYONE, "return S('mkdirat', AT, args.new, 448)", new_made, {0}},
    {26, "a hard link", S | K, ANYONE,
     "return S('linkat', AT, args.canary, AT, args.link, 0)",
     link_made, {0}},
    {23, "a symbolic link", S | K, ANYONE,
     "return S('symlinkat', '/etc', AT, args.link)",
     link_made, {0}},
    {27, "renaming a file", S | K, ANYONE,
     "return S('renameat2', AT, args.canary, AT, args.new, 0)",
     new_made, {0}},
    {21, "changing a file's mode", S, ANYONE,
     "return S('fchmodat', AT, args.canary, 511)",
     canary_changed, {0}},
    {47, "filling the disk", S | K | R, ANYONE,
     "local fd = open(args.filled, 0x41) local b = attack.buffer(65536) "
     "for i = 1, 16 do S('write', fd, b, 65536) end return fd",
     disk_filled, {0}},
    {31, "the environment of another process", S | K, CAPS_TOO,
     "return slurp('/proc/' .. args.keeper .. '/environ')",
     secret_shown, {0}},
    {32, "reading another process's memory", S | K, CAPS_TOO,
     "local b = attack.buffer(100) local here = string.pack('i8i8', attack.address(b), args.n) "
     "local there = string.pack('i8i8', args.address, args.n) "
     "local n = S('process_vm_readv', args.victim, here, 1, there, 1, 0) "
     "return n > 0 and attack.peek(b, n) or 'no'",
     secret_shown, {0}},
    {32, "writing another process's memory", S | K, CAPS_TOO,
     "local text = ('z'):rep(args.n) "
     "local here = string.pack('i8i8', attack.address(text), args.n) "
     "local there = string.pack('i8i8', args.address, args.n) "
     "return S('process_vm_writev', args.victim, here, 1, there, 1, 0)",
     victim_changed, {0}},
    {32, "ptrace", S | K, CAPS_TOO,
     "if S('ptrace', 16, args.victim, 0, 0) < 0 then return 'no' end " // attach
     "S('wait4', args.victim, 0, 0x40000000, 0) "
     "S('ptrace', 5, args.victim, args.address, 0x7a7a7a7a7a7a7a7a) " // poke
     "return S('ptrace', 17, args.victim, 0, 0)",
     victim_changed, {0}},
    {33, "killing another process", S | K, SCOPE_ABI,
     "return S('kill', args.victim, 9)",
     victim_dead, {0}},
    {33, "killing by pidfd", S | K, SCOPE_ABI,
     "S('close', 0) local fd = S('pidfd_open', args.victim, 0) "
     "return S('pidfd_send_signal', fd, 9, 0, 0)",
     victim_dead, {0}},
    {33, "killing the zygote", S | K, SCOPE_ABI,
     "S('kill', S('getppid'), 9) S('nanosleep', string.pack('i8i8', 1, 0), 0) return 1",
     zygote_dead, {0}},
    {34, "io_uring makes a folder", S | K, MAY_LACK | NO_LIMITS,
     "S('close', 0) local p = attack.buffer(120) local fd = S('io_uring_setup', 4, p) "
     "if fd < 0 then return 'no' end local q = attack.peek(p, 120) "
     "local function u32(at) return (string.unpack('<I4', q, at + 1)) end "
     "local ring = S('mmap', 0, 8192, 3, 0x8001, fd, 0) "
     "local sqe = S('mmap', 0, 4096, 3, 0x8001, fd, 0x10000000) "
     "attack.poke(sqe, string.pack('<I1I1I2i4i8i8I4I4i8', 37, 0, 0, AT, 0, "
     "attack.address(args.new), 448, 0, 7)) "
     "attack.poke(ring + u32(40 + 24), string.pack('<I4', 0)) "
     "attack.poke(ring + u32(40 + 4), string.pack('<I4', 1)) "
     "return S('io_uring_enter', fd, 1, 1, 1, 0, 0)",
     new_made, {0}},
#ifdef __x86_64__
    {35, "a system call by the i386 door", S, MAY_LACK,
     "ctx.probe() return 'pid ' .. attack.int80(20) .. '.'",
     shows_own_pid, {0}},
    {35, "a system call with the x32 bit", S, MAY_LACK,
     "ctx.probe() return 'pid ' .. S(39 | 0x40000000) .. '.'",
     shows_own_pid, {0}},
#endif
    {36, "memory that is writable and executable", S, ANYONE,
     "local p = S('mmap', 0, 4096, 7, 0x22, -1, 0) if p < 0 then return 'no' end "
     "attack.poke(p, CODE) return 'code said ' .. attack.jump(p)",
     shows_42, {0}},
    {36, "memory made executable later", S, ANYONE,
     "local p = S('mmap', 0, 4096, 3, 0x22, -1, 0) attack.poke(p, CODE) "
     "if S('mprotect', p, 4096, 5) < 0 then return 'no' end "
     "return 'code said ' .. attack.jump(p)",
     shows_42, {0}},
    {36, "executable with a high bit in the argument", S, ANYONE,
     "local p = S('mmap', 0, 4096, 3, 0x22, -1, 0) attack.poke(p, CODE) "
     "if S('mprotect', p, 4096, 5) < 0 and S('mprotect', p, 4096, 5 | 1 << 24) < 0 then return "
     "'no' "
     "end return 'code said ' .. attack.jump(p)",
     shows_42, {0}},
    {36, "a file in memory", S, PEEK,
     "S('close', 0) S('memfd_create', 'x', 0) ctx.probe() return 1",
     has_memfd, {0}},
    {6, "running a program", S | K, ANYONE,
     "local argv, keep = path_vector('sh', '-c', ': > \"$0\"', args.new) "
     "S('close', 0) S('close', 1) S('close', 2) "
     "return S('execve', '/bin/sh', argv, string.pack('i8', 0))",
     new_made, {0}},
    {37, "a new user namespace", S, PEEK | MAY_LACK,
     "S('unshare', 0x10000000) ctx.probe() return 1",
     new_user_ns, {0}},
    {38, "chroot", S | F, ROOT | PEEK, "S('chroot', args.dir) ctx.probe() return 1", new_root, {0}},
    {39, "userfaultfd", S, PEEK | MAY_LACK,
     "S('close', 0) S('userfaultfd', 1) ctx.probe() return 1",
     has_userfaultfd, {0}},
    {44, "processes that outlive the call", S, NPROC_TOO,
     "for i = 1, 5 do spawn(function() while true do end end) end return 1",
     strays_left, {500, 400, 0, 0}},
    {45, "a daemon with a session of its own", S, NPROC_TOO,
     "spawn(function() S('setsid') spawn(function() while true do end end) end) return 1",
     strays_left, {500, 400, 0, 0}},
    {49, "inherited descriptors", F | S, ANYONE,
     "local b, found = attack.buffer(100), '' for fd = 4, 1023 do "
     "if S('lseek', fd, 0, 0) == 0 then local n = S('read', fd, b, 100) "
     "if n > 0 then found = found .. attack.peek(b, n):gsub('[^%w]', ' ') end end end return found",
     secret_shown, {0}},
    {51, "secrets in the environment", F, ANYONE,
     "return (attack.environment():gsub('[^%w=_\\n]', ' '))",
     secret_shown, {0}},
    {54, "a unix socket by path", S, ANYONE,
     "S('close', 0) local fd = S('socket', 1, 1, 0) "
     "return S('connect', fd, string.pack('<I2', 1) .. args.unix .. '\\0', #args.unix + 3)",
     unix_reached, {0}},
    {54, "an abstract unix socket", S | K, SCOPE_ABI,
     "S('close', 0) local fd = S('socket', 1, 1, 0) "
     "return S('connect', fd, string.pack('<I2', 1) .. '\\0' .. args.abstract .. '\\0', "
     "#args.abstract + 3)",
     abstract_reached, {0}},
    {56, "TCP to this machine", S | K, NET_ABI,
     "S('close', 0) local fd = S('socket', 2, 1, 0) return S('connect', fd, inet(args.tcp), 16)",
     tcp_reached, {0}},
    {56, "UDP to this machine", S, ANYONE,
     "S('close', 0) local fd = S('socket', 2, 2, 0) "
     "return S('sendto', fd, 'leak', 4, 0, inet(args.udp), 16)",
     udp_reached, {0}},
    {56, "a netlink socket", S, PEEK,
     "S('close', 0) S('socket', 16, 3, 0) ctx.probe() return 1",
     has_socket_pair, {0}},
};
// clang-format on

// --- running

static json_t *probe(void *user, const char *name, const json_t *args, err *why)
{
    (void)args, (void)why;
    if (strcmp(name, "probe") == 0) world_probe(user);
    return json_true();
}

static sandbox *box_without(unsigned layers_off)
{
    err e;
    if (boxes[layers_off]) return boxes[layers_off];
    struct sandbox_options o = {.box_path = HEARTH_BINARY_DIR "/hearth-box-teeth",
                                .layers_off = layers_off};
    boxes[layers_off] = sandbox_open(&o, &e);
    if (!boxes[layers_off]) fail_msg("layers off %u: %s", layers_off, e.msg);
    return boxes[layers_off];
}

static int zygotes_now(pid_t *out, int max)
{
    int n = 0;
    for (int i = 0; i <= BOX_ALL && n < max; i++) {
        struct sandbox_status st = {0};
        if (boxes[i]) sandbox_get_status(boxes[i], &st);
        if (st.zygote_pid) out[n++] = st.zygote_pid;
    }
    return n;
}

static char bytecode_hex[4000];

static struct outcome run_payload(const char *payload, unsigned layers_off,
                                  struct box_limits limits, volatile int *cancel)
{
    sandbox *box = box_without(layers_off);
    struct sandbox_status st;
    sandbox_get_status(box, &st);
    world.zygote = st.zygote_pid;
    char *source = mem_printf("return {run = function(args, ctx) %s %s end}", prelude, payload);
    json_t *args = world_args(&world), *names = json_pack("[s,s]", "probe", "ping");
    json_object_set_new(args, "bytecode", json_string(bytecode_hex));
    struct box_request q = {.source = source,
                            .source_len = strlen(source),
                            .chunk_name = "attack",
                            .entry = "run",
                            .args = args,
                            .services = names,
                            .limits = limits,
                            .on_call = probe,
                            .user = &world,
                            .cancel = cancel};
    struct outcome o = {0};
    err e = {ERR_NONE, ""};
    o.rc = sandbox_run(box, &q, &o.r, &e);
    o.us = o.r.wall_us;
    char *json = o.r.value ? json_dumps(o.r.value, JSON_ENCODE_ANY) : NULL;
    o.shown = mem_str(json ? json : o.r.text ? o.r.text : e.msg);
    free(json);
    free(source);
    json_decref(args);
    json_decref(names);
    return o;
}

static void outcome_free(struct outcome *o)
{
    box_result_free(&o->r);
    free(o->shown);
}

static void *raise_flag(void *flag)
{
    for (int i = 0; i < 150 && !*(volatile int *)flag; i++) usleep(10000);
    *(volatile int *)flag = 1;
    return NULL;
}

static bool succeeds(const struct attack *a, unsigned layers_off, char *shown, size_t n_shown)
{
    volatile int cancel = 0;
    pthread_t t;
    bool watched = layers_off & W; // someone has to end it
    world_reset(&world);
    if (watched) pthread_create(&t, NULL, raise_flag, (void *)(uintptr_t)&cancel);
    struct outcome o = run_payload(a->payload, layers_off, a->limits, watched ? &cancel : NULL);
    if (watched) {
        cancel = 1;
        pthread_join(t, NULL);
    }
    bool won = a->succeeded(&world, &o);
    snprintf(shown, n_shown, "rc %d, status %d, %lld us, %.200s", o.rc, o.r.status, (long long)o.us,
             o.shown);
    outcome_free(&o);
    return won;
}

// The holding set on this machine, and the layers that are off in every run of the row.
static void set_of(const struct attack *a, unsigned *holds, unsigned *off)
{
    int abi = sandbox_landlock_abi();
    bool root = geteuid() == 0;
    *holds = a->holds;
    *off = 0;
    if (abi == 0 || (a->need & NET_ABI && abi < 4) || (a->need & SCOPE_ABI && abi < 6))
        *holds &= ~(unsigned)K;
    if (a->need & CAPS_TOO && root) *holds |= F;
    if (a->need & NPROC_TOO && !root) *holds |= R;
    if (a->need & PEEK && !root) *off |= F;
    if (a->need & NO_LIMITS) *off |= R;
}

static const char *skip_reason(const struct attack *a)
{
    if (a->need & ROOT && geteuid() != 0) return "only root could succeed";
    if (a->need & NO_ASAN && UNDER_ASAN) return "the sanitizer needs the address space";
    return NULL;
}

static int check_attack(const struct attack *a)
{
    char shown[400];
    unsigned holds, off;
    const char *skip = skip_reason(a);
    if (skip) {
        print_message("  %2d %-45s skipped: %s\n", a->number, a->name, skip);
        return 0;
    }
    set_of(a, &holds, &off);
    if (succeeds(a, off, shown, sizeof shown)) {
        print_message("  %2d %-45s NOT CONTAINED: %s\n", a->number, a->name, shown);
        return 1;
    }
    for (unsigned layer = 1; layer < BOX_ALL; layer <<= 1) {
        if (!(holds & layer)) continue;
        if (!succeeds(a, (off | holds) & ~layer, shown, sizeof shown)) continue;
        print_message("  %2d %-45s layer %u ALONE DOES NOT HOLD: %s\n", a->number, a->name, layer,
                      shown);
        return 1;
    }
    if (succeeds(a, off | holds, shown, sizeof shown)) return 0;
    bool excused = a->need & MAY_LACK;
    print_message("  %2d %-45s %s: %s\n", a->number, a->name,
                  excused ? "teeth skipped, not in this kernel" : "HAS NO TEETH", shown);
    return excused ? 0 : 1;
}

static void every_attack(void **state)
{
    (void)state;
    int wrong = 0, n = sizeof attacks / sizeof *attacks;
    for (int i = 0; i < n; i++) wrong += check_attack(&attacks[i]);
    print_message("  %d attacks, Landlock ABI %d, %s\n", n, sandbox_landlock_abi(),
                  geteuid() == 0 ? "as root" : "as a user");
    assert_int_equal(wrong, 0);
}

// --- attacks on the protocol: no layer to switch off, the parent itself must stand

// clang-format off
static const struct {
    int number;
    const char *name, *payload;
    enum box_status status;
    const char *words;
} breaches[] = {
    {19, "a frame of 1 GB", "S('write', 3, string.pack('<I4', 1 << 30) .. 'x', 5) attack.spin()",
     BOX_CRASHED, "a frame of 1073741824 bytes"},
    {19, "an empty frame", "S('write', 3, string.pack('<I4', 0), 4) attack.spin()", BOX_CRASHED,
     "a frame of 0 bytes"},
    {19, "part of a frame, then nothing",
     "S('write', 3, string.pack('<I4', 1000) .. '{', 5) attack.spin()", BOX_TIMEOUT, ""},
    {20, "garbage", "send('\\x00\\xff garbage') attack.spin()", BOX_CRASHED, "not JSON"},
    {20, "an array", "send('[]') attack.spin()", BOX_CRASHED, "not an object"},
    {20, "no type", "send('{}') attack.spin()", BOX_CRASHED, "no known type"},
    {20, "an unknown type", "send('{\"type\":\"root\"}') attack.spin()", BOX_CRASHED,
     "no known type"},
    {20, "a surplus field",
     "send('{\"type\":\"done\",\"value\":1,\"started\":0,\"more\":1}') attack.spin()", BOX_CRASHED,
     "wrong fields"},
    {20, "a key twice",
     "send('{\"type\":\"done\",\"value\":1,\"value\":2,\"started\":0}') attack.spin()", BOX_CRASHED,
     "not JSON"},
    {18, "bytes that are not UTF-8",
     "send('{\"type\":\"done\",\"value\":\"\\xff\",\"started\":0}') attack.spin()", BOX_CRASHED,
     "not JSON"},
    {18, "a lone surrogate",
     "send('{\"type\":\"done\",\"value\":\"\\\\ud800\",\"started\":0}') attack.spin()", BOX_CRASHED,
     "not JSON"},
    {18, "a NUL in a string",
     "send('{\"type\":\"done\",\"value\":\"\\\\u0000\",\"started\":0}') attack.spin()", BOX_CRASHED,
     "not JSON"},
    {18, "100,000 brackets",
     "send('{\"type\":\"done\",\"started\":0,\"value\":' .. ('['):rep(100000)) attack.spin()",
     BOX_CRASHED, "deeper than"},
    {18, "a million empty objects",
     "send('{\"type\":\"done\",\"started\":0,\"value\":[' .. ('{},'):rep(1000000) .. '1]}') "
     "attack.spin()",
     BOX_CRASHED, "more than 250000 values"},
    {18, "a number of a million digits",
     "send('{\"type\":\"done\",\"started\":0,\"value\":' .. ('9'):rep(1000000) .. '}') "
     "attack.spin()",
     BOX_CRASHED, "not JSON"},
    {18, "an infinite number",
     "send('{\"type\":\"done\",\"started\":0,\"value\":1e999}') "
     "attack.spin()",
     BOX_CRASHED, "not JSON"},
    {20, "a service that was not granted",
     "send('{\"type\":\"call\",\"id\":1,\"service\":\"fs.write\",\"args\":[],\"started\":0}') "
     "attack.spin()",
     BOX_CRASHED, "fs.write, which was not granted"},
    {20, "a call with a wrong number",
     "send('{\"type\":\"call\",\"id\":7,\"service\":\"probe\",\"args\":[],\"started\":0}') "
     "attack.spin()",
     BOX_CRASHED, "call 7 after call 0"},
    {20, "a call replayed",
     "local m = '{\"type\":\"call\",\"id\":1,\"service\":\"probe\",\"args\":[],\"started\":0}' "
     "send(m) send(m) attack.spin()",
     BOX_CRASHED, "call 1 after call 1"},
    {20, "arguments that are no list",
     "send('{\"type\":\"call\",\"id\":1,\"service\":\"probe\",\"args\":5,\"started\":0}') "
     "attack.spin()",
     BOX_CRASHED, "wrong fields"},
    {20, "a refusal after the start",
     "ctx.probe() send('{\"type\":\"refused\",\"step\":\"seccomp\",\"errno\":1}') attack.spin()",
     BOX_CRASHED, "a refusal after the start"},
    {20, "an unknown status",
     "send('{\"type\":\"fail\",\"status\":\"ok\",\"text\":\"\",\"started\":0}') attack.spin()",
     BOX_CRASHED, "an unknown status"},
    {19, "a result of 1 GB", "return ('x'):rep(1 << 30)", BOX_MEMORY, "64 MB"},
    {19, "calls without end",
     "for i = 1, 1e6 do send('{\"type\":\"call\",\"id\":' .. i .. "
     "',\"service\":\"ping\",\"args\":[],\"started\":0}') end",
     BOX_CRASHED, "call 1001 after call 1000"},
    {19, "calls whose answers are never read",
     "local m = ('x'):rep(3 << 20) for i = 1, 900 do send('{\"type\":\"call\",\"id\":' .. i .. "
     "',\"service\":\"ping\",\"args\":[\"' .. m .. '\"],\"started\":0}') end attack.spin()",
     BOX_TIMEOUT, ""},
    {11, "a finalizer that loops at the end",
     "local t = setmetatable({}, {__index = 1}) debug = nil return 'fine'", BOX_OK, "fine"},
    {12, "an error inside the error handler",
     "return xpcall(error, function() error('again') end, 'x') and 1 or 'fine'", BOX_OK, "fine"},
    {12, "recursion inside the error handler",
     "local function h(m) return h(m) .. 'x' end return xpcall(error, h, 'x') and 1 or 'fine'",
     BOX_OK, "fine"},
    {14, "unpack of 2^31", "return table.unpack({}, 1, 1 << 31)", BOX_ERROR, "too many results"},
    {14, "a format of 99999 digits", "return string.format('%99999d', 1)", BOX_ERROR, "invalid"},
    {14, "concat with a huge range", "return table.concat({}, 'x', 1, math.maxinteger)", BOX_ERROR,
     "invalid value"},
    {15, "sort with a comparator that lies",
     "local t = {} for i = 1, 1000 do t[i] = i % 7 end table.sort(t, function() return true end)",
     BOX_ERROR, "invalid order function"},
    {15, "a chain of a million __index",
     "local t = {} for i = 1, 1e5 do t = setmetatable({}, {__index = t}) end return t.x", BOX_ERROR,
     "'__index' chain too long"},
    {16, "10,000 brackets in source", "return load('return ' .. ('('):rep(10000)) and 1 or 'fine'",
     BOX_OK, "fine"},
    {16, "10,000 tables in source", "return load('return ' .. ('{'):rep(10000)) and 1 or 'fine'",
     BOX_OK, "fine"},
    {10, "coroutines inside coroutines",
     "local function f() return coroutine.wrap(f)() end return pcall(f) and 1 or 'fine'", BOX_OK,
     "fine"},
};
// clang-format on

static const char send_prelude[] =
    "local function send(s) local m = string.pack('<s4', s) local at = 1 while at <= #m do "
    "local n = S('write', 3, m:sub(at), #m - at + 1) if n <= 0 then break end at = at + n end end ";

static void breaches_end_the_child(void **state)
{
    (void)state;
    int wrong = 0;
    for (size_t i = 0; i < sizeof breaches / sizeof *breaches; i++) {
        world_reset(&world);
        char *payload = mem_printf("%s %s", send_prelude, breaches[i].payload);
        bool waits = breaches[i].status == BOX_TIMEOUT;
        struct box_limits limits = {waits ? 700 : 10000, waits ? 600 : 8000, 0, 0};
        struct outcome o = run_payload(payload, 0, limits, NULL);
        if (o.rc != 0 || o.r.status != breaches[i].status || !strstr(o.shown, breaches[i].words)) {
            print_message("  %2d %s: rc %d, status %d, %.300s; expected %d, %s\n",
                          breaches[i].number, breaches[i].name, o.rc, o.r.status, o.shown,
                          breaches[i].status, breaches[i].words);
            wrong++;
        }
        outcome_free(&o);
        free(payload);
        struct outcome again = run_payload("return 'alive'", 0, (struct box_limits){0}, NULL);
        if (again.r.status != BOX_OK) wrong++;
        outcome_free(&again);
    }
    print_message("  %zu attacks on the protocol and the interpreter\n",
                  sizeof breaches / sizeof *breaches);
    assert_int_equal(wrong, 0);
}

static void one_call_cannot_prepare_the_next(void **state)
{
    (void)state;
    static const char poison[] =
        "string.upper = function() return 'poisoned' end _G.left = 1 "
        "pcall(function() getmetatable('').__index = {upper = string.upper} end) return 1";
    struct outcome o = run_payload(poison, 0, (struct box_limits){0}, NULL);
    assert_int_equal(o.r.status, BOX_OK);
    outcome_free(&o);
    o = run_payload("return ('x'):upper() .. tostring(left)", 0, (struct box_limits){0}, NULL);
    assert_string_equal(o.shown, "\"Xnil\"");
    outcome_free(&o);
}

// Every step of confinement is made to fail in turn: each must refuse, by name, and run nothing.
static void a_layer_that_fails_refuses(void **state)
{
    (void)state;
    static const int errors[] = {ENOSYS, EPERM, EINVAL, E2BIG};
    int n_step = 0;
    for (;; n_step++) {
        for (size_t k = 0; k < sizeof errors / sizeof *errors; k++) {
            err e = {ERR_NONE, ""};
            struct sandbox_options o = {.box_path = HEARTH_BINARY_DIR "/hearth-box-teeth",
                                        .fault_step = n_step + 1,
                                        .fault_errno = errors[k]};
            sandbox *s = sandbox_open(&o, &e);
            if (s) { // past the last step
                sandbox_close(s);
                assert_true(n_step >= 10);
                return;
            }
            assert_int_equal(e.code, ERR_REFUSED);
            assert_non_null(strstr(e.msg, "cannot be applied here"));
            assert_non_null(strstr(e.msg, strerror(errors[k])));
        }
    }
}

static int open_world(void **state)
{
    (void)state;
    world.zygotes = zygotes_now;
    world_open(&world);
    char *payload =
        mem_printf("local code = string.dump(load([[return '%s']])) "
                   "return (code:gsub('.', function(c) return ('%%02x'):format(c:byte()) "
                   "end))",
                   world.secret);
    struct outcome o = run_payload(payload, L, (struct box_limits){0}, NULL);
    free(payload);
    if (o.r.status != BOX_OK) return -1;
    snprintf(bytecode_hex, sizeof bytecode_hex, "%s", json_string_value(o.r.value));
    outcome_free(&o);
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    world_strays(&world, true);
    for (unsigned i = 0; i <= BOX_ALL; i++) sandbox_close(boxes[i]);
    world_close(&world);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_attack),
        cmocka_unit_test(breaches_end_the_child),
        cmocka_unit_test(one_call_cannot_prepare_the_next),
        cmocka_unit_test(a_layer_that_fails_refuses),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
