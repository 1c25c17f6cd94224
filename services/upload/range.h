/* The Range header of a request for one file. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum range_result {
        RANGE_ALL, /* no header, not in bytes, several ranges, or nothing that can be read: the whole is answered, as RFC 9110 section 14.2 allows */
        RANGE_PART,    /* ret_first and ret_n are set */
        RANGE_OUTSIDE, /* 416 */
};
/* header may be NULL; size above 0 */
enum range_result range_parse(const char *header, uint64_t size, uint64_t *ret_first, uint64_t *ret_n);
