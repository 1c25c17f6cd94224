/* Memory that lives as long as one request: many small allocations, freed together. */
#pragma once

#include <stddef.h>

struct http_arena {
        struct http_arena_block *blocks;
};

/* NULL without memory. Not aligned for anything but text. */
char *http_arena_alloc(struct http_arena *a, size_t n);
/* A copy with a NUL behind it; NULL without memory */
char *http_arena_strndup(struct http_arena *a, const char *s, size_t n);
void http_arena_done(struct http_arena *a);
