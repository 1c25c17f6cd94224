/* What content is, by libmagic. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct sniff;

/* -ENOENT: the data base of libmagic is not there; -ENOMEM */
int sniff_new(struct sniff **ret_sniff);
void sniff_free(struct sniff *s); /* NULL is fine */
/* "type/subtype" of content that begins like this; "application/octet-stream" where nothing else is known. Valid until the next call. About a
 * millisecond for 64 KiB; what it looks at is bounded. */
const char *sniff_type(struct sniff *s, const uint8_t *data, size_t n);
