/* Protobuf <-> messages through protobuf-c. */
#include <errno.h>

#include "wire/path.h"
#include "wire/plan.h"
#include "wire/proto_scan.h"
#include "wire/wire.h"

/* The body of a frame is what makes it one. A frame of a type that this build does not know has none. */
static int check_body(const struct wire_plan *plan, const ProtobufCMessage *frame, struct wire_error *error)
{
        for (unsigned i = 0; i < plan->type->n_fields; i++) {
                const ProtobufCFieldDescriptor *field = plan->fields[i].d;

                if (plan->fields[i].oneof && *(const uint32_t *)((const char *)frame + field->quantifier_offset) != 0)
                        return 0;
        }
        return wire_fail(error, WIRE_E_TYPE, NULL, "the frame's body is missing or of an unknown type");
}

int wire_proto_decode(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t n,
                      const struct wire_limits *limits, ProtobufCMessage **ret_message, struct wire_error *ret_error)
{
        struct wire_limits effective = wire_limits_effective(limits);
        ProtobufCMessage *message;
        struct wire_plan *plan;
        uint64_t ref;
        int e;

        *ret_error = (struct wire_error){0};
        e = wire_check_size(n, &effective, ret_error);
        if (e == 0)
                e = wire_plan_get(type, &plan);
        if (e != 0)
                return e;
        if (plan->shape == WIRE_SHAPE_FRAME) {
                ref = wire_proto_peek(data, n, plan->fields[plan->ref].d->id);
                ret_error->ref = ref <= UINT32_MAX ? (uint32_t)ref : 0;
        }
        e = wire_proto_scan(plan, data, n, &effective, ret_error);
        if (e != 0)
                return e;
        message = protobuf_c_message_unpack(type, NULL, n, data);
        if (!message)
                return -ENOMEM; /* the scan has ruled out every other reason */
        if (plan->shape == WIRE_SHAPE_FRAME)
                e = check_body(plan, message, ret_error);
        if (e != 0) {
                protobuf_c_message_free_unpacked(message, NULL);
                return e;
        }
        *ret_message = message;
        return 0;
}

int wire_proto_encode(const ProtobufCMessage *message, struct buf *out)
{
        size_t n = protobuf_c_message_get_packed_size(message);
        int r;

        r = buf_reserve(out, n);
        if (r == 0 && n > 0)
                out->len += protobuf_c_message_pack(message, out->data + out->len);
        return r;
}

int wire_proto_encode_delimited(const ProtobufCMessage *message, struct buf *out)
{
        size_t n = protobuf_c_message_get_packed_size(message);
        uint8_t prefix[10];
        size_t n_prefix = 0;
        int r;

        for (size_t v = n; v > 0 || n_prefix == 0; v >>= 7)
                prefix[n_prefix++] = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
        r = buf_reserve(out, n_prefix + n);
        if (r == 0)
                r = buf_append(out, prefix, n_prefix);
        if (r == 0 && n > 0)
                out->len += protobuf_c_message_pack(message, out->data + out->len);
        return r;
}
