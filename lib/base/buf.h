/* A growable byte buffer that is born with its maximum. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct buf {
        uint8_t *data; /* NULL while nothing is allocated */
        size_t len;
        size_t cap;
        size_t max; /* never grows beyond */
};

#define BUF_INIT(maximum) ((struct buf){.max = (maximum)})

enum { BUF_E_FULL = 1 };

void buf_init(struct buf *b, size_t max);
void buf_done(struct buf *b);
/* Makes room for n more bytes. 0; BUF_E_FULL when that passes the maximum (nothing changes); -ENOMEM. */
int buf_reserve(struct buf *b, size_t n);
/* 0, BUF_E_FULL, -ENOMEM; all or nothing */
int buf_append(struct buf *b, const void *data, size_t n);
int buf_append_str(struct buf *b, const char *s);
/* Drops n bytes at the front */
void buf_consume(struct buf *b, size_t n);
/* Empties; gives memory back when the capacity is above keep */
void buf_reset(struct buf *b, size_t keep);
