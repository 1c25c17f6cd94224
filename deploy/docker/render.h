/* Fills in a template. */
#pragma once

#include <stdio.h>

/* Writes text to out, with each ${PARLEY_…} replaced by what value() says of the name; everything else stays, other names in braces too.
 * A value may have letters, digits and the characters of paths, addresses and host names: nothing that ends a word of nginx.
 * A line with ${PARLEY_…,}, and no other name before it, is written once for each word of the value, between which there are commas and blanks; without a
 * word not at all.
 * 0; -ENOENT: value() knows no such name; -EINVAL: its value has another character. Both put the name into error. */
int render(FILE *out, const char *text, const char *(*value)(const char *name), char *error, size_t error_size);
