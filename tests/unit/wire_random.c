#include "wire_random.h"

#include <float.h>

#include "kinds.pb-c.h"
#include "parley/v1/client.pb-c.h"
#include "parley/v1/internal.pb-c.h"
#include "unit.h"
#include "wire/plan.h"

const ProtobufCMessageDescriptor *const wire_all_types[] = {
        &parley__v1__client_frame__descriptor,
        &parley__v1__server_frame__descriptor,
        &parley__v1__server_frames__descriptor,
        &parley__v1__event__descriptor,
        &parley__v1__memberships__descriptor,
        &parley__v1__events_request__descriptor,
        &parley__v1__events_response__descriptor,
        &parley__v1__lookup_request__descriptor,
        &parley__v1__lookup_response__descriptor,
        &parley__v1__event_request__descriptor,
        &parley__v1__event_response__descriptor,
        &parley__v1__digest__descriptor,
        &parley__v1__user_signal__descriptor,
        &parley__v1__membership_change__descriptor,
        &parley__v1__membership_applied__descriptor,
        &parley__v1__gateway_alive__descriptor,
        &parley__v1__dead_letter__descriptor,
        &parley__test__kinds__descriptor,
        &parley__test__empty__descriptor,
        &google__protobuf__timestamp__descriptor,
};
const size_t wire_n_all_types = sizeof(wire_all_types) / sizeof(wire_all_types[0]);

static void *zeroed(size_t n)
{
        void *p = calloc(1, n);

        if (!p)
                abort();
        return p;
}

/* Text with what makes trouble: quotes, controls, every length of UTF-8, and enough plain letters for the fast paths */
static char *random_string(uint64_t *seed)
{
        static const char *const pieces[] = {"\"",     "\\", "/", "\n",     "\x01", "\x1f",   "\x7f",
                                             "ä",      "€",  "😀", "\u2028", "a",    "hello ", "{\"type\":\"send\"}",
                                             "\t\r\b", "\f"};
        size_t n = unit_random(seed) % 4 == 0 ? 0 : unit_random(seed) % 40;
        char *s = zeroed(n * 20 + 1);

        for (size_t i = 0; i < n; i++)
                strcat(s, pieces[unit_random(seed) % (sizeof(pieces) / sizeof(pieces[0]))]);
        return s;
}

static ProtobufCBinaryData random_bytes_value(uint64_t *seed)
{
        ProtobufCBinaryData data = {.len = unit_random(seed) % 20};

        if (data.len > 0)
                data.data = zeroed(data.len);
        for (size_t i = 0; i < data.len; i++)
                data.data[i] = (uint8_t)unit_random(seed);
        return data;
}

/* Small ones, the ends of the range, and any */
static uint64_t random_bits(uint64_t *seed)
{
        static const uint64_t special[] = {0,          1,         UINT64_MAX, INT64_MAX,  (uint64_t)INT64_MIN,
                                           UINT32_MAX, INT32_MAX, 0x80000000, 1ULL << 53, (1ULL << 53) + 1};

        switch (unit_random(seed) % 3) {
        case 0:
                return special[unit_random(seed) % (sizeof(special) / sizeof(special[0]))];
        case 1:
                return unit_random(seed) % 1000;
        default:
                return unit_random(seed);
        }
}

static double random_double(uint64_t *seed)
{
        double v;

        for (;;) {
                uint64_t bits = unit_random(seed);
                memcpy(&v, &bits, sizeof(v));
                if (v == v) /* there are many NaN, which JSON has only one of */
                        return v;
        }
}

static float random_float(uint64_t *seed)
{
        float v;

        for (;;) {
                uint32_t bits = (uint32_t)unit_random(seed);
                memcpy(&v, &bits, sizeof(v));
                if (unit_random(seed) % 16 == 0)
                        return v < 0 ? -FLT_MAX : FLT_MAX;
                if (v == v)
                        return v;
        }
}

static void random_time(ProtobufCMessage *message, uint64_t *seed)
{
        Google__Protobuf__Timestamp *time = (Google__Protobuf__Timestamp *)message;
        static const int32_t nanos[] = {0, 1, 1000, 1000000, 999999999, 120000000};

        time->seconds = (int64_t)(unit_random(seed) % 315537897600) - 62135596800; /* years 1 to 9999 */
        time->nanos = nanos[unit_random(seed) % 6];
}

static void random_value(const ProtobufCFieldDescriptor *field, unsigned depth, uint64_t *seed, void *member)
{
        const ProtobufCEnumDescriptor *values = field->descriptor;
        uint64_t bits = random_bits(seed);

        switch (field->type) {
        case PROTOBUF_C_TYPE_STRING:
                *(char **)member = random_string(seed);
                break;
        case PROTOBUF_C_TYPE_BYTES:
                *(ProtobufCBinaryData *)member = random_bytes_value(seed);
                break;
        case PROTOBUF_C_TYPE_MESSAGE:
                *(ProtobufCMessage **)member = wire_random_message(field->descriptor, depth - 1, seed);
                break;
        case PROTOBUF_C_TYPE_ENUM:
                *(int *)member = values->values[bits % values->n_values].value;
                break;
        case PROTOBUF_C_TYPE_BOOL:
                *(protobuf_c_boolean *)member = bits & 1;
                break;
        case PROTOBUF_C_TYPE_DOUBLE:
                *(double *)member = random_double(seed);
                break;
        case PROTOBUF_C_TYPE_FLOAT:
                *(float *)member = random_float(seed);
                break;
        default:
                memcpy(member, &bits, wire_type_size(field->type));
        }
}

static void random_array(const ProtobufCFieldDescriptor *field, unsigned depth, uint64_t *seed,
                         ProtobufCMessage *message)
{
        size_t n = unit_random(seed) % 4, size = wire_type_size(field->type);
        char *elements;

        if (n == 0)
                return;
        elements = zeroed(n * size);
        for (size_t i = 0; i < n; i++)
                random_value(field, depth, seed, elements + i * size);
        *(size_t *)((char *)message + field->quantifier_offset) = n;
        *(void **)((char *)message + field->offset) = elements;
}

static bool is_oneof(const ProtobufCFieldDescriptor *field)
{
        return field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;
}

/* Sets one member of the oneof; one of a schema here has at most one oneof */
static void random_oneof(ProtobufCMessage *message, unsigned depth, uint64_t *seed)
{
        const ProtobufCMessageDescriptor *type = message->descriptor;
        unsigned members[256], n = 0;

        for (unsigned i = 0; i < type->n_fields; i++)
                if (is_oneof(&type->fields[i]) && (depth > 1 || type->fields[i].type != PROTOBUF_C_TYPE_MESSAGE))
                        members[n++] = i;
        if (n == 0)
                return;
        const ProtobufCFieldDescriptor *field = &type->fields[members[unit_random(seed) % n]];
        memset((char *)message + field->offset, 0, wire_type_size(field->type));
        random_value(field, depth, seed, (char *)message + field->offset);
        *(uint32_t *)((char *)message + field->quantifier_offset) = field->id;
}

ProtobufCMessage *wire_random_message(const ProtobufCMessageDescriptor *type, unsigned depth, uint64_t *seed)
{
        ProtobufCMessage *message = zeroed(type->sizeof_message);

        protobuf_c_message_init(type, message);
        if (type == &google__protobuf__timestamp__descriptor) {
                random_time(message, seed);
                return message;
        }
        for (unsigned i = 0; i < type->n_fields; i++) {
                const ProtobufCFieldDescriptor *field = &type->fields[i];

                if (is_oneof(field) || (field->type == PROTOBUF_C_TYPE_MESSAGE && depth <= 1))
                        continue;
                if (field->label == PROTOBUF_C_LABEL_REPEATED)
                        random_array(field, depth, seed, message);
                else if (field->type != PROTOBUF_C_TYPE_MESSAGE || unit_random(seed) % 2)
                        random_value(field, depth, seed, (char *)message + field->offset);
        }
        random_oneof(message, depth, seed);
        return message;
}

bool wire_equal(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
        size_t n = protobuf_c_message_get_packed_size(a);
        uint8_t *pa = zeroed(n + 1), *pb = zeroed(n + 1);
        bool equal = a->descriptor == b->descriptor && n == protobuf_c_message_get_packed_size(b);

        if (equal) {
                protobuf_c_message_pack(a, pa);
                protobuf_c_message_pack(b, pb);
                equal = memcmp(pa, pb, n) == 0;
        }
        free(pa);
        free(pb);
        return equal;
}
