// The read roof of a GPU: every thread XORs 16-byte words of a buffer several times the size of the
// L2 cache and writes one word only when the sum is a value it cannot be, so that nothing but reads
// counts. Bound by bytes; on GB10 273 GB/s are on paper and 231 to 234 have been measured by such
// kernels, on an H200 4.8 TB/s on paper.
#include "kernels/cuda_probe.h"

#include <cstdio>
#include <cuda_runtime.h>
#include <unistd.h>

enum { THREADS = 256, UNROLL = 8, PASSES = 8 };

__global__ void read_all_kernel(const uint4 *__restrict__ p, size_t n, unsigned *out)
{
    size_t stride = (size_t)gridDim.x * blockDim.x;
    unsigned sum = 0;
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    // UNROLL independent loads in flight per thread: latency times bandwidth is what must be
    // covered.
    for (; i + (UNROLL - 1) * stride < n; i += UNROLL * stride) {
        uint4 v[UNROLL];
#pragma unroll
        for (int k = 0; k < UNROLL; k++) v[k] = __ldcs(p + i + k * stride);
#pragma unroll
        for (int k = 0; k < UNROLL; k++) sum ^= v[k].x ^ v[k].y ^ v[k].z ^ v[k].w;
    }
    for (; i < n; i += stride) sum ^= p[i].x ^ p[i].y ^ p[i].z ^ p[i].w;
    if (sum == 0x9e3779b9u) *out = sum; // the buffer is zeros: never
}

// Best GB/s of several passes; 0 on any failure.
static double measure_read(int n_sm, uint64_t free_bytes)
{
    size_t bytes = (size_t)2 << 30;
    while (bytes > free_bytes / 4 && bytes > ((size_t)64 << 20)) bytes /= 2;
    uint4 *buffer = nullptr;
    unsigned *out = nullptr;
    cudaEvent_t start = nullptr, end = nullptr;
    double best = 0;
    if (cudaMalloc(&buffer, bytes) == cudaSuccess && cudaMalloc(&out, sizeof *out) == cudaSuccess &&
        cudaMemset(buffer, 0, bytes) == cudaSuccess && cudaEventCreate(&start) == cudaSuccess &&
        cudaEventCreate(&end) == cudaSuccess) {
        for (int pass = 0; pass <= PASSES; pass++) {
            float ms = 0;
            cudaEventRecord(start);
            read_all_kernel<<<n_sm * 8, THREADS>>>(buffer, bytes / sizeof(uint4), out);
            cudaEventRecord(end);
            if (cudaEventSynchronize(end) != cudaSuccess || cudaGetLastError() != cudaSuccess ||
                cudaEventElapsedTime(&ms, start, end) != cudaSuccess) {
                best = 0;
                break;
            }
            double gb_s = (double)bytes / 1e6 / ms;
            if (pass > 0 && gb_s > best) best = gb_s; // the first pass warms up
        }
    }
    if (start) cudaEventDestroy(start);
    if (end) cudaEventDestroy(end);
    cudaFree(out);
    cudaFree(buffer);
    return best;
}

extern "C" void cuda_why_none(int rc, char *out, size_t n)
{
    int driver = 0, runtime = 0;
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime);
    const char *what;
    if (rc == cudaErrorInsufficientDriver && !driver) {
        snprintf(out, n, "no NVIDIA driver: install one for CUDA %d.%d or later", runtime / 1000,
                 runtime % 1000 / 10);
        return;
    }
    if (rc == cudaErrorInsufficientDriver) {
        snprintf(out, n,
                 "the NVIDIA driver supports CUDA %d.%d, this build needs %d.%d: update the driver",
                 driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
        return;
    }
    if (rc == cudaErrorNoDevice || rc == cudaSuccess) {
        snprintf(out, n, "this machine has no NVIDIA GPU, or CUDA_VISIBLE_DEVICES hides it");
        return;
    }
    switch (rc) {
    case cudaErrorSystemDriverMismatch:
    case cudaErrorCompatNotSupportedOnDevice:
        what =
            "the driver's parts have different versions: restart the machine, as after an update";
        break;
    case cudaErrorSystemNotReady:
        what = "a service that the GPU needs does not run: nvidia-smi tells more, and with several "
               "GPUs nvidia-fabricmanager must run";
        break;
    case cudaErrorDevicesUnavailable:
        what = "another process has the GPU for itself: wait for it, or end it";
        break;
    case cudaErrorInitializationError:
    case cudaErrorUnknown:
        what =
            "the NVIDIA driver does not start: nvidia-smi tells more; in a container /dev/nvidia* "
            "must be there";
        break;
    default: what = "the NVIDIA driver refuses"; break;
    }
    snprintf(out, n, "%s (%s)", what, cudaGetErrorString((cudaError_t)rc));
}

extern "C" void cuda_why_no_code(const char *name, int major, int minor, char *out, size_t n)
{
    if (major < 9)
        snprintf(out, n, "%s is sm_%d%d, and Hearth's kernels need sm_90 or later", name, major,
                 minor);
    else
        snprintf(out, n,
                 "%s is sm_%d%d, this build has code for %s: build with "
                 "-DHEARTH_CUDA_ARCHITECTURES=%d%da-real",
                 name, major, minor, HEARTH_CUDA_ARCHITECTURES, major, minor);
}

extern "C" void cuda_why_failed(int rc, const char *where, char *out, size_t n)
{
    const char *todo;
    switch (rc) {
    case cudaErrorMemoryAllocation:
        todo = ": end what else uses the GPU, or take a smaller context or model";
        break;
    case cudaErrorIllegalAddress:
    case cudaErrorMisalignedAddress:
    case cudaErrorIllegalInstruction:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorHardwareStackError:
    case cudaErrorLaunchFailure:
    case cudaErrorAssert:
        todo = ": a kernel is at fault, or the GPU; start again, with --backend cpu where it comes "
               "back, and report it";
        break;
    case cudaErrorLaunchTimeout:
        todo = ": this GPU drives a display, and a kernel kept it waiting; use a GPU without one, "
               "or --backend cpu";
        break;
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContained:
        todo = ": the GPU's hardware reports an error; nvidia-smi -q tells more";
        break;
    case cudaErrorNoKernelImageForDevice:
        todo = ": this build has no code for the GPU; hearth doctor says what to build with";
        break;
    default: todo = ""; break;
    }
    snprintf(out, n, "%s: %s%s", where, cudaGetErrorString((cudaError_t)rc), todo);
}

static int probe_one(int i, struct cuda_device *d)
{
    cudaDeviceProp prop;
    size_t free_bytes = 0, total_bytes = 0;
    if (cudaGetDeviceProperties(&prop, i) != cudaSuccess || cudaSetDevice(i) != cudaSuccess ||
        cudaMemGetInfo(&free_bytes, &total_bytes) != cudaSuccess)
        return -1;
    snprintf(d->name, sizeof d->name, "%.127s", prop.name);
    d->major = prop.major;
    d->minor = prop.minor;
    d->n_sm = prop.multiProcessorCount;
    d->integrated = prop.integrated;
    d->total_bytes = total_bytes;
    d->free_bytes = free_bytes;
    cudaFuncAttributes code;
    d->code_present = cudaFuncGetAttributes(&code, read_all_kernel) == cudaSuccess;
    cudaGetLastError();
    d->read_gb_s = d->code_present ? measure_read(d->n_sm, d->free_bytes) : 0;
    return 0;
}

extern "C" int cuda_probe(struct cuda_device *out, int max, char *why, size_t n)
{
    int count = 0;
    cudaError_t rc = cudaGetDeviceCount(&count);
    if (rc == cudaErrorNoDevice) return 0;
    if (rc != cudaSuccess) {
        cuda_why_none(rc, why, n);
        return -1;
    }
    for (int i = 0; i < count && i < max; i++) {
        if (probe_one(i, &out[i])) {
            char which[32];
            snprintf(which, sizeof which, "device %d", i);
            cuda_why_failed(cudaGetLastError(), which, why, n);
            return -1;
        }
    }
    return count;
}

// The driver's device files are there when a GPU is.
extern "C" int cuda_is_here(void)
{
    return access("/dev/nvidiactl", F_OK) == 0 || access("/dev/nvgpu", F_OK) == 0;
}
