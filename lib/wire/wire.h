/* Frames and bodies: protobuf <-> JSON from protobuf-c's descriptors, and the packing of frames.
 *
 * JSON is the proto3 mapping with lowerCamelCase names; 64-bit integers are numbers (strings are accepted), zero values are written, unset
 * submessages are left out, unknown names are refused with an error that names them. Strings must be UTF-8 without NUL, on every way in. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum wire_error_code {
        WIRE_E_SYNTAX = 1,     /* not JSON, not protobuf */
        WIRE_E_TYPE,           /* frame: "type" missing or unknown */
        WIRE_E_FIELD,          /* unknown, missing, of the wrong type or out of range; `detail` names it by its path */
        WIRE_E_TEXT,           /* invalid UTF-8 or a NUL; `detail` names the field */
        WIRE_E_LIMIT,          /* too deep, too many elements, too large */
};

struct wire_error {
        char detail[160];      /* for the client: names the field and what was expected */
        uint32_t ref;          /* of a frame, when it could be read; else 0 */
};

struct wire_limits {
        size_t max_bytes;      /* of the input */
        unsigned max_depth;    /* nesting; 0: 8 */
        size_t max_elements;   /* of all repeated fields together; 0: 10000 */
};

/* All decoders: 0, WIRE_E_* with ret_error filled, or negative errno. The message is freed with protobuf_c_message_free_unpacked(m, NULL).
 * A member given as `null` counts as unset. */
int wire_json_decode(const ProtobufCMessageDescriptor *type, const char *json, size_t n, const struct wire_limits *limits,
                     ProtobufCMessage **ret_message, struct wire_error *ret_error);
int wire_proto_decode(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t n, const struct wire_limits *limits,
                      ProtobufCMessage **ret_message, struct wire_error *ret_error);
/* A frame: {"type":"send","ref":7,…fields of the body…}; type must be a descriptor with `ref` and `oneof body` */
int wire_frame_json_decode(const ProtobufCMessageDescriptor *type, const char *json, size_t n, const struct wire_limits *limits,
                           ProtobufCMessage **ret_message, struct wire_error *ret_error);

/* Appends. 0, BUF_E_FULL, -ENOMEM. */
int wire_json_encode(const ProtobufCMessage *message, struct buf *out);
int wire_frame_json_encode(const ProtobufCMessage *frame, struct buf *out);   /* no newline */
int wire_proto_encode(const ProtobufCMessage *message, struct buf *out);
int wire_proto_encode_delimited(const ProtobufCMessage *message, struct buf *out); /* varint length before it */

/* Takes the next frame out of a packed one. Returns 1 and a slice, 0 at the end, -EBADMSG when a length points beyond the end. */
int wire_next_line(const char *data, size_t n, size_t *offset, const char **ret_line, size_t *ret_n);      /* empty lines are skipped */
int wire_next_delimited(const uint8_t *data, size_t n, size_t *offset, const uint8_t **ret_frame, size_t *ret_n);

/* Raw deflate (RFC 1951), for large frames that are compressed once. 0, BUF_E_FULL (also: did not get smaller), -ENOMEM. */
int wire_deflate(const void *data, size_t n, struct buf *out);
