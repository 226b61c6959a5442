// What GPUs this machine has and how fast they read their memory: for `hearth doctor`, and the roof
// that decode speed is compared with. Built only with CUDA; without it kernels/kernels.h's table
// has the CPU alone.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cuda_device {
    char name[128];
    int major, minor; // compute capability
    int n_sm;
    int integrated;   // shares the host's memory: budget from MemAvailable, not from free_bytes
    int code_present; // this build holds machine code for it
    uint64_t total_bytes, free_bytes;
    double read_gb_s; // measured: the best of several passes over a buffer much larger than the L2;
                      // 0 when it failed
};

// Texts for people, of what the runtime said (rc, a cudaError_t): what is wrong, and what to do.
void cuda_why_none(int rc, char *out, size_t n); // no device can be asked
void cuda_why_no_code(const char *name, int major, int minor, char *out, size_t n);
void cuda_why_failed(int rc, const char *where, char *out, size_t n); // at work

// Fills at most `max` devices and returns how many there are; -1 with a text in `why` (of n bytes)
// when the driver or a device does not answer.
int cuda_probe(struct cuda_device *out, int max, char *why, size_t n);

// Whether there is a GPU that could be asked: quick, and it opens nothing.
int cuda_is_here(void);

#ifdef __cplusplus
}
#endif
