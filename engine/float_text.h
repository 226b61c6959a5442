// A double as Python writes it: the shortest decimal that reads back as the same number. What a
// template's tojson prints and what a grammar expects of an enum's number must be the same bytes.
#pragma once

void float_text(double f, char out[40]);
