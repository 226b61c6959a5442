// The kernels of decode steps for weights in e4m3 with a scale for each 128 x 128. A compiler takes
// a minute for those of a form.
#include "kernels/cuda_step_kernel.h"

const step_table step_kernels_e4m3_block = STEP_TABLE(W_E4M3_BLOCK);
