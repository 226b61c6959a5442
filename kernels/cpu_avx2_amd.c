#define SIMD_SUBNORMALS_ARE_CHEAP
#include "kernels/simd_avx2.h"
// The order matters: the arithmetic is written in the operations above.
#include "kernels/cpu_simd.h"
