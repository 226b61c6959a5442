// How a device goes about the products of prefill: for `hearth doctor`. Each kind of weights and
// shape is asked about once, with as many tokens as a chunk has at most; nothing is computed.
#pragma once
#include "engine/engine.h"

struct model;

struct product_kind {
    const char *weights; // "fp8_e4m3", "nvfp4", ...
    bool blocks;         // FP8 with scales of 128 x 128 blocks
    bool experts;        // of experts, each of which meets some of the tokens
    int n_row, n_col;
    const char *how; // in words; "" where the instance has one way only
};

typedef void product_listener(void *context, const struct product_kind *k);

// Those of a model's layers, in the order of a layer.
void products_of_model(const struct model *m, product_listener *tell, void *context);
void products_of_engine(const engine *en, product_listener *tell, void *context); // its model's

// Those of a typical model of 8 billion weights, of every kind that models come in, on the device
// that is taken when none is named; none where it has one way only. -1: it does not open.
int products_typical(product_listener *tell, void *context, err *e);
