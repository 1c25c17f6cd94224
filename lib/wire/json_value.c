/* JSON values that are not messages: numbers, names, text, bytes, times. */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/text.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "wire/json_value.h"
#include "wire/plan.h"

static const char *kind_of(yyjson_val *v)
{
        switch (yyjson_get_type(v)) {
        case YYJSON_TYPE_NULL:
                return "null";
        case YYJSON_TYPE_BOOL:
                return "a boolean";
        case YYJSON_TYPE_NUM:
                return "a number";
        case YYJSON_TYPE_STR:
                return "a string";
        case YYJSON_TYPE_ARR:
                return "an array";
        default:
                return "an object";
        }
}

int json_fail_kind(struct json_reader *r, const struct wire_path *path, const char *expected, yyjson_val *v)
{
        return wire_fail(r->error, WIRE_E_FIELD, path, "expected %s, got %s", expected, kind_of(v));
}

/* 0, or WIRE_E_TEXT */
int json_check_text(struct json_reader *r, const struct wire_path *path, const char *s, size_t n)
{
        if (memchr(s, '\0', n))
                return wire_fail(r->error, WIRE_E_TEXT, path, "a NUL (\\u0000) is not allowed");
        if (r->check_utf8 && !utf8_valid(s, n))
                return wire_fail(r->error, WIRE_E_TEXT, path, "invalid UTF-8");
        return 0;
}

int json_text(struct json_reader *r, const struct wire_path *path, const char *expected, yyjson_val *v,
              const char **ret_text)
{
        int e;

        if (!yyjson_is_str(v))
                return json_fail_kind(r, path, expected, v);
        e = json_check_text(r, path, yyjson_get_str(v), yyjson_get_len(v));
        if (e == 0)
                *ret_text = yyjson_get_str(v);
        return e;
}

/* --- numbers --- */

struct integer {
        bool negative;
        uint64_t magnitude;
};

struct integer_range {
        uint64_t below_zero; /* the lowest value is -below_zero */
        uint64_t max;
        const char *expected;
};

static const struct integer_range *integer_range(ProtobufCType type)
{
        static const struct integer_range i32 = {UINT64_C(1) << 31, INT32_MAX,
                                                 "a whole number from -2147483648 to 2147483647"};
        static const struct integer_range u32 = {0, UINT32_MAX, "a whole number from 0 to 4294967295"};
        static const struct integer_range i64 = {UINT64_C(1) << 63, INT64_MAX, "a whole number of 64 bits"};
        static const struct integer_range u64 = {0, UINT64_MAX, "a whole number of 64 bits, 0 or more"};

        switch (type) {
        case PROTOBUF_C_TYPE_INT32:
        case PROTOBUF_C_TYPE_SINT32:
        case PROTOBUF_C_TYPE_SFIXED32:
                return &i32;
        case PROTOBUF_C_TYPE_UINT32:
        case PROTOBUF_C_TYPE_FIXED32:
                return &u32;
        case PROTOBUF_C_TYPE_INT64:
        case PROTOBUF_C_TYPE_SINT64:
        case PROTOBUF_C_TYPE_SFIXED64:
                return &i64;
        default:
                return &u64;
        }
}

static bool integer_from_real(double v, struct integer *ret)
{
        double magnitude = fabs(v);

        if (magnitude != trunc(magnitude) || magnitude >= 0x1p64)
                return false;
        *ret = (struct integer){.negative = v < 0, .magnitude = (uint64_t)magnitude};
        return true;
}

static bool integer_from_text(const char *s, size_t n, struct integer *ret)
{
        bool negative = s[0] == '-';
        uint64_t magnitude;

        if (n != strlen(s) || text_parse_u64(s + negative, 0, UINT64_MAX, &magnitude) < 0)
                return false;
        *ret = (struct integer){.negative = negative && magnitude > 0, .magnitude = magnitude};
        return true;
}

static bool integer_get(yyjson_val *v, bool text_too, struct integer *ret)
{
        if (yyjson_is_uint(v))
                *ret = (struct integer){.magnitude = yyjson_get_uint(v)};
        else if (yyjson_is_sint(v)) {
                int64_t i = yyjson_get_sint(v);
                *ret = (struct integer){.negative = i < 0, .magnitude = i < 0 ? -(uint64_t)i : (uint64_t)i};
        } else if (yyjson_is_real(v))
                return integer_from_real(yyjson_get_real(v), ret);
        else
                return text_too && yyjson_is_str(v) && integer_from_text(yyjson_get_str(v), yyjson_get_len(v), ret);
        return true;
}

static int decode_integer(struct json_reader *r, ProtobufCType type, yyjson_val *v, const struct wire_path *path,
                          void *member)
{
        const struct integer_range *range = integer_range(type);
        size_t size = wire_type_size(type);
        struct integer i;

        if (!yyjson_is_num(v) && !(size == 8 && yyjson_is_str(v)))
                return json_fail_kind(r, path, range->expected, v);
        if (!integer_get(v, size == 8, &i) || i.magnitude > (i.negative ? range->below_zero : range->max))
                return wire_fail(r->error, WIRE_E_FIELD, path, "expected %s", range->expected);

        uint64_t bits = i.negative ? -i.magnitude : i.magnitude;
        if (size == 8)
                *(uint64_t *)member = bits;
        else
                *(uint32_t *)member = (uint32_t)bits;
        return 0;
}

static bool real_from_text(yyjson_val *v, double *ret)
{
        if (yyjson_equals_str(v, "NaN"))
                *ret = (double)NAN;
        else if (yyjson_equals_str(v, "Infinity"))
                *ret = (double)INFINITY;
        else if (yyjson_equals_str(v, "-Infinity"))
                *ret = -(double)INFINITY;
        else
                return false;
        return true;
}

static int decode_real(struct json_reader *r, ProtobufCType type, yyjson_val *v, const struct wire_path *path,
                       void *member)
{
        double value = 0;

        if (yyjson_is_num(v))
                value = yyjson_get_num(v);
        else if (!real_from_text(v, &value))
                return json_fail_kind(r, path, "a number", v);
        if (type == PROTOBUF_C_TYPE_DOUBLE) {
                *(double *)member = value;
                return 0;
        }
        if (isfinite(value) && fabs(value) > (double)FLT_MAX) {
                /* The largest float, written with as many digits as a float needs, lies a little above itself */
                if (fabs(value) >= 0x1.ffffffp127)
                        return wire_fail(r->error, WIRE_E_FIELD, path, "the number is too large");
                value = copysign((double)FLT_MAX, value);
        }
        *(float *)member = (float)value;
        return 0;
}

static int decode_enum(struct json_reader *r, const ProtobufCEnumDescriptor *type, yyjson_val *v,
                       const struct wire_path *path, int *member)
{
        const ProtobufCEnumValue *value = NULL;
        const char *name;
        int32_t number;
        int e;

        if (yyjson_is_num(v)) {
                e = decode_integer(r, PROTOBUF_C_TYPE_INT32, v, path, &number);
                if (e == 0)
                        value = protobuf_c_enum_descriptor_get_value(type, number);
        } else {
                e = json_text(r, path, "a name", v, &name);
                if (e == 0)
                        value = protobuf_c_enum_descriptor_get_value_by_name(type, name);
        }
        if (e != 0)
                return e;
        if (!value)
                return wire_fail_enum(r->error, path, type);
        *member = value->value;
        return 0;
}

/* --- text, bytes, times --- */

/* Empty strings are protobuf-c's own one, which its free function leaves alone. Not in arrays, whose elements it frees,
 * nor in a oneof, where it would take that one for a member that is not set. */
static int decode_string(struct json_reader *r, const ProtobufCFieldDescriptor *field, yyjson_val *v,
                         const struct wire_path *path, char **member)
{
        const char *text;
        char *copy;
        int e = json_text(r, path, "a string", v, &text);

        if (e != 0)
                return e;
        if (text[0] == '\0' && field->label != PROTOBUF_C_LABEL_REPEATED &&
            !(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)) {
                *member = (char *)protobuf_c_empty_string;
                return 0;
        }
        copy = malloc(yyjson_get_len(v) + 1);
        if (!copy)
                return -ENOMEM;
        memcpy(copy, text, yyjson_get_len(v) + 1);
        *member = copy;
        return 0;
}

static int decode_bytes(struct json_reader *r, yyjson_val *v, const struct wire_path *path, ProtobufCBinaryData *member)
{
        const char *text;
        uint8_t *data;
        int n, e = json_text(r, path, "a base64 string", v, &text);

        if (e != 0 || text[0] == '\0')
                return e;
        data = malloc(yyjson_get_len(v));
        if (!data)
                return -ENOMEM;
        n = base64_decode(text, yyjson_get_len(v), data, yyjson_get_len(v));
        if (n < 0) {
                free(data);
                return wire_fail(r->error, WIRE_E_FIELD, path, "not base64");
        }
        *member = (ProtobufCBinaryData){.len = (size_t)n, .data = data};
        return 0;
}

int json_time(struct json_reader *r, yyjson_val *v, const struct wire_path *path, ProtobufCMessage **ret_message)
{
        Google__Protobuf__Timestamp *time;
        const char *text;
        int64_t seconds;
        int32_t nanos;
        int e = json_text(r, path, "a time as a string", v, &text);

        if (e != 0)
                return e;
        if (rfc3339_parse(text, &seconds, &nanos) < 0)
                return wire_fail(r->error, WIRE_E_FIELD, path, "expected a time such as 2026-01-02T03:04:05.678Z");
        time = malloc(sizeof(*time));
        if (!time)
                return -ENOMEM;
        google__protobuf__timestamp__init(time);
        time->seconds = seconds;
        time->nanos = nanos;
        *ret_message = &time->base;
        return 0;
}

int json_scalar(struct json_reader *r, const ProtobufCFieldDescriptor *field, yyjson_val *v,
                const struct wire_path *path, void *member)
{
        switch (field->type) {
        case PROTOBUF_C_TYPE_STRING:
                return decode_string(r, field, v, path, member);
        case PROTOBUF_C_TYPE_BYTES:
                return decode_bytes(r, v, path, member);
        case PROTOBUF_C_TYPE_ENUM:
                return decode_enum(r, field->descriptor, v, path, member);
        case PROTOBUF_C_TYPE_FLOAT:
        case PROTOBUF_C_TYPE_DOUBLE:
                return decode_real(r, field->type, v, path, member);
        case PROTOBUF_C_TYPE_BOOL:
                if (!yyjson_is_bool(v))
                        return json_fail_kind(r, path, "true or false", v);
                *(protobuf_c_boolean *)member = yyjson_get_bool(v);
                return 0;
        default:
                return decode_integer(r, field->type, v, path, member);
        }
}
