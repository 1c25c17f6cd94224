/* What the fuzz targets of lib/wire share. */
#pragma once

#include "base/text.h"
#include "fuzz.h"
#include "kinds.pb-c.h"
#include "parley/v1/client.pb-c.h"
#include "wire/wire.h"

static const struct wire_limits fuzz_limits = {.max_bytes = 65536, .max_depth = 6, .max_elements = 500};

/* The first byte of an input chooses the type */
static inline const ProtobufCMessageDescriptor *fuzz_type(uint8_t choice)
{
        static const ProtobufCMessageDescriptor *const types[] = {
                &parley__test__kinds__descriptor,
                &parley__v1__client_frame__descriptor,
                &parley__v1__server_frame__descriptor,
                &parley__v1__event__descriptor,
        };
        return types[choice % (sizeof(types) / sizeof(types[0]))];
}

/* An answer is a message, or an error that can be shown; memory is not short here */
static inline void fuzz_check_answer(int e, const ProtobufCMessage *message, const struct wire_error *error)
{
        REQUIRE(e >= 0);
        REQUIRE((e == 0) == (message != NULL));
        if (e != 0) {
                REQUIRE(error->detail[0] && strlen(error->detail) < sizeof(error->detail));
                REQUIRE(utf8_valid(error->detail, strlen(error->detail)));
        }
}

static inline bool fuzz_same(const struct buf *a, const struct buf *b)
{
        return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}
