#include "paths.h"

#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The folder of the running executable; NULL when /proc does not tell.
static char *exe_dir(void)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n <= 0) return NULL;
    path[n] = 0;
    char *slash = strrchr(path, '/');
    if (slash) *slash = 0;
    return mem_str(path);
}

// The first of the places (relative to the executable) that is a folder.
static char *find_part(const char *what, const char *const *places, err *e)
{
    char *dir = exe_dir();
    if (!dir) {
        err_set(e, ERR_SYSTEM, "cannot find the running executable through /proc/self/exe");
        return NULL;
    }
    for (; *places; places++) {
        char *path = mem_printf("%s/%s", dir, *places);
        if (file_is_dir(path)) {
            free(dir);
            char *real = realpath(path, NULL);
            if (!real) return path;
            free(path);
            return real;
        }
        free(path);
    }
    err_set(e, ERR_INPUT, "%s: not found near %s (neither a build tree nor an install)", what, dir);
    free(dir);
    return NULL;
}

char *paths_model(const char *given, err *e)
{
    static const char *const places[] = {"../share/hearth/model", "../../engine/builtin-model",
                                         NULL};
    if (!given) given = getenv("HEARTH_MODEL");
    if (!given || !*given) return find_part("the built-in model", places, e);
    if (file_is_dir(given)) return mem_str(given);
    err_set(e, ERR_INPUT,
            "model %s: not a folder; expected a Hugging Face model directory with config.json",
            given);
    return NULL;
}

char *paths_scripts(err *e)
{
    static const char *const places[] = {"../share/hearth/scripts-lua", "../../scripts-lua", NULL};
    return find_part("scripts-lua", places, e);
}

char *paths_store(const char *given, err *e)
{
    const char *env = getenv("HEARTH_STORE"), *data = getenv("XDG_DATA_HOME"),
               *home = getenv("HOME");
    if (given && *given) return mem_str(given);
    if (env && *env) return mem_str(env);
    if (data && *data) return mem_printf("%s/hearth/hearth.db", data);
    if (home && *home) return mem_printf("%s/.local/share/hearth/hearth.db", home);
    err_set(
        e, ERR_USAGE,
        "no place for the store: neither --store, HEARTH_STORE, XDG_DATA_HOME nor HOME is given");
    return NULL;
}

char *paths_workspaces(const char *store, err *e)
{
    char *real = NULL, *dir = mem_str(store), *slash = strrchr(dir, '/');
    if (slash) *slash = 0;
    char *path = mem_printf("%s/workspaces", slash ? dir : ".");
    if (file_mkdirs(path, e) == 0 && !(real = realpath(path, NULL))) err_sys(e, errno, "%s", path);
    free(dir);
    free(path);
    return real;
}
