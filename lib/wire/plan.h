/* What the codecs want to know of a message type beyond protobuf-c's descriptor: names in lowerCamelCase, ready to be
 * written, and the types of submessages already looked up. Made once for each type, kept for ever, shared by all
 * threads. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire_plan;

struct wire_field {
        const ProtobufCFieldDescriptor *d;
        const char *key; /* ,"channelId": (with the comma) */
        uint32_t key_len;
        const char *name; /* channelId; points into key, not terminated */
        uint32_t name_len;
        bool oneof;
        bool repeated;
        struct wire_plan *_Atomic child; /* of a message field, once it was looked up */
};

enum wire_shape {
        WIRE_SHAPE_MESSAGE,
        WIRE_SHAPE_FRAME, /* `uint32 ref` and `oneof body` of messages */
        WIRE_SHAPE_TIME,  /* google.protobuf.Timestamp */
};

struct wire_plan {
        const ProtobufCMessageDescriptor *type;
        enum wire_shape shape;
        unsigned ref; /* index of `ref` of a frame */
        struct wire_plan *next;
        char *names;
        struct wire_field fields[]; /* type->n_fields, in the descriptor's order */
};

/* A type with more fields than this is refused with -E2BIG: one bit each of struct wire_seen */
#define WIRE_FIELDS_MAX 256

/* Which fields of a message were met */
struct wire_seen {
        uint64_t bits[WIRE_FIELDS_MAX / 64];
};

static inline bool wire_seen_has(const struct wire_seen *seen, unsigned i)
{
        return seen->bits[i / 64] >> (i % 64) & 1;
}

static inline void wire_seen_set(struct wire_seen *seen, unsigned i)
{
        seen->bits[i / 64] |= UINT64_C(1) << (i % 64);
}

/* 0, -ENOMEM, -E2BIG */
int wire_plan_get(const ProtobufCMessageDescriptor *type, struct wire_plan **ret_plan);
/* The same for the type of a message field */
int wire_plan_child(struct wire_field *field, struct wire_plan **ret_plan);

/* The index of the field that a name or a field number means, or -1. hint: where to look first. */
int wire_plan_by_name(const struct wire_plan *plan, const char *name, size_t n, unsigned hint);
int wire_plan_by_id(const struct wire_plan *plan, uint32_t id, unsigned hint);

/* Marks a field as met. Returns 0 the first time; else, or when another member of its oneof was met, 1 with that
 * field's index. */
int wire_seen_mark(struct wire_seen *seen, const struct wire_plan *plan, unsigned field, unsigned *ret_other);

/* Bytes of one element of a field of this type, in a struct or an array */
size_t wire_type_size(ProtobufCType type);
