// How the copies of tensors (cp.async.bulk.tensor) find a matrix of weights. One instruction brings
// a box of it to shared memory: 8 rows of up to 24 pieces of 128 bytes, as [piece][row][128 bytes],
// in which the 16-byte parts of row r stand at their number XOR r % 8, so that reads of whole
// columns meet all banks. What a box has beyond the matrix is zero.
#pragma once
#include <cstdint>

// A CUtensorMap.
struct alignas(128) tensor_map {
    unsigned char bits[128];
};

// data: three dimensions, byte of a piece, row, piece. scales (FP4): two, in 16-bit numbers, byte
// pair of a row and row.
struct weight_maps {
    struct tensor_map data, scales;
};

// size: elements, from the innermost dimension on; stride: bytes, of all but the innermost; box:
// elements; n_byte: of an element, 1 or 2. False: the driver does not take it.
bool cuda_make_map(struct tensor_map *map, const void *base, int n_byte, int n_dim,
                   const uint64_t *size, const uint64_t *stride, const uint32_t *box,
                   bool swizzled);
