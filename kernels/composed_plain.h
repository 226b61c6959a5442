// The parts of a composed operation that an instance with acts of its own can use, too.
#pragma once
#include "kernels/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

// Norm, rotation and the cache's new rows.
void composed_prepare(const struct k_ops *op, k_device *d, const struct k_attend *at, int n_token);

// The same and the attention, to out [n_token, n_head, head_dim].
void composed_attend(const struct k_ops *op, k_device *d, float *out, const struct k_attend *at,
                     int n_token);

#ifdef __cplusplus
}
#endif
