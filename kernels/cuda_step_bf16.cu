// The kernels of decode steps for weights in bf16. A compiler takes a minute for those of a form.
#include "kernels/cuda_step_kernel.h"

const step_table step_kernels_bf16 = STEP_TABLE(W_BF16);
