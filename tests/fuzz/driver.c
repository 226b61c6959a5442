// A fuzzer that needs no compiler support: it mutates seeds at random and hands them to the same
// entry point that libFuzzer calls, under the sanitizers of the debug build. It has no coverage
// feedback; it is there so that every test run throws some tens of thousands of broken inputs at
// every parser. The input in hand always lies in fuzz-NAME.input, so a crash leaves it behind.
//
// usage: fuzz_NAME SEED_DIR [FILE...]     with FILEs: runs just those
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { INPUT_MAX = 1 << 16, SEEDS_MAX = 4096 };

static struct {
    uint8_t *p;
    size_t n;
} seeds[SEEDS_MAX];
static size_t n_seed;

static void seed_add(const char *path)
{
    err e;
    size_t n;
    char *bytes = file_read(path, INPUT_MAX, &n, &e);
    if (!bytes || n_seed == SEEDS_MAX) {
        free(bytes);
        return;
    }
    seeds[n_seed].p = (uint8_t *)bytes;
    seeds[n_seed++].n = n;
}

static void seeds_read(const char *dir)
{
    DIR *d = opendir(dir);
    if (!d) {
        fprintf(stderr, "%s: no such folder of seeds\n", dir);
        exit(1);
    }
    for (struct dirent *f; (f = readdir(d));) {
        if (f->d_name[0] == '.') continue;
        char *path = path_join(dir, f->d_name);
        seed_add(path);
        free(path);
    }
    closedir(d);
}

// One random change of the n bytes at p (room for INPUT_MAX); returns the new length.
static size_t mutate(rng *r, uint8_t *p, size_t n)
{
    static const uint8_t telling[] = {0,   1,   0x7f, 0x80, 0xff, '"', '{', '}',
                                      '[', ']', '\\', ',',  ':',  '%', '\n'};
    size_t at = n ? rng_below(r, n) : 0;
    size_t run = 1 + rng_below(r, 16);
    switch (rng_below(r, 8)) {
    case 0:
        if (n) p[at] ^= (uint8_t)(1u << rng_below(r, 8));
        return n;
    case 1:
        if (n) p[at] = telling[rng_below(r, sizeof telling)];
        return n;
    case 2:
        if (n) p[at] = (uint8_t)rng_u64(r);
        return n;
    case 3: // delete a run
        if (run > n - at) run = n - at;
        memmove(p + at, p + at + run, n - at - run);
        return n - run;
    case 4: // insert random bytes
        if (n + run > INPUT_MAX) return n;
        memmove(p + at + run, p + at, n - at);
        for (size_t i = 0; i < run; i++) p[at + i] = telling[rng_below(r, sizeof telling)];
        return n + run;
    case 5: { // repeat a piece of itself
        size_t from = n ? rng_below(r, n) : 0, len = n - from < 256 ? n - from : 256;
        if (n + len > INPUT_MAX) return n;
        uint8_t piece[256];
        memcpy(piece, p + from, len);
        memmove(p + at + len, p + at, n - at);
        memcpy(p + at, piece, len);
        return n + len;
    }
    case 6: // cut off
        return at;
    default: { // splice with another seed
        size_t other = rng_below(r, n_seed), len = seeds[other].n;
        size_t from = len ? rng_below(r, len) : 0;
        len -= from;
        if (at + len > INPUT_MAX) len = INPUT_MAX - at;
        memcpy(p + at, seeds[other].p + from, len);
        return at + len;
    }
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s SEED_DIR [FILE...]\n", argv[0]);
        return 2;
    }
    for (int i = 2; i < argc; i++) seed_add(argv[i]);
    if (argc == 2) seeds_read(argv[1]);
    if (n_seed == 0) {
        fprintf(stderr, "%s: no seeds\n", argv[1]);
        return 1;
    }
    for (size_t i = 0; i < n_seed; i++) LLVMFuzzerTestOneInput(seeds[i].p, seeds[i].n);
    if (argc > 2) return 0;

    const char *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
    char *keep = mem_printf("%s.input", name);
    int fd = open(keep, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, INPUT_MAX) < 0) {
        perror(keep);
        return 1;
    }
    uint8_t *kept = mmap(NULL, INPUT_MAX, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (kept == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    const char *seconds = getenv("HEARTH_FUZZ_SECONDS"), *seed = getenv("HEARTH_FUZZ_SEED");
    rng r = rng_seed(seed ? strtoull(seed, NULL, 10) : (uint64_t)clock_wall_us());
    printf("%s: seed %llu\n", name, (unsigned long long)r.state);
    int64_t end = clock_us() + (seconds ? atoll(seconds) : 3) * 1000000;
    long runs = 0;
    uint8_t *input = mem_new(INPUT_MAX);
    while (clock_us() < end) {
        size_t s = rng_below(&r, n_seed), n = seeds[s].n;
        memcpy(input, seeds[s].p, n);
        for (uint64_t k = 1 + rng_below(&r, 6); k; k--) n = mutate(&r, input, n);
        memcpy(kept, input, n);
        // An exact-size copy, so that reading one byte too far is seen.
        uint8_t *exact = mem_grow(NULL, n);
        memcpy(exact, input, n);
        LLVMFuzzerTestOneInput(exact, n);
        free(exact);
        runs++;
    }
    printf("%s: %ld inputs from %zu seeds, no finding\n", name, runs, n_seed);
    for (size_t i = 0; i < n_seed; i++) free(seeds[i].p);
    free(input);
    munmap(kept, INPUT_MAX);
    close(fd);
    unlink(keep);
    free(keep);
    return 0;
}
