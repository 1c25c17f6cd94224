/* Text with its long runs of blanks and line ends cut short: libmagic's regular expressions take a time for these that no type is worth. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SQUEEZE_RUN_MAX 64 /* characters of a run that stay; what a type is does not hang on more of them */

/* Copies what stays of data to ret, which has n bytes, or is data itself; how many that are. A character is a byte, or what UTF-16 or UTF-32
 * makes of one where the text begins with the mark of its order. */
size_t squeeze_blanks(const uint8_t *data, size_t n, uint8_t *ret);
