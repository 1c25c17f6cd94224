/* Inside of the JSON decoder: what its two halves share. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

#include "wire/path.h"
#include "wire/wire.h"

typedef struct yyjson_val yyjson_val;

struct json_reader {
        struct wire_limits limits;
        struct wire_error *error;
        size_t elements;
        bool check_utf8; /* yyjson was told not to */
};

/* All: 0, WIRE_E_*, -ENOMEM. What is left in member on an error is as it was. */

/* A text without NUL; it lives as long as v. expected: for the error. */
int json_text(struct json_reader *r, const struct wire_path *path, const char *expected, yyjson_val *v,
              const char **ret_text);
/* The same of a key, which is named by what is around it */
int json_check_text(struct json_reader *r, const struct wire_path *path, const char *s, size_t n);
int json_fail_kind(struct json_reader *r, const struct wire_path *path, const char *expected, yyjson_val *v);

/* Any type but a message */
int json_scalar(struct json_reader *r, const ProtobufCFieldDescriptor *field, yyjson_val *v,
                const struct wire_path *path, void *member);
/* A google.protobuf.Timestamp */
int json_time(struct json_reader *r, yyjson_val *v, const struct wire_path *path, ProtobufCMessage **ret_message);
