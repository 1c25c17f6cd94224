/* Arrays as parameters, in Postgres' binary format: one dimension, of smallint, bigint, text or bytea. Pure.
 *
 * Binary, because nothing has to be quoted and the server has nothing to parse. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* OIDs of the elements, from pg_type.dat; they never change */
enum pg_element { PG_BYTEA = 17, PG_INT8 = 20, PG_INT2 = 21, PG_TEXT = 25 };

struct pg_array {
        struct buf data;
        uint32_t n;
        int error; /* the first failure; later calls do nothing, and the job that takes the array fails */
};

/* max_bytes: of the whole array */
void pg_array_init(struct pg_array *a, enum pg_element element, size_t max_bytes);
void pg_array_done(struct pg_array *a);
void pg_array_i64(struct pg_array *a, int64_t v);
void pg_array_i16(struct pg_array *a, int16_t v);
void pg_array_text(struct pg_array *a, const char *s);            /* NULL: null */
void pg_array_bytes(struct pg_array *a, const void *p, size_t n); /* p NULL: null */
void pg_array_null(struct pg_array *a);
/* The finished bytes, valid until the next change */
const uint8_t *pg_array_finish(struct pg_array *a, size_t *ret_n);

/* Big-endian, as everything in the binary format */
void pg_put_be(uint8_t *p, uint64_t v, unsigned bytes);
uint64_t pg_get_be(const uint8_t *p, unsigned bytes);
