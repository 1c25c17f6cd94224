/* Token buckets by name (a user, an address), as many as are given; the one that was used longest ago makes room. */
#pragma once

#include <stdint.h>

struct ratetable;

/* per_second 0: no limit at all */
int ratetable_new(struct ratetable **ret_table, uint32_t per_second, uint32_t burst, unsigned max_entries);
void ratetable_free(struct ratetable *t); /* NULL is fine */
/* 0 when it may, else how many ms until it may. Names longer than 64 bytes are cut. A cost above the burst is the burst. */
uint32_t ratetable_take(struct ratetable *t, const char *name, uint64_t now_ms, uint32_t cost);
