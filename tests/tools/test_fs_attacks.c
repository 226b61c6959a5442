// If this fails, a path that a model or a tool made up reaches a file outside the workspace. The
// oracle is always a canary outside: its content must not come back, and must not change.
#include "test.h"

#include "base/clock.h"
#include "temp_dir.h"
#include "tools/fs_broker.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static const char canary[] = "CANARY-4f1c";
static char *base, *work; // base/work is the workspace; base/secret.txt the canary
static fs_broker *broker;

static char *in_base(const char *name)
{
    return path_join(base, name);
}

static void link_to(const char *target, const char *name)
{
    char *path = path_join(work, name);
    if (symlink(target, path) < 0) abort();
    free(path);
}

static int open_all(void **state)
{
    (void)state;
    err e;
    base = temp_dir();
    work = in_base("work");
    temp_file(base, "secret.txt", canary);
    temp_file(base, "work-evil/secret.txt", canary);
    temp_file(base, "outside/secret.txt", canary);
    temp_file(work, "inside.txt", "inside");
    temp_file(work, "folder/inner.txt", "inner");
    char *secret = in_base("secret.txt"), *outside = in_base("outside");
    link_to(secret, "link_final");
    link_to("../secret.txt", "link_relative");
    link_to(outside, "link_folder");
    link_to("/proc/self/root", "link_root");
    link_to("inside.txt", "link_inside");
    link_to("../created-through-link.txt", "link_new");
    char *hard = path_join(work, "hard.txt"), *fifo = path_join(work, "fifo");
    if (link(secret, hard) < 0 || mkfifo(fifo, 0600) < 0) return -1;
    free(secret), free(outside), free(hard), free(fifo);
    broker = fs_broker_open(work, &e);
    return broker ? 0 : -1;
}

static int close_all(void **state)
{
    (void)state;
    fs_broker_close(broker);
    free(work);
    temp_remove(base);
    return 0;
}

static void canaries_are_untouched(void)
{
    static const char *const names[] = {"secret.txt", "work-evil/secret.txt", "outside/secret.txt"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *text = temp_text(base, names[i]);
        assert_non_null(text);
        assert_string_equal(text, canary);
        free(text);
    }
    char *new_file = in_base("created-through-link.txt");
    assert_false(file_exists(new_file));
    free(new_file);
}

// Paths that must not be read. `words` must be in the error.
static const struct attack {
    const char *path, *words;
    bool write_too;
} attacks[] = {
    {"../secret.txt", "outside the workspace", true},
    {"folder/../../secret.txt", "outside the workspace", true},
    {"folder/../../work-evil/secret.txt", "outside the workspace", true},
    {"../work-evil/secret.txt", "outside the workspace", true},
    {"..", "", true},
    {"./../secret.txt", "outside the workspace", true},
    {"folder//..//..//secret.txt", "outside the workspace", true},
    {"/etc/passwd", "relative to the workspace", true},
    {"//etc/passwd", "relative to the workspace", true},
    {"/proc/self/root/etc/passwd", "relative to the workspace", true},
    {"link_final", "", true},
    {"link_relative", "", true},
    {"link_inside", "symbolic link", true},
    {"link_folder/secret.txt", "symbolic link", true},
    {"link_folder/new.txt", "symbolic link", true},
    {"link_root/etc/passwd", "symbolic link", true},
    {"link_new", "", true},
    {"fifo", "", true},
    {"inside.txt\n../secret.txt", "control character", true},
    {"inside.txt\x01", "control character", true},
    {"~/.ssh/id_rsa", "no such file", false},
    {"%2e%2e/secret.txt", "no such file", false},
    {"..\\secret.txt", "no such file", false},
};

static void paths_that_lead_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof attacks / sizeof *attacks; i++) {
        struct fs_use use = {0};
        err why = {ERR_NONE, ""};
        json_t *args = json_pack("[s,s]", attacks[i].path, "overwritten");
        json_t *(*const ops[])(fs_broker *, struct fs_use *, const json_t *,
                               err *) = {fs_read, fs_write, fs_list};
        for (size_t op = 0; op < 3; op++) {
            if (op == 1 && !attacks[i].write_too) continue;
            json_t *r = ops[op](broker, &use, args, &why);
            if (r) fail_msg("%s: op %zu succeeded", attacks[i].path, op);
            if (op == 0 && !strstr(why.msg, attacks[i].words))
                fail_msg("%s: %s", attacks[i].path, why.msg);
        }
        json_decref(args);
    }
    canaries_are_untouched();
}

static void a_hard_link_is_not_written(void **state)
{
    (void)state;
    struct fs_use use = {0};
    err why;
    json_t *args = json_pack("[s,s]", "hard.txt", "overwritten");
    assert_null(fs_write(broker, &use, args, &why));
    assert_non_null(strstr(why.msg, "hard link"));
    json_decref(args);
    canaries_are_untouched();
}

static void a_nul_never_arrives(void **state)
{
    (void)state;
    // A JSON string with a NUL in it is cut by C: the broker must not see a different, valid name.
    json_t *path = json_stringn_nocheck("inside.txt\0/../../secret.txt", 28);
    json_t *args = json_pack("[o]", path);
    struct fs_use use = {0};
    err why = {ERR_NONE, ""};
    json_t *r = fs_read(broker, &use, args, &why);
    assert_null(r);
    assert_non_null(strstr(why.msg, "control character"));
    json_decref(args);
}

static void search_stays_inside(void **state)
{
    (void)state;
    struct fs_use use = {0};
    err why;
    json_t *args = json_pack("[s]", "CANARY");
    json_t *r = fs_search(broker, &use, args, &why);
    // The hard link is a name of the file inside the workspace: that one may be found, no other.
    size_t i;
    json_t *m;
    json_array_foreach(json_object_get(r, "matches"), i, m)
        assert_string_equal(json_string_value(json_object_get(m, "path")), "hard.txt");
    json_decref(r);
    json_decref(args);
}

// --- races: a thread swaps a folder with a link to the outside as fast as it can

static atomic_bool stop;

static void *swap_folder(void *n_swap)
{
    char *a = path_join(work, "race"), *b = path_join(work, "race_link");
    while (!atomic_load(&stop))
        if (syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) == 0)
            ++*(long *)n_swap;
    free(a), free(b);
    return NULL;
}

static void swaps_never_win(void **state)
{
    (void)state;
    temp_file(work, "race/secret.txt", "harmless");
    char *outside = in_base("outside");
    link_to(outside, "race_link");
    long n_swap = 0, n_try = 0, n_read = 0, n_written = 0;
    atomic_store(&stop, false);
    pthread_t t;
    pthread_create(&t, NULL, swap_folder, &n_swap);
    json_t *read_args = json_pack("[s]", "race/secret.txt");
    json_t *write_args = json_pack("[s,s]", "race/written.txt", "x");
    for (int64_t until = clock_us() + 2000000; clock_us() < until; n_try++) {
        struct fs_use use = {0};
        err why;
        json_t *r = fs_read(broker, &use, read_args, &why);
        if (r) {
            n_read++;
            assert_string_equal(json_string_value(r), "harmless");
            json_decref(r);
        }
        if (n_try % 8) continue; // a write costs an fsync
        r = fs_write(broker, &use, write_args, &why);
        n_written += r != NULL;
        json_decref(r);
    }
    atomic_store(&stop, true);
    pthread_join(t, NULL);
    print_message("%ld tries, %ld swaps, %ld read, %ld written inside\n", n_try, n_swap, n_read,
                  n_written);
    assert_true(n_swap > 1000);
    char *leak = in_base("outside/written.txt");
    assert_false(file_exists(leak));
    canaries_are_untouched();
    // Teeth: the same loop with plain open does get out, so the race above was a real one.
    atomic_store(&stop, false);
    pthread_create(&t, NULL, swap_folder, &n_swap);
    char *plain = path_join(work, "race/secret.txt");
    bool escaped = false;
    for (int64_t until = clock_us() + 2000000; clock_us() < until && !escaped;) {
        err e;
        size_t n;
        char *text = file_read(plain, 100, &n, &e);
        escaped = text && strcmp(text, canary) == 0;
        free(text);
    }
    atomic_store(&stop, true);
    pthread_join(t, NULL);
    assert_true(escaped);
    free(plain), free(leak), free(outside);
    json_decref(read_args);
    json_decref(write_args);
}

static void special_files_do_not_hang(void **state)
{
    (void)state;
    int64_t begin = clock_us();
    struct fs_use use = {0};
    err why;
    json_t *args = json_pack("[s]", "fifo");
    assert_null(fs_read(broker, &use, args, &why));
    assert_string_equal(why.msg, "fifo: is a special file, not a file");
    assert_true(clock_us() - begin < 1000000);
    json_decref(args);
    fs_broker *dev = fs_broker_open("/dev", &why);
    if (dev) {
        args = json_pack("[s]", "zero");
        assert_null(fs_read(dev, &use, args, &why));
        assert_non_null(strstr(why.msg, "special file"));
        json_decref(args);
        fs_broker_close(dev);
    }
}

static void caps_hold(void **state)
{
    (void)state;
    struct fs_use use = {0};
    err why;
    char *big = mem_new((2 << 20) + 1);
    memset(big, 'x', 2 << 20);
    json_t *args = json_pack("[s,s]", "big.txt", big);
    json_t *r = fs_write(broker, &use, args, &why);
    assert_int_equal(json_integer_value(r), 2 << 20);
    json_decref(r);
    assert_null(fs_read(broker, &use, args, &why));
    assert_string_equal(why.msg, "big.txt: 2048 KB, at most 1024 KB can be read");
    for (int i = 0; i < 7; i++) json_decref(fs_write(broker, &use, args, &why));
    assert_null(fs_write(broker, &use, args, &why));
    assert_int_equal(why.code, ERR_BUDGET);
    json_decref(args);
    free(big);
    char *long_path = mem_new(5000);
    memset(long_path, 'a', 4999);
    args = json_pack("[s]", long_path);
    assert_null(fs_read(broker, &use, args, &why));
    assert_non_null(strstr(why.msg, "a path of 4999 bytes"));
    json_decref(args);
    free(long_path);
    for (int i = 0; i < 1010; i++) {
        char name[40];
        snprintf(name, sizeof name, "many/%04d", i);
        char *path = path_join(work, name);
        if (i == 0) temp_file(work, name, "");
        int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        close(fd);
        free(path);
    }
    args = json_pack("[s]", "many");
    r = fs_list(broker, &use, args, &why);
    assert_int_equal(json_array_size(json_object_get(r, "entries")), FS_LIST_MAX);
    assert_true(json_is_true(json_object_get(r, "more")));
    json_decref(r);
    json_decref(args);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_that_lead_out), cmocka_unit_test(a_hard_link_is_not_written),
        cmocka_unit_test(a_nul_never_arrives), cmocka_unit_test(search_stays_inside),
        cmocka_unit_test(swaps_never_win),     cmocka_unit_test(special_files_do_not_hang),
        cmocka_unit_test(caps_hold),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
