/* Inside of the protobuf decoder: the check that comes before protobuf-c, which cuts strings at a NUL, takes bad UTF-8
 * and lets a few bytes of input become many of memory. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "wire/plan.h"
#include "wire/wire.h"

/* Checks everything that protobuf-c would trip over, and all that wire.h promises. Afterwards unpacking can only fail
 * for memory. 0, WIRE_E_*, -ENOMEM. */
int wire_proto_scan(struct wire_plan *plan, const uint8_t *data, size_t n, const struct wire_limits *limits,
                    struct wire_error *error);

/* The varint field with this number at the top level of a message that may be broken; 0 when there is none */
uint64_t wire_proto_peek(const uint8_t *data, size_t n, uint32_t id);

/* A base 128 number of at most n_max bytes, 64 bits. Returns how many bytes it takes; 0: cut short or too long. */
size_t wire_varint(const uint8_t *data, size_t n, size_t n_max, uint64_t *ret);
