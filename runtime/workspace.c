#include "workspace.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct quota {
    size_t bytes, entries;
};

static int copy_folder(const char *from, const char *to, int depth, struct quota *left, err *e);

static int copy_entry(const char *from, const char *to, int depth, struct quota *left, err *e)
{
    struct stat st;
    if (left->entries-- == 0) return err_set(e, ERR_INPUT, "%s: more than 10000 entries", from);
    if (lstat(from, &st) < 0) return err_sys(e, errno, "%s", from);
    if (S_ISDIR(st.st_mode)) {
        if (mkdir(to, 0700) < 0) return err_sys(e, errno, "%s", to);
        return copy_folder(from, to, depth + 1, left, e);
    }
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_INPUT, "%s: expected files and folders only, found a %s", from,
                       S_ISLNK(st.st_mode) ? "symbolic link" : "special file");
    size_t n;
    char *bytes = file_read(from, left->bytes, &n, e);
    if (!bytes) return -1;
    left->bytes -= n;
    int rc = file_replace(to, bytes, n, e);
    free(bytes);
    return rc;
}

static int copy_folder(const char *from, const char *to, int depth, struct quota *left, err *e)
{
    if (depth > 32) return err_set(e, ERR_INPUT, "%s: nested more than 32 deep", from);
    DIR *d = opendir(from);
    if (!d) {
        err_sys(e, errno, "workspace %s", from);
        e->code = ERR_INPUT;
        return -1;
    }
    int rc = 0;
    for (struct dirent *f; rc == 0 && (f = readdir(d));) {
        if (strcmp(f->d_name, ".") == 0 || strcmp(f->d_name, "..") == 0) continue;
        char *source = path_join(from, f->d_name), *target = path_join(to, f->d_name);
        rc = copy_entry(source, target, depth, left, e);
        free(source);
        free(target);
    }
    closedir(d);
    return rc;
}

char *workspace_copy(const char *from, const char *parent, err *e)
{
    // A copy into itself would have no end.
    char *real = realpath(from, NULL);
    size_t n_real = real ? strlen(real) : 0;
    bool within = real && strncmp(parent, real, n_real) == 0 &&
                  (parent[n_real] == '/' || !parent[n_real] || n_real == 1);
    free(real);
    if (!*from || within) {
        err_set(e, ERR_INPUT, "workspace %s: expected a folder that does not hold the store (%s)",
                *from ? from : "\"\"", parent);
        return NULL;
    }
    char *base = mem_str(from);
    size_t n = strlen(base);
    while (n > 1 && base[n - 1] == '/') base[--n] = 0;
    const char *name = strrchr(base, '/') ? strrchr(base, '/') + 1 : base;
    char *to = mem_printf("%s/%s-%lld-XXXXXX", parent, *name && *name != '.' ? name : "workspace",
                          (long long)(clock_wall_us() / 1000000));
    free(base);
    if (!mkdtemp(to)) {
        err_sys(e, errno, "%s", to);
        free(to);
        return NULL;
    }
    struct quota left = {.bytes = (size_t)64 << 20, .entries = 10000};
    if (copy_folder(from, to, 0, &left, e) == 0) return to;
    file_remove_tree(to);
    free(to);
    return NULL;
}
