#include "http/arena.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES 2048 /* the headers of a browser's request take 1 to 2 KB */

struct http_arena_block {
        struct http_arena_block *next;
        size_t used, cap;
        char data[];
};

char *http_arena_alloc(struct http_arena *a, size_t n)
{
        struct http_arena_block *b = a->blocks;

        if (!b || b->cap - b->used < n) {
                size_t cap = n > BLOCK_BYTES ? n : BLOCK_BYTES;

                b = malloc(sizeof(*b) + cap);
                if (!b)
                        return NULL;
                b->next = a->blocks;
                b->used = 0;
                b->cap = cap;
                a->blocks = b;
        }
        b->used += n;
        return b->data + b->used - n;
}

char *http_arena_strndup(struct http_arena *a, const char *s, size_t n)
{
        char *copy = http_arena_alloc(a, n + 1);

        if (!copy)
                return NULL;
        memcpy(copy, s, n);
        copy[n] = 0;
        return copy;
}

void http_arena_done(struct http_arena *a)
{
        struct http_arena_block *b, *next;

        for (b = a->blocks; b; b = next) {
                next = b->next;
                free(b);
        }
        a->blocks = NULL;
}
