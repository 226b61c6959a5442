#include "kernels/cuda_maps.h"

#include <cuda.h>
#include <cuda_runtime.h>

static_assert(sizeof(CUtensorMap) == sizeof(struct tensor_map) &&
                  alignof(CUtensorMap) == alignof(struct tensor_map),
              "a map is what the driver makes");

// The driver's function, which no library has; NULL: there is none.
static decltype(&cuTensorMapEncodeTiled) encoder()
{
    void *f = NULL;
    cudaDriverEntryPointQueryResult found;
    if (cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &f, 12000, cudaEnableDefault,
                                         &found) != cudaSuccess ||
        found != cudaDriverEntryPointSuccess)
        return NULL;
    return (decltype(&cuTensorMapEncodeTiled))f;
}

bool cuda_make_map(struct tensor_map *map, const void *base, int n_byte, int n_dim,
                   const uint64_t *size, const uint64_t *stride, const uint32_t *box, bool swizzled)
{
    static const decltype(&cuTensorMapEncodeTiled) encode = encoder();
    const cuuint32_t each[5] = {1, 1, 1, 1, 1};
    return encode &&
           encode((CUtensorMap *)map,
                  n_byte == 1 ? CU_TENSOR_MAP_DATA_TYPE_UINT8 : CU_TENSOR_MAP_DATA_TYPE_UINT16,
                  (cuuint32_t)n_dim, const_cast<void *>(base), size, stride, box, each,
                  CU_TENSOR_MAP_INTERLEAVE_NONE,
                  swizzled ? CU_TENSOR_MAP_SWIZZLE_128B : CU_TENSOR_MAP_SWIZZLE_NONE,
                  CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
                  CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}
