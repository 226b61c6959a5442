// An NVIDIA driver in name, for test_no_gpu: it has the version FAKE_DRIVER_VERSION, and starting
// it fails with FAKE_DRIVER_RC.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int number(const char *name)
{
    const char *text = getenv(name);
    return text ? atoi(text) : 0;
}

int cuInit(unsigned flags);
int cuDriverGetVersion(int *version);
int cuGetProcAddress_v2(const char *name, void **to, int version, uint64_t flags, int *status);
int cuGetProcAddress(const char *name, void **to, int version, uint64_t flags);

int cuInit(unsigned flags)
{
    (void)flags;
    return number("FAKE_DRIVER_RC");
}

int cuDriverGetVersion(int *version)
{
    *version = number("FAKE_DRIVER_VERSION");
    return 0;
}

static int anything_else(void)
{
    return number("FAKE_DRIVER_RC");
}

int cuGetProcAddress_v2(const char *name, void **to, int version, uint64_t flags, int *status)
{
    (void)version, (void)flags;
    if (status) *status = 0;
    *to = !strcmp(name, "cuInit")               ? (void *)cuInit
          : !strcmp(name, "cuDriverGetVersion") ? (void *)cuDriverGetVersion
          : !strcmp(name, "cuGetProcAddress")   ? (void *)cuGetProcAddress_v2
                                                : (void *)anything_else;
    return 0;
}

int cuGetProcAddress(const char *name, void **to, int version, uint64_t flags)
{
    return cuGetProcAddress_v2(name, to, version, flags, NULL);
}
