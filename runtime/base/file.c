#include "base/file.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *file_read(const char *path, size_t max_bytes, size_t *n, err *e)
{
    char *bytes = NULL;
    // O_NONBLOCK: opening a FIFO by mistake must not hang before fstat can refuse it.
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        err_sys(e, errno, "%s", path);
        e->code = ERR_INPUT;
        return NULL;
    }
    struct stat st;
    if (fstat(fd, &st) < 0) {
        err_sys(e, errno, "%s", path);
        goto fail;
    }
    if (!S_ISREG(st.st_mode)) {
        err_set(e, ERR_INPUT, "%s: expected a regular file, found %s", path,
                S_ISDIR(st.st_mode) ? "a directory" : "a special file");
        goto fail;
    }
    if ((unsigned long long)st.st_size > max_bytes) {
        err_set(e, ERR_INPUT, "%s: %lld bytes, at most %zu are read", path, (long long)st.st_size,
                max_bytes);
        goto fail;
    }
    size_t size = (size_t)st.st_size, got = 0;
    bytes = mem_try(size + 1);
    if (!bytes) {
        err_set(e, ERR_SYSTEM, "%s: no memory for %zu bytes", path, size);
        goto fail;
    }
    while (got < size) {
        ssize_t k = read(fd, bytes + got, size - got);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) {
            err_sys(e, errno, "%s: read", path);
            goto fail;
        }
        if (k == 0) break;
        got += (size_t)k;
    }
    close(fd);
    bytes[got] = 0;
    *n = got;
    return bytes;
fail:
    free(bytes);
    close(fd);
    return NULL;
}

int file_replace(const char *path, const void *bytes, size_t n, err *e)
{
    char *tmp = mem_printf("%s.tmp.%d", path, (int)getpid());
    int rc = -1, fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) {
        err_sys(e, errno, "%s", tmp);
        goto out;
    }
    for (size_t done = 0; done < n;) {
        ssize_t k = write(fd, (const char *)bytes + done, n - done);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) {
            err_sys(e, errno, "%s: write", path);
            goto out;
        }
        done += (size_t)k;
    }
    if (fsync(fd) < 0 || close(fd) < 0) {
        fd = -1;
        err_sys(e, errno, "%s: sync", path);
        goto out;
    }
    fd = -1;
    if (rename(tmp, path) < 0) {
        err_sys(e, errno, "%s: rename", path);
        goto out;
    }
    rc = 0;
out:
    if (fd >= 0) close(fd);
    if (rc < 0) unlink(tmp);
    free(tmp);
    return rc;
}

int file_mkdirs(const char *path, err *e)
{
    char *copy = mem_str(path);
    int rc = 0;
    for (char *p = copy + 1; rc == 0; p++) {
        if (*p && *p != '/') continue;
        char saved = *p;
        *p = 0;
        if (mkdir(copy, 0700) < 0 && errno != EEXIST) rc = err_sys(e, errno, "%s: mkdir", copy);
        *p = saved;
        if (!saved) break;
    }
    if (rc == 0 && !file_is_dir(path)) rc = err_set(e, ERR_INPUT, "%s: not a directory", path);
    free(copy);
    return rc;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

void file_remove_tree(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool file_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

char *path_join(const char *dir, const char *name)
{
    size_t n = strlen(dir);
    return mem_printf("%s%s%s", dir, n && dir[n - 1] == '/' ? "" : "/", name);
}
