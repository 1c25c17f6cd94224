#include "wire/proto_scan.h"

#include <limits.h>
#include <string.h>

#include "base/text.h"
#include "wire/path.h"

/* What protobuf-c reads of a tag and of a length; field numbers have 29 bits */
#define TAG_BYTES_MAX 5
#define LENGTH_BYTES_MAX 5
#define VARINT_BYTES_MAX 10

struct scanner {
        const struct wire_limits *limits;
        struct wire_error *error;
        size_t elements;
        bool known_enums; /* only values that the schema has */
};

/* One field as it stands on the wire */
struct token {
        uint32_t id;
        ProtobufCWireType wire;
        uint64_t varint;     /* VARINT */
        const uint8_t *data; /* LENGTH_PREFIXED: the content; else the value's bytes */
        size_t n;
};

static int scan_message(struct scanner *s, struct wire_plan *plan, const uint8_t *data, size_t n,
                        const struct wire_path *path, unsigned depth);

size_t wire_varint(const uint8_t *data, size_t n, size_t n_max, uint64_t *ret)
{
        uint64_t v = 0;

        if (n > 0 && data[0] < 0x80) { /* nearly all tags, most lengths */
                *ret = data[0];
                return 1;
        }
        for (size_t i = 0; i < n && i < n_max; i++) {
                if (i == 9 && data[i] > 1) /* the tenth byte has room for one bit */
                        return 0;
                v |= (uint64_t)(data[i] & 0x7f) << (7 * i);
                if (data[i] < 0x80) {
                        *ret = v;
                        return i + 1;
                }
        }
        return 0;
}

/* Takes the next field. Returns its size with the tag, or 0 when it is not protobuf: *ret_why says why. */
static size_t take_token(const uint8_t *data, size_t n, struct token *ret, const char **ret_why)
{
        struct token t = {0};
        uint64_t v;
        size_t at;

        at = wire_varint(data, n, TAG_BYTES_MAX, &v);
        *ret_why = "a field's tag is cut short or too long";
        if (at == 0 || v > UINT32_MAX)
                return 0;
        *ret_why = "a field's number is 0";
        t.id = (uint32_t)(v >> 3);
        if (t.id == 0)
                return 0;
        t.wire = (ProtobufCWireType)(v & 7);
        t.data = data + at;
        switch (t.wire) {
        case PROTOBUF_C_WIRE_TYPE_VARINT:
                *ret_why = "a number is cut short or has more than 64 bits";
                t.n = wire_varint(data + at, n - at, VARINT_BYTES_MAX, &t.varint);
                if (t.n == 0)
                        return 0;
                break;
        case PROTOBUF_C_WIRE_TYPE_64BIT:
        case PROTOBUF_C_WIRE_TYPE_32BIT:
                *ret_why = "a number is cut short";
                t.n = t.wire == PROTOBUF_C_WIRE_TYPE_64BIT ? 8 : 4;
                break;
        case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
                *ret_why = "a length is cut short or too long";
                t.n = wire_varint(data + at, n - at, LENGTH_BYTES_MAX, &v);
                if (t.n == 0 || v > INT_MAX)
                        return 0;
                at += t.n;
                t.data = data + at;
                t.n = (size_t)v;
                *ret_why = "a length points beyond the end";
                break;
        default:
                *ret_why = "groups and unknown wire types are not taken";
                return 0;
        }
        if (t.n > n - at)
                return 0;
        *ret = t;
        return at + t.n;
}

static ProtobufCWireType wire_type_of(ProtobufCType type)
{
        switch (type) {
        case PROTOBUF_C_TYPE_SFIXED32:
        case PROTOBUF_C_TYPE_FIXED32:
        case PROTOBUF_C_TYPE_FLOAT:
                return PROTOBUF_C_WIRE_TYPE_32BIT;
        case PROTOBUF_C_TYPE_SFIXED64:
        case PROTOBUF_C_TYPE_FIXED64:
        case PROTOBUF_C_TYPE_DOUBLE:
                return PROTOBUF_C_WIRE_TYPE_64BIT;
        case PROTOBUF_C_TYPE_STRING:
        case PROTOBUF_C_TYPE_BYTES:
        case PROTOBUF_C_TYPE_MESSAGE:
                return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
        default:
                return PROTOBUF_C_WIRE_TYPE_VARINT;
        }
}

/* Protobuf would silently drop the upper half of a number that is too large for 32 bits */
static int check_varint(struct scanner *s, const ProtobufCFieldDescriptor *field, uint64_t v,
                        const struct wire_path *path)
{
        ProtobufCType type = field->type;
        bool ok = true;

        if (type == PROTOBUF_C_TYPE_UINT32 || type == PROTOBUF_C_TYPE_SINT32)
                ok = v <= UINT32_MAX;
        else if (type == PROTOBUF_C_TYPE_INT32 || type == PROTOBUF_C_TYPE_ENUM)
                ok = (int64_t)v >= INT32_MIN && (int64_t)v <= INT32_MAX;
        if (!ok)
                return wire_fail(s->error, WIRE_E_FIELD, path, "the number is out of range");
        if (type == PROTOBUF_C_TYPE_ENUM && s->known_enums &&
            !protobuf_c_enum_descriptor_get_value(field->descriptor, (int)(int64_t)v))
                return wire_fail_enum(s->error, path, field->descriptor);
        return 0;
}

static int take_elements(struct scanner *s, size_t n, const struct wire_path *path)
{
        if (n > s->limits->max_elements - s->elements)
                return wire_fail(s->error, WIRE_E_LIMIT, path, "too many elements: at most %zu in a frame",
                                 s->limits->max_elements);
        s->elements += n;
        return 0;
}

/* Several numbers in one field: counted before protobuf-c makes an array of them */
static int scan_packed(struct scanner *s, const ProtobufCFieldDescriptor *field, const struct token *t,
                       const struct wire_path *path)
{
        ProtobufCWireType wire = wire_type_of(field->type);
        size_t size = wire == PROTOBUF_C_WIRE_TYPE_32BIT ? 4 : 8;
        int e = 0;

        if (wire != PROTOBUF_C_WIRE_TYPE_VARINT) {
                if (t->n % size != 0)
                        return wire_fail(s->error, WIRE_E_SYNTAX, path, "not protobuf: a number is cut short");
                return take_elements(s, t->n / size, path);
        }
        for (size_t at = 0, used; at < t->n && e == 0; at += used) {
                uint64_t v;

                used = wire_varint(t->data + at, t->n - at, VARINT_BYTES_MAX, &v);
                if (used == 0)
                        return wire_fail(s->error, WIRE_E_SYNTAX, path,
                                         "not protobuf: a number is cut short or has more than 64 bits");
                e = take_elements(s, 1, path);
                if (e == 0)
                        e = check_varint(s, field, v, path);
        }
        return e;
}

/* The range that google.protobuf.Timestamp has, and that can be written as text */
static int check_time(struct scanner *s, const struct token *t, const struct wire_path *path)
{
        int64_t seconds = (int64_t)wire_proto_peek(t->data, t->n, 1);
        int64_t nanos = (int64_t)wire_proto_peek(t->data, t->n, 2);

        if (!rfc3339_range(seconds, (int32_t)nanos))
                return wire_fail(s->error, WIRE_E_FIELD, path, "the time is out of range");
        return 0;
}

static int scan_child(struct scanner *s, struct wire_field *field, const struct token *t, const struct wire_path *path,
                      unsigned depth)
{
        struct wire_plan *child;
        int e;

        e = wire_plan_child(field, &child);
        if (e == 0)
                e = scan_message(s, child, t->data, t->n, path, depth + 1);
        if (e == 0 && child->shape == WIRE_SHAPE_TIME)
                e = check_time(s, t, path);
        return e;
}

static int scan_value(struct scanner *s, struct wire_field *field, const struct token *t, const struct wire_path *path,
                      unsigned depth)
{
        ProtobufCType type = field->d->type;

        switch (type) {
        case PROTOBUF_C_TYPE_STRING:
                if (utf8_valid((const char *)t->data, t->n))
                        return 0;
                return wire_fail(s->error, WIRE_E_TEXT, path,
                                 memchr(t->data, '\0', t->n) ? "a NUL is not allowed" : "invalid UTF-8");
        case PROTOBUF_C_TYPE_MESSAGE:
                return scan_child(s, field, t, path, depth);
        default:
                return t->wire == PROTOBUF_C_WIRE_TYPE_VARINT ? check_varint(s, field->d, t->varint, path) : 0;
        }
}

static int scan_repeated(struct scanner *s, struct wire_field *field, const struct token *t, struct wire_path *path,
                         unsigned depth)
{
        int e;

        if (t->wire == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED &&
            wire_type_of(field->d->type) != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
                return scan_packed(s, field->d, t, path);
        e = take_elements(s, 1, path);
        return e != 0 ? e : scan_value(s, field, t, path, depth);
}

static int scan_field(struct scanner *s, struct wire_plan *plan, unsigned k, const struct token *t,
                      const struct wire_path *up, unsigned depth, struct wire_seen *seen)
{
        struct wire_field *field = &plan->fields[k];
        struct wire_path path = {.up = up, .name = field->name, .n_name = field->name_len, .index = WIRE_PATH_NO_INDEX};
        ProtobufCWireType wire = wire_type_of(field->d->type);
        unsigned other;

        if (t->wire != wire && !(field->repeated && t->wire == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED))
                return wire_fail(s->error, WIRE_E_FIELD, &path, "wrong wire type %u, expected %u", (unsigned)t->wire,
                                 (unsigned)wire);
        if (field->repeated)
                return scan_repeated(s, field, t, &path, depth);
        if (wire_seen_mark(seen, plan, k, &other) != 0) {
                const struct wire_field *o = &plan->fields[other];
                return other == k ? wire_fail(s->error, WIRE_E_FIELD, &path, "given twice")
                                  : wire_fail(s->error, WIRE_E_FIELD, &path, "cannot stand beside \"%.*s\"",
                                              (int)o->name_len, o->name);
        }
        return scan_value(s, field, t, &path, depth);
}

static int scan_message(struct scanner *s, struct wire_plan *plan, const uint8_t *data, size_t n,
                        const struct wire_path *path, unsigned depth)
{
        struct wire_seen seen = {0};
        unsigned hint = 0;
        int e = 0;

        if (depth > s->limits->max_depth)
                return wire_fail(s->error, WIRE_E_LIMIT, path, "nested too deeply: at most %u levels",
                                 s->limits->max_depth);
        for (size_t at = 0, used; at < n && e == 0; at += used) {
                struct token t;
                const char *why;
                int k;

                used = take_token(data + at, n - at, &t, &why);
                if (used == 0)
                        return wire_fail(s->error, WIRE_E_SYNTAX, path, "not protobuf: %s", why);
                k = wire_plan_by_id(plan, t.id, hint);
                if (k < 0) {
                        /* From a newer sender: protobuf-c keeps it, so it counts */
                        e = take_elements(s, 1, path);
                        continue;
                }
                hint = (unsigned)k;
                e = scan_field(s, plan, (unsigned)k, &t, path, depth, &seen);
        }
        return e;
}

int wire_proto_scan(struct wire_plan *plan, const uint8_t *data, size_t n, const struct wire_limits *limits,
                    struct wire_error *error)
{
        struct scanner s = {.limits = limits, .error = error, .known_enums = plan->shape == WIRE_SHAPE_FRAME};
        struct token top = {.data = data, .n = n};
        int e;

        e = scan_message(&s, plan, data, n, NULL, 1);
        if (e == 0 && plan->shape == WIRE_SHAPE_TIME)
                e = check_time(&s, &top, NULL);
        return e;
}

uint64_t wire_proto_peek(const uint8_t *data, size_t n, uint32_t id)
{
        struct token t;
        const char *why;

        for (size_t at = 0, used; at < n; at += used) {
                used = take_token(data + at, n - at, &t, &why);
                if (used == 0)
                        return 0;
                if (t.id == id && t.wire == PROTOBUF_C_WIRE_TYPE_VARINT)
                        return t.varint;
        }
        return 0;
}
