/* Where a decoder stands, and the errors that name it: "message.mentions[2]: expected a string, got a number". */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "wire/wire.h"

#define WIRE_PATH_NO_INDEX ((size_t)-1)

/* A chain on the stack, from the field at hand up to the top. The top itself has no name. */
struct wire_path {
        const struct wire_path *up; /* NULL: the top */
        const char *name;           /* not terminated; may be what a client sent */
        size_t n_name;
        size_t index; /* of an element; WIRE_PATH_NO_INDEX: none */
};

/* Fills error->detail with "path: text", cut to fit; returns code, so that callers can `return wire_fail(…)`. path
 * NULL: the text alone. */
_printf_(4, 5) int wire_fail(struct wire_error *error, int code, const struct wire_path *path, const char *format, ...);

/* WIRE_E_FIELD, with the names that the enum has */
int wire_fail_enum(struct wire_error *error, const struct wire_path *path, const ProtobufCEnumDescriptor *type);

/* The limits that hold: those given, with the defaults of wire.h for what is 0 */
struct wire_limits wire_limits_effective(const struct wire_limits *limits);
/* 0, or WIRE_E_LIMIT */
int wire_check_size(size_t n, const struct wire_limits *limits, struct wire_error *error);
