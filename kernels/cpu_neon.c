#include "kernels/simd_neon.h"
// The order matters: the arithmetic is written in the operations above.
#include "kernels/cpu_simd.h"
