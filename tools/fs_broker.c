// The broker runs with the user's rights on behalf of a script that has none: the classic confused
// deputy. Its one defence is never to hold a path longer than one system call. openat2 with
// RESOLVE_BENEATH | NO_SYMLINKS | NO_MAGICLINKS lets the kernel walk and check in one go;
// everything after that is done on descriptors. String checks on paths (prefixes, "..") were
// rejected: each of them has been beaten by a link, a race or a twin directory somewhere. A kernel
// without openat2 is refused at open.
//
// Only regular files are read or replaced. A write goes to a fresh file beside the target and is
// renamed over it, so a reader never sees half, and a hard link to a file outside is not written
// through (it is refused as well, since the rename would silently cut it).
#include "tools/fs_broker.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/utf8.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    PATH_BYTES_MAX = 1024,
    NAMES_MAX = 20000, // read from one folder
    SEARCH_DEPTH_MAX = 16,
    SEARCH_FILES_MAX = 5000,
    LINE_SHOWN_MAX = 200,
    HINT_NAMES = 10
};

static const char temp_prefix[] = ".hearth-write-";

struct fs_broker {
    int root;
};

// --- resolving

static int open_beneath(int dir, const char *path, int flags)
{
    struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK),
                           .resolve =
                               RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    if (flags & O_PATH) how.flags &= ~(uint64_t)(O_NOCTTY | O_NONBLOCK);
    for (int i = 0;; i++) {
        int fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
        // EAGAIN: a rename happened elsewhere while the kernel walked; it asks to try again.
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR) || i == 100) return fd;
    }
}

fs_broker *fs_broker_open(const char *workspace, err *e)
{
    int root = open(workspace, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) {
        err_sys(e, errno, "workspace %s", workspace);
        e->code = ERR_INPUT;
        return NULL;
    }
    int probe = open_beneath(root, ".", O_PATH | O_DIRECTORY);
    if (probe < 0) {
        err_sys(e, errno, "workspace %s: openat2, which keeps tools inside it", workspace);
        e->code = ERR_REFUSED;
        close(root);
        return NULL;
    }
    close(probe);
    struct fs_broker *b = mem_new(sizeof *b);
    b->root = root;
    return b;
}

void fs_broker_close(fs_broker *b)
{
    if (!b) return;
    close(b->root);
    free(b);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

// Argument i as a clean relative path in out; an absent optional one is ".".
static int take_path(const json_t *args, size_t i, bool optional, char out[PATH_BYTES_MAX],
                     err *why)
{
    const json_t *arg = json_array_get(args, i);
    const char *s = json_string_value(arg);
    if (!s && optional && (!arg || json_is_null(arg))) s = ".";
    if (!s) return err_set(why, ERR_INPUT, "expected a path (a string)");
    if (json_is_string(arg) && json_string_length(arg) != strlen(s))
        return err_set(why, ERR_INPUT, "the path has a control character at byte %zu",
                       strlen(s) + 1);
    while (is_space(*s)) s++;
    size_t n = strlen(s);
    while (n && is_space(s[n - 1])) n--;
    if (n == 0 && optional) s = ".", n = 1;
    if (n == 0) return err_set(why, ERR_INPUT, "the path is empty");
    if (n >= PATH_BYTES_MAX)
        return err_set(why, ERR_INPUT, "a path of %zu bytes, at most %d", n, PATH_BYTES_MAX - 1);
    for (size_t k = 0; k < n; k++)
        if ((unsigned char)s[k] < 0x20 || s[k] == 0x7f)
            return err_set(why, ERR_INPUT, "the path has a control character at byte %zu", k + 1);
    memcpy(out, s, n);
    out[n] = 0;
    if (out[0] == '/')
        return err_set(why, ERR_INPUT, "%s: paths are relative to the workspace, as in \"%s\"", out,
                       out + strspn(out, "/"));
    return 0;
}

// --- names in a folder

struct names {
    char **p;
    size_t n;
    bool more; // there were more than NAMES_MAX
};

static int name_order(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_shown(const char *name)
{
    size_t n = strlen(name);
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) return false;
    if (strncmp(name, temp_prefix, sizeof temp_prefix - 1) == 0) return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f) return false;
    return utf8_valid_prefix(name, n) == n; // a name we could not say is not shown
}

// Takes dir_fd over. Sorted.
static struct names names_read(int dir_fd)
{
    struct names all = {NULL, 0, false};
    DIR *d = fdopendir(dir_fd);
    if (!d) {
        close(dir_fd);
        return all;
    }
    for (struct dirent *entry; (entry = readdir(d)) != NULL;) {
        if (!is_shown(entry->d_name)) continue;
        if (all.n == NAMES_MAX) {
            all.more = true;
            break;
        }
        if (all.n % 64 == 0) all.p = mem_grow(all.p, (all.n + 64) * sizeof *all.p);
        all.p[all.n++] = mem_str(entry->d_name);
    }
    closedir(d);
    if (all.n) qsort(all.p, all.n, sizeof *all.p, name_order);
    return all;
}

static void names_free(struct names *all)
{
    for (size_t i = 0; i < all->n; i++) free(all->p[i]);
    free(all->p);
}

// --- errors that help

// Edits (insert, delete, replace) between two names, ASCII case ignored; names over 60 bytes are
// far.
static int name_distance(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b);
    int row[64];
    if (na > 60 || nb > 60) return 99;
    for (size_t j = 0; j <= nb; j++) row[j] = (int)j;
    for (size_t i = 1; i <= na; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= nb; j++) {
            int same = diagonal + (strncasecmp(&a[i - 1], &b[j - 1], 1) != 0);
            diagonal = row[j];
            int best = row[j] + 1 < row[j - 1] + 1 ? row[j] + 1 : row[j - 1] + 1;
            row[j] = same < best ? same : best;
        }
    }
    return row[nb];
}

// Appends "; did you mean x?" or "; files here: a, b" to an error about a missing file.
static void add_hint(const fs_broker *b, const char *path, err *why)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    int n_dir = slash ? (int)(slash - path) : 0;
    char dir[PATH_BYTES_MAX];
    snprintf(dir, sizeof dir, "%.*s", n_dir, path);
    int fd = open_beneath(b->root, n_dir ? dir : ".", O_RDONLY | O_DIRECTORY);
    if (fd < 0) return;
    struct names all = names_read(fd);
    const char *near = NULL;
    int best = 3 + (int)strlen(base) / 8;
    for (size_t i = 0; i < all.n; i++) {
        int d = name_distance(base, all.p[i]);
        if (d >= best || d * 2 > (int)strlen(base)) continue;
        best = d;
        near = all.p[i];
    }
    buf hint = buf_new(700);
    const char *join = n_dir ? "/" : "";
    if (near) {
        buf_printf(&hint, "; did you mean %s%s%s?", dir, join, near);
    } else if (all.n) {
        buf_printf(&hint, "; files %s%s: ", n_dir ? "in " : "here", dir);
        for (size_t i = 0; i < all.n && i < HINT_NAMES && hint.n < 500; i++)
            buf_printf(&hint, "%s%.100s", i ? ", " : "", all.p[i]);
        if (all.n > HINT_NAMES) buf_str(&hint, ", ...");
    }
    size_t used = strlen(why->msg);
    snprintf(why->msg + used, sizeof why->msg - used, "%s", buf_text(&hint));
    buf_free(&hint);
    names_free(&all);
}

static int path_error(const fs_broker *b, const char *path, int errno_value, const char *kind,
                      err *why)
{
    static const struct {
        int value;
        const char *words;
    } rows[] = {
        {EXDEV, "is outside the workspace"},
        {ELOOP, "is a symbolic link or lies behind one; links are not followed"},
        {ENOTDIR, "a part of the path is a file, not a folder"},
        {EISDIR, "is a folder, not a file"},
        {EACCES, "permission denied"},
        {EPERM, "permission denied"},
        {ENAMETOOLONG, "a name in the path is too long"},
        {ENXIO, "is not a regular file"},
        {ENOSPC, "no space left on the disk"},
        {EROFS, "the disk is read-only"},
    };
    if (errno_value == ENOENT) {
        err_set(why, ERR_INPUT, "%s: no such %s", path, kind);
        add_hint(b, path, why);
        return -1;
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].value == errno_value)
            return err_set(why, ERR_INPUT, "%s: %s", path, rows[i].words);
    return err_sys(why, errno_value, "%s", path);
}

static const char *type_name(mode_t mode)
{
    if (S_ISREG(mode)) return "file";
    if (S_ISDIR(mode)) return "folder";
    return S_ISLNK(mode) ? "link" : "other";
}

// --- read

// The text of an open regular file of at most `max` bytes; the caller frees. Closes fd.
static char *text_of(int fd, const char *path, size_t max, size_t *n, err *why)
{
    struct stat st;
    char *text = NULL;
    if (fstat(fd, &st) < 0) {
        err_sys(why, errno, "%s", path);
    } else if (!S_ISREG(st.st_mode)) {
        err_set(why, ERR_INPUT, "%s: is %s, not a file", path,
                S_ISDIR(st.st_mode) ? "a folder" : "a special file");
    } else if ((uint64_t)st.st_size > max) {
        err_set(why, ERR_INPUT, "%s: %lld KB, at most %zu KB can be read", path,
                (long long)st.st_size / 1024, max / 1024);
    } else {
        // The file may change meanwhile: what counts is what read gives, up to the size just seen.
        size_t got = 0, size = (size_t)st.st_size;
        ssize_t k = 1;
        text = mem_new(size + 1);
        while (got < size && (k = read(fd, text + got, size - got)) > 0) got += (size_t)k;
        text[got] = 0;
        *n = got;
        if (k < 0) {
            err_sys(why, errno, "%s: read", path);
            free(text);
            text = NULL;
        }
    }
    close(fd);
    return text;
}

json_t *fs_read(fs_broker *b, struct fs_use *use, const json_t *args, err *why)
{
    (void)use;
    char path[PATH_BYTES_MAX];
    if (take_path(args, 0, false, path, why) < 0) return NULL;
    int fd = open_beneath(b->root, path, O_RDONLY);
    if (fd < 0) {
        path_error(b, path, errno, "file", why);
        return NULL;
    }
    size_t n, valid;
    char *text = text_of(fd, path, FS_READ_MAX, &n, why);
    if (!text) return NULL;
    json_t *value = NULL;
    valid = strlen(text);
    if (valid == n) valid = utf8_valid_prefix(text, n);
    if (valid == n)
        value = json_stringn(text, n);
    else
        err_set(why, ERR_INPUT, "%s: is not a text file (byte %zu is not UTF-8 text)", path,
                valid + 1);
    free(text);
    return value;
}

// --- write

// Opens the folder that will hold path, making what is missing, and sets *base to the last name.
static int open_parent(const fs_broker *b, char *path, char **base, err *why)
{
    int dir = open_beneath(b->root, ".", O_RDONLY | O_DIRECTORY);
    char *name = path;
    for (char *slash; dir >= 0 && (slash = strchr(name, '/')) != NULL; name = slash + 1) {
        *slash = 0;
        int next = dir;
        if (*name && strcmp(name, ".") != 0) {
            next = open_beneath(dir, name, O_RDONLY | O_DIRECTORY);
            if (next < 0 && errno == ENOENT && (mkdirat(dir, name, 0755) == 0 || errno == EEXIST))
                next = open_beneath(dir, name, O_RDONLY | O_DIRECTORY);
            int saved = errno;
            close(dir);
            errno = saved;
        }
        *slash = '/';
        dir = next;
    }
    if (dir < 0) return path_error(b, path, errno, "folder", why);
    *base = name;
    return dir;
}

// What is there now may be replaced: nothing, or a regular file with this one name. *mode is what
// the new file gets.
static int check_target(int dir, const char *base, const char *path, mode_t *mode, err *why)
{
    struct stat st;
    *mode = 0644;
    if (!*base || strcmp(base, ".") == 0 || strcmp(base, "..") == 0)
        return err_set(why, ERR_INPUT, "%s: the path names a folder, not a file", path);
    if (strncmp(base, temp_prefix, sizeof temp_prefix - 1) == 0)
        return err_set(why, ERR_INPUT, "%s: names that begin with %s are kept for Hearth", path,
                       temp_prefix);
    if (fstatat(dir, base, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno == ENOENT) return 0;
        return err_sys(why, errno, "%s", path);
    }
    if (!S_ISREG(st.st_mode))
        return err_set(why, ERR_INPUT, "%s: is not a regular file but of type %s", path,
                       type_name(st.st_mode));
    if (st.st_nlink != 1)
        return err_set(why, ERR_INPUT,
                       "%s: the same file has another name (a hard link); it is not written", path);
    *mode = st.st_mode & 0777;
    return 0;
}

static int write_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t k = write(fd, p, n);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return -1;
        p += k;
        n -= (size_t)k;
    }
    return fsync(fd);
}

static int replace_in(int dir, const char *base, mode_t mode, const char *text, size_t n)
{
    static _Atomic uint64_t counter;
    struct rng r = rng_seed((uint64_t)clock_us() ^ (uint64_t)getpid() << 40 ^ counter++ << 20);
    char temp[64];
    snprintf(temp, sizeof temp, "%s%016llx", temp_prefix, (unsigned long long)rng_u64(&r));
    int fd = openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return -1;
    int rc = write_all(fd, text, n);
    if (rc == 0) rc = fchmod(fd, mode);
    int saved = errno;
    if (close(fd) < 0 && rc == 0) rc = -1, saved = errno;
    errno = saved;
    if (rc == 0) rc = renameat(dir, temp, dir, base);
    if (rc == 0) rc = fsync(dir);
    if (rc == 0) return 0;
    saved = errno;
    unlinkat(dir, temp, 0);
    errno = saved;
    return -1;
}

json_t *fs_write(fs_broker *b, struct fs_use *use, const json_t *args, err *why)
{
    char path[PATH_BYTES_MAX], *base = NULL;
    if (take_path(args, 0, false, path, why) < 0) return NULL;
    const json_t *text = json_array_get(args, 1);
    if (!json_is_string(text)) {
        err_set(why, ERR_INPUT, "%s: expected the text to write (a string)", path);
        return NULL;
    }
    size_t n = json_string_length(text);
    if (n > FS_WRITTEN_MAX - use->bytes_written || use->files_written == FS_FILES_WRITTEN_MAX) {
        err_set(why, ERR_BUDGET, "%s: one call may write %d MB and %d files", path,
                FS_WRITTEN_MAX >> 20, FS_FILES_WRITTEN_MAX);
        return NULL;
    }
    int dir = open_parent(b, path, &base, why);
    if (dir < 0) return NULL;
    mode_t mode;
    int rc = check_target(dir, base, path, &mode, why);
    if (rc == 0 && (rc = replace_in(dir, base, mode, json_string_value(text), n)) < 0)
        path_error(b, path, errno, "file", why);
    close(dir);
    if (rc < 0) return NULL;
    use->bytes_written += n;
    use->files_written++;
    return json_integer((json_int_t)n);
}

// --- list and stat

json_t *fs_list(fs_broker *b, struct fs_use *use, const json_t *args, err *why)
{
    (void)use;
    char path[PATH_BYTES_MAX];
    if (take_path(args, 0, true, path, why) < 0) return NULL;
    int fd = open_beneath(b->root, path, O_RDONLY | O_DIRECTORY);
    if (fd < 0) {
        if (errno == ENOTDIR)
            err_set(why, ERR_INPUT, "%s: is a file, not a folder", path);
        else
            path_error(b, path, errno, "folder", why);
        return NULL;
    }
    int stay = dup(fd);
    struct names all = names_read(fd);
    json_t *entries = json_array();
    for (size_t i = 0; i < all.n && i < FS_LIST_MAX; i++) {
        struct stat st;
        if (fstatat(stay, all.p[i], &st, AT_SYMLINK_NOFOLLOW) < 0) continue; // gone meanwhile
        json_array_append_new(entries,
                              json_pack("{s:s,s:s,s:I}", "name", all.p[i], "type",
                                        type_name(st.st_mode), "size", (json_int_t)st.st_size));
    }
    bool more = all.more || all.n > FS_LIST_MAX;
    close(stay);
    names_free(&all);
    return json_pack("{s:o,s:b}", "entries", entries, "more", more);
}

json_t *fs_stat(fs_broker *b, struct fs_use *use, const json_t *args, err *why)
{
    (void)use;
    char path[PATH_BYTES_MAX];
    struct stat st;
    if (take_path(args, 0, false, path, why) < 0) return NULL;
    int fd = open_beneath(b->root, path, O_PATH);
    if (fd < 0 || fstat(fd, &st) < 0) {
        path_error(b, path, errno, "file", why);
        if (fd >= 0) close(fd);
        return NULL;
    }
    close(fd);
    return json_pack("{s:s,s:I}", "type", type_name(st.st_mode), "size", (json_int_t)st.st_size);
}

// --- search

struct search {
    const char *query;
    size_t n_query;
    json_t *matches;
    int n_file;
    size_t bytes;
    bool more;
};

static bool search_full(struct search *s)
{
    if (json_array_size(s->matches) < FS_SEARCH_MATCHES_MAX && s->n_file < SEARCH_FILES_MAX &&
        s->bytes < FS_SEARCH_BYTES_MAX)
        return false;
    s->more = true;
    return true;
}

static bool line_has(const char *line, size_t n, const struct search *s)
{
    for (size_t i = 0; i + s->n_query <= n; i++)
        if (strncasecmp(line + i, s->query, s->n_query) == 0) return true;
    return false;
}

static void search_text(struct search *s, const char *path, const char *text, size_t n)
{
    json_int_t number = 1;
    for (const char *line = text, *end = text + n; line < end; number++) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        size_t length = (size_t)((stop ? stop : end) - line);
        if (line_has(line, length, s)) {
            if (search_full(s)) return;
            size_t show = length > LINE_SHOWN_MAX ? LINE_SHOWN_MAX : length;
            show = utf8_valid_prefix(line, show);
            if (show && line[show - 1] == '\r') show--;
            json_array_append_new(s->matches, json_pack("{s:s,s:I,s:s%}", "path", path, "line",
                                                        number, "text", line, show));
        }
        line += length + 1;
    }
}

static void search_file(struct search *s, int fd, const char *path)
{
    err ignored;
    size_t n;
    s->n_file++;
    char *text = text_of(fd, path, FS_READ_MAX, &n, &ignored);
    if (!text) return; // too large or special: search looks at text files only
    s->bytes += n;
    if (strlen(text) == n && utf8_valid_prefix(text, n) == n) search_text(s, path, text, n);
    free(text);
}

static void search_folder(struct search *s, int dir, const char *path, int depth)
{
    int again = dup(dir);
    if (again < 0) return;
    struct names all = names_read(again);
    for (size_t i = 0; i < all.n && !search_full(s); i++) {
        struct stat st;
        if (fstatat(dir, all.p[i], &st, AT_SYMLINK_NOFOLLOW) < 0) continue;
        if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) continue;
        int fd = open_beneath(dir, all.p[i], O_RDONLY);
        if (fd < 0) continue;
        char *inner = *path ? mem_printf("%s/%s", path, all.p[i]) : mem_str(all.p[i]);
        if (S_ISDIR(st.st_mode)) {
            if (depth < SEARCH_DEPTH_MAX) search_folder(s, fd, inner, depth + 1);
            close(fd);
        } else {
            search_file(s, fd, inner);
        }
        free(inner);
    }
    names_free(&all);
}

json_t *fs_search(fs_broker *b, struct fs_use *use, const json_t *args, err *why)
{
    (void)use;
    char path[PATH_BYTES_MAX];
    struct search s = {.query = json_string_value(json_array_get(args, 0))};
    if (!s.query || !*s.query) {
        err_set(why, ERR_INPUT, "expected the text to search for");
        return NULL;
    }
    s.n_query = strlen(s.query);
    if (take_path(args, 1, true, path, why) < 0) return NULL;
    int fd = open_beneath(b->root, path, O_RDONLY);
    if (fd < 0) {
        path_error(b, path, errno, "file or folder", why);
        return NULL;
    }
    struct stat st;
    s.matches = json_array();
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        search_folder(&s, fd, strcmp(path, ".") == 0 ? "" : path, 0);
        close(fd);
    } else {
        search_file(&s, fd, path);
    }
    return json_pack("{s:o,s:b}", "matches", s.matches, "more", s.more);
}
