// The middle of measured values.
#pragma once

double median(double *x, int n); // of n >= 1; sorts x
