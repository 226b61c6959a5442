#include "engine/float_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void float_text(double f, char out[40])
{
    if (!isfinite(f)) {
        strcpy(out, isnan(f) ? "nan" : f < 0 ? "-inf" : "inf");
        return;
    }
    char digits[40];
    for (int precision = 0; precision < 17; precision++) {
        snprintf(digits, sizeof digits, "%.*e", precision, f);
        if (strtod(digits, NULL) == f) break;
    }
    char *e = strchr(digits, 'e');
    int exponent = atoi(e + 1), n = 0;
    char mantissa[40], *m = mantissa;
    for (char *d = digits; d < e; d++)
        if (*d >= '0' && *d <= '9') *m++ = *d;
    int len = (int)(m - mantissa);
    if (f < 0 || (f == 0 && signbit(f))) out[n++] = '-';
    if (exponent < -4 || exponent >= 16) {
        out[n++] = mantissa[0];
        if (len > 1) n += sprintf(out + n, ".%.*s", len - 1, mantissa + 1);
        sprintf(out + n, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
    } else if (exponent < 0) {
        n += sprintf(out + n, "0.%.*s", -exponent - 1, "0000");
        sprintf(out + n, "%.*s", len, mantissa);
    } else {
        for (int i = 0; i <= exponent; i++) out[n++] = i < len ? mantissa[i] : '0';
        out[n++] = '.';
        if (len > exponent + 1)
            sprintf(out + n, "%.*s", len - exponent - 1, mantissa + exponent + 1);
        else
            strcpy(out + n, "0");
    }
}
