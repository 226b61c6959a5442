// The kernels of decode steps for weights in MXFP4. A compiler takes a minute for those of a form.
#include "kernels/cuda_step_kernel.h"

const step_table step_kernels_mxfp4 = STEP_TABLE(W_MXFP4);
