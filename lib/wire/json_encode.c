/* Messages -> JSON, written directly from the descriptors: see docs/decisions/0002 for why not by yyjson. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "wire/plan.h"
#include "wire/wire.h"

#define DIGITS_MAX 20 /* of 2^64 - 1, and of -2^63 with its sign */

static int write_message(struct wire_plan *plan, const ProtobufCMessage *message, struct buf *out);

/* buf_append without the call where there is room, which is nearly always */
static inline int write_text(struct buf *out, const void *text, size_t n)
{
        int r;

        if (out->cap - out->len < n) {
                r = buf_reserve(out, n);
                if (r != 0)
                        return r;
        }
        if (n > 0)
                memcpy(out->data + out->len, text, n);
        out->len += n;
        return 0;
}

static inline int write_char(struct buf *out, char c)
{
        return write_text(out, &c, 1);
}

static int write_u64(struct buf *out, bool negative, uint64_t v)
{
        char digits[DIGITS_MAX + 1];
        char *p = digits + sizeof(digits);

        do
                *--p = (char)('0' + v % 10);
        while ((v /= 10) > 0);
        if (negative)
                *--p = '-';
        return write_text(out, p, (size_t)(digits + sizeof(digits) - p));
}

static int write_i64(struct buf *out, int64_t v)
{
        return write_u64(out, v < 0, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

/* A text that reads back as the same number, without more digits than that takes (but at least digits - 3) */
static int write_real(struct buf *out, double v, int digits)
{
        char text[32];

        if (isnan(v))
                return buf_append_str(out, "\"NaN\"");
        if (isinf(v))
                return buf_append_str(out, v > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        if (v == 0)
                return buf_append_str(out, signbit(v) ? "-0.0" : "0"); /* "-0" is a whole number, without a sign */
        for (int n = digits - 3; n <= digits; n++) {
                snprintf(text, sizeof(text), "%.*g", n, v);
                if (digits < 10 ? strtof(text, NULL) == (float)v : strtod(text, NULL) == v)
                        break;
        }
        return buf_append_str(out, text);
}

/* Characters that cannot stand in a JSON string as they are */
static bool needs_escape(unsigned char c)
{
        return c < 0x20 || c == '"' || c == '\\';
}

/* Eight at once: a byte of the result is 0x80 where it needs an escape (bytes above 0x7f never do) */
static uint64_t escapes_in(uint64_t v)
{
        const uint64_t ones = UINT64_C(0x0101010101010101), high = ones * 0x80;
        uint64_t quote = v ^ ones * '"', slash = v ^ ones * '\\';

        return ((v - ones * 0x20) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) & ~v & high;
}

/* How many bytes from s on can be copied as they are. s need not be terminated at n. */
static size_t plain_run(const char *s, size_t n)
{
        size_t i = 0;
        uint64_t v;

        for (; i + 8 <= n; i += 8) {
                memcpy(&v, s + i, 8);
                if (escapes_in(v))
                        break;
        }
        while (i < n && !needs_escape((unsigned char)s[i]))
                i++;
        return i;
}

static int write_escape(struct buf *out, unsigned char c)
{
        static const char hex[] = "0123456789abcdef";
        static const char shorts[128] = {
                ['"'] = '"', ['\\'] = '\\', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't', ['\b'] = 'b', ['\f'] = 'f'};

        if (shorts[c])
                return write_text(out, (const char[]){'\\', shorts[c]}, 2);
        return write_text(out, (const char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
}

static int write_string(struct buf *out, const char *s)
{
        size_t n;
        int r;

        if (!s)
                s = ""; /* what protobuf-c writes for it, too */
        n = strlen(s);
        r = buf_reserve(out, n + 2);
        if (r == 0)
                r = write_char(out, '"');
        while (r == 0 && n > 0) {
                size_t run = plain_run(s, n);

                r = write_text(out, s, run);
                s += run;
                n -= run;
                if (r == 0 && n > 0) {
                        r = write_escape(out, (unsigned char)*s++);
                        n--;
                }
        }
        return r != 0 ? r : write_char(out, '"');
}

static int write_bytes(struct buf *out, const ProtobufCBinaryData *bytes)
{
        int r;

        r = buf_reserve(out, BASE64_SIZE(bytes->len) + 2);
        if (r != 0)
                return r;
        out->data[out->len++] = '"';
        out->len += base64_encode(bytes->data, bytes->len, (char *)out->data + out->len);
        out->data[out->len++] = '"';
        return 0;
}

static int write_time(struct buf *out, const Google__Protobuf__Timestamp *time)
{
        char text[RFC3339_LEN + 3] = "\"";
        size_t n;
        int r;

        r = rfc3339_format(time->seconds, time->nanos, text + 1);
        if (r < 0)
                return r;
        n = strlen(text);
        text[n++] = '"';
        return buf_append(out, text, n);
}

/* An enum value that this build does not know is written as its number, as proto3 says */
static int write_enum(struct buf *out, const ProtobufCEnumDescriptor *type, int v)
{
        const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(type, v);

        return value ? write_string(out, value->name) : write_i64(out, v);
}

static int write_child(struct wire_field *field, const ProtobufCMessage *message, struct buf *out)
{
        struct wire_plan *child;
        int r;

        r = wire_plan_child(field, &child);
        if (r != 0)
                return r;
        if (child->shape == WIRE_SHAPE_TIME)
                return write_time(out, (const Google__Protobuf__Timestamp *)message);
        return write_message(child, message, out);
}

static int write_value(struct wire_field *field, const void *member, struct buf *out)
{
        switch (field->d->type) {
        case PROTOBUF_C_TYPE_INT32:
        case PROTOBUF_C_TYPE_SINT32:
        case PROTOBUF_C_TYPE_SFIXED32:
                return write_i64(out, *(const int32_t *)member);
        case PROTOBUF_C_TYPE_UINT32:
        case PROTOBUF_C_TYPE_FIXED32:
                return write_u64(out, false, *(const uint32_t *)member);
        case PROTOBUF_C_TYPE_INT64:
        case PROTOBUF_C_TYPE_SINT64:
        case PROTOBUF_C_TYPE_SFIXED64:
                return write_i64(out, *(const int64_t *)member);
        case PROTOBUF_C_TYPE_UINT64:
        case PROTOBUF_C_TYPE_FIXED64:
                return write_u64(out, false, *(const uint64_t *)member);
        case PROTOBUF_C_TYPE_FLOAT:
                return write_real(out, (double)*(const float *)member, 9);
        case PROTOBUF_C_TYPE_DOUBLE:
                return write_real(out, *(const double *)member, 17);
        case PROTOBUF_C_TYPE_BOOL:
                return *(const protobuf_c_boolean *)member ? write_text(out, "true", 4) : write_text(out, "false", 5);
        case PROTOBUF_C_TYPE_ENUM:
                return write_enum(out, field->d->descriptor, *(const int *)member);
        case PROTOBUF_C_TYPE_STRING:
                return write_string(out, *(const char *const *)member);
        case PROTOBUF_C_TYPE_BYTES:
                return write_bytes(out, member);
        case PROTOBUF_C_TYPE_MESSAGE:
                return write_child(field, *(const ProtobufCMessage *const *)member, out);
        }
        return -EINVAL;
}

static int write_array(struct wire_field *field, size_t n, const char *elements, struct buf *out)
{
        size_t size = wire_type_size(field->d->type);
        int r;

        r = write_char(out, '[');
        for (size_t i = 0; i < n && r == 0; i++) {
                if (i > 0)
                        r = write_char(out, ',');
                if (r == 0)
                        r = write_value(field, elements + i * size, out);
        }
        return r != 0 ? r : write_char(out, ']');
}

/* Members of a oneof that are not the set one, and submessages that are not there, are left out; zero values are not */
static bool is_unset(const struct wire_field *field, const ProtobufCMessage *message, const char *member)
{
        if (field->oneof)
                return *(const uint32_t *)((const char *)message + field->d->quantifier_offset) != field->d->id;
        return field->d->type == PROTOBUF_C_TYPE_MESSAGE && !field->repeated && !*(const void *const *)member;
}

/* first: no comma before the first field */
static int write_fields(struct wire_plan *plan, const ProtobufCMessage *message, bool first, struct buf *out)
{
        int r = 0;

        for (unsigned i = 0; i < plan->type->n_fields && r == 0; i++) {
                struct wire_field *field = &plan->fields[i];
                const char *member = (const char *)message + field->d->offset;

                if (is_unset(field, message, member))
                        continue;
                r = write_text(out, field->key + first, field->key_len - first);
                first = false;
                if (r != 0)
                        break;
                if (field->repeated)
                        r = write_array(field, *(const size_t *)((const char *)message + field->d->quantifier_offset),
                                        *(const char *const *)member, out);
                else
                        r = write_value(field, member, out);
        }
        return r;
}

static int write_message(struct wire_plan *plan, const ProtobufCMessage *message, struct buf *out)
{
        int r;

        r = write_char(out, '{');
        if (r == 0)
                r = write_fields(plan, message, true, out);
        return r != 0 ? r : write_char(out, '}');
}

/* {"type":"ack","ref":7,…; a ref of 0 is no ref and is left out */
static int write_frame(struct wire_plan *plan, const ProtobufCMessage *frame, struct buf *out)
{
        const struct wire_field *ref = &plan->fields[plan->ref];
        uint32_t ref_value = *(const uint32_t *)((const char *)frame + ref->d->offset);
        struct wire_field *body = NULL;
        struct wire_plan *child;
        int r;

        for (unsigned i = 0; i < plan->type->n_fields && !body; i++)
                if (plan->fields[i].oneof &&
                    !is_unset(&plan->fields[i], frame, (const char *)frame + plan->fields[i].d->offset))
                        body = &plan->fields[i];
        if (!body)
                return -EINVAL;
        r = wire_plan_child(body, &child);
        if (r == 0)
                r = buf_append_str(out, "{\"type\":\"");
        if (r == 0)
                r = write_text(out, body->name, body->name_len);
        if (r == 0)
                r = write_char(out, '"');
        if (r == 0 && ref_value != 0)
                r = write_text(out, ref->key, ref->key_len);
        if (r == 0 && ref_value != 0)
                r = write_u64(out, false, ref_value);
        if (r == 0)
                r = write_fields(child, *(const ProtobufCMessage *const *)((const char *)frame + body->d->offset),
                                 false, out);
        return r != 0 ? r : write_char(out, '}');
}

int wire_json_encode(const ProtobufCMessage *message, struct buf *out)
{
        size_t len = out->len;
        struct wire_plan *plan;
        int r;

        r = wire_plan_get(message->descriptor, &plan);
        if (r != 0)
                return r;
        if (plan->shape == WIRE_SHAPE_TIME)
                r = write_time(out, (const Google__Protobuf__Timestamp *)message);
        else
                r = write_message(plan, message, out);
        if (r != 0)
                out->len = len;
        return r;
}

int wire_frame_json_encode(const ProtobufCMessage *frame, struct buf *out)
{
        size_t len = out->len;
        struct wire_plan *plan;
        int r;

        r = wire_plan_get(frame->descriptor, &plan);
        if (r == 0)
                r = plan->shape == WIRE_SHAPE_FRAME ? write_frame(plan, frame, out) : -EINVAL;
        if (r != 0)
                out->len = len;
        return r;
}
