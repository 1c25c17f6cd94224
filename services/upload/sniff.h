/* What content is, by libmagic. Not safe for threads: whoever makes one uses it, one at a time (sniffer.h). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "upload/store.h"

#define SNIFF_BYTES_MAX STORE_HEAD_BYTES /* further ones are not looked at */

struct sniff;

/* -ENOENT: the data base of libmagic is not there; -ENOMEM */
int sniff_new(struct sniff **ret_sniff);
void sniff_free(struct sniff *s); /* NULL is fine */
/* "type/subtype" of content that begins like this; "application/octet-stream" where nothing else is known. Valid until the next call. One to
 * three milliseconds for 64 KiB, up to about thirty for hostile ones; of long runs of blanks, which took over a hundred, it looks at the begin. */
const char *sniff_type(struct sniff *s, const uint8_t *data, size_t n);
