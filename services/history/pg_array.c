#include "history/pg_array.h"

#include <errno.h>
#include <string.h>

/* ndim, flags (bit 0: has nulls), element's OID; then of each dimension its length and lower bound */
enum { AT_NDIM = 0, AT_FLAGS = 4, AT_OID = 8, AT_LEN = 12, AT_LBOUND = 16, HEADER = 20, HEADER_EMPTY = 12 };

void pg_put_be(uint8_t *p, uint64_t v, unsigned bytes)
{
        for (unsigned i = 0; i < bytes; i++)
                p[i] = (uint8_t)(v >> 8 * (bytes - 1 - i));
}

uint64_t pg_get_be(const uint8_t *p, unsigned bytes)
{
        uint64_t v = 0;

        for (unsigned i = 0; i < bytes; i++)
                v = v << 8 | p[i];
        return v;
}

void pg_array_init(struct pg_array *a, enum pg_element element, size_t max_bytes)
{
        uint8_t header[HEADER] = {0};

        *a = (struct pg_array){.data = BUF_INIT(max_bytes)};
        pg_put_be(header + AT_OID, (uint64_t)element, 4);
        pg_put_be(header + AT_LBOUND, 1, 4);
        a->error = buf_append(&a->data, header, sizeof(header));
}

void pg_array_done(struct pg_array *a)
{
        buf_done(&a->data);
}

static void element(struct pg_array *a, const void *p, size_t n)
{
        uint8_t length[4];

        if (a->error)
                return;
        pg_put_be(length, n, 4);
        a->error = buf_reserve(&a->data, n + sizeof(length));
        if (a->error)
                return;
        (void)buf_append(&a->data, length, sizeof(length));
        (void)buf_append(&a->data, p, n);
        a->n++;
}

void pg_array_i64(struct pg_array *a, int64_t v)
{
        uint8_t be[8];

        pg_put_be(be, (uint64_t)v, sizeof(be));
        element(a, be, sizeof(be));
}

void pg_array_i16(struct pg_array *a, int16_t v)
{
        uint8_t be[2];

        pg_put_be(be, (uint16_t)v, sizeof(be));
        element(a, be, sizeof(be));
}

void pg_array_text(struct pg_array *a, const char *s)
{
        if (s)
                element(a, s, strlen(s));
        else
                pg_array_null(a);
}

void pg_array_bytes(struct pg_array *a, const void *p, size_t n)
{
        if (p)
                element(a, p, n);
        else
                pg_array_null(a);
}

void pg_array_null(struct pg_array *a)
{
        static const uint8_t null_length[4] = {0xff, 0xff, 0xff, 0xff};

        if (a->error)
                return;
        a->error = buf_append(&a->data, null_length, sizeof(null_length));
        if (a->error)
                return;
        pg_put_be(a->data.data + AT_FLAGS, 1, 4);
        a->n++;
}

const uint8_t *pg_array_finish(struct pg_array *a, size_t *ret_n)
{
        if (a->error) {
                *ret_n = 0;
                return NULL;
        }
        pg_put_be(a->data.data + AT_NDIM, a->n ? 1 : 0, 4);
        pg_put_be(a->data.data + AT_LEN, a->n, 4);
        *ret_n = a->n ? a->data.len : HEADER_EMPTY;
        return a->data.data;
}
