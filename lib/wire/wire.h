/* Frames and bodies: protobuf <-> JSON from protobuf-c's descriptors, and the packing of frames.
 *
 * JSON is the proto3 mapping with lowerCamelCase names; 64-bit integers are numbers (strings are accepted), zero values
 * are written, unset submessages are left out, unknown names are refused with an error that names them. Strings must be
 * UTF-8 without NUL, on every way in.
 *
 * Reading is strict: a name or a field given twice, two members of one oneof, a number outside of its type and a time
 * outside of the years 1 to 9999 are refused in both encodings. Unknown *protobuf* fields are kept, and
 * so are unknown enum values outside of frames, so that services of different versions can talk: who gets an enum from
 * there checks it. All functions are thread-safe. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum wire_error_code {
        WIRE_E_SYNTAX = 1, /* not JSON, not protobuf */
        WIRE_E_TYPE,       /* frame: "type" missing or unknown; protobuf: the body is missing or of an unknown type */
        WIRE_E_FIELD,      /* unknown, missing, of the wrong type or out of range; `detail` names it by its path */
        WIRE_E_TEXT,       /* invalid UTF-8 or a NUL; `detail` names the field */
        WIRE_E_LIMIT,      /* too deep, too many elements, too large */
};

struct wire_error {
        /* For the client: names the field and what was expected; valid UTF-8 without control characters */
        char detail[160];
        /* Of a frame, when it could be read; else 0. Set on success, too. */
        uint32_t ref;
};

struct wire_limits {
        size_t max_bytes;    /* of the input; 0: 1 MiB */
        unsigned max_depth;  /* nesting of messages, the frame being 1 and its body 2; 0: 8 */
        size_t max_elements; /* of all repeated fields together, and of unknown ones; 0: 10000 */
};

/* For what our own services wrote, and NATS carried: bounded by its largest message, not by what a client may send */
extern const struct wire_limits wire_limits_internal;

/* All decoders: 0, WIRE_E_* with ret_error filled, or negative errno (-ENOMEM; -EINVAL: a frame function got no frame
 * type). limits may be NULL, ret_error not. The message is freed with protobuf_c_message_free_unpacked(m, NULL). A JSON
 * member given as `null` counts as unset. Memory that one call takes, for a while or for good: at most about 20 bytes
 * for each byte of input, and the struct of each element. */
int wire_json_decode(const ProtobufCMessageDescriptor *type, const char *json, size_t n,
                     const struct wire_limits *limits, ProtobufCMessage **ret_message, struct wire_error *ret_error);
int wire_proto_decode(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t n,
                      const struct wire_limits *limits, ProtobufCMessage **ret_message, struct wire_error *ret_error);
/* A frame: {"type":"send","ref":7,…fields of the body…}; type must be a descriptor with `ref` and `oneof body` */
int wire_frame_json_decode(const ProtobufCMessageDescriptor *type, const char *json, size_t n,
                           const struct wire_limits *limits, ProtobufCMessage **ret_message,
                           struct wire_error *ret_error);

/* Append all or nothing. 0, BUF_E_FULL, -ENOMEM; JSON also -ERANGE (a time that no decoder would take) and -EINVAL (a
 * frame without a body, or no frame type). A frame's ref of 0 is left out in JSON. Strings must be what the decoders
 * take. */
int wire_json_encode(const ProtobufCMessage *message, struct buf *out);
int wire_frame_json_encode(const ProtobufCMessage *frame, struct buf *out); /* no newline */
int wire_proto_encode(const ProtobufCMessage *message, struct buf *out);
int wire_proto_encode_delimited(const ProtobufCMessage *message, struct buf *out); /* varint length before it */

/* Takes the next frame out of a packed one. Returns 1 and a slice, 0 at the end, -EBADMSG when a length cannot be read
 * or points beyond the end. Empty lines are skipped, and a carriage return before a newline is cut. */
int wire_next_line(const char *data, size_t n, size_t *offset, const char **ret_line, size_t *ret_n);
int wire_next_delimited(const uint8_t *data, size_t n, size_t *offset, const uint8_t **ret_frame, size_t *ret_n);

/* Raw deflate (RFC 1951), for large frames that are compressed once. Appends one whole stream. 0, BUF_E_FULL (also: did
 * not get smaller), -ENOMEM. Takes about 260 KiB for the time of the call. */
int wire_deflate(const void *data, size_t n, struct buf *out);
