#include "kernels/simd_plain.h"
// The order matters: the arithmetic is written in the operations above.
#include "kernels/cpu_simd.h"
