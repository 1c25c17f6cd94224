#include "wire/plan.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* The table only grows, by types of the compiled-in schema: readers need no lock, and nothing is ever freed. */
#define N_BUCKETS 128
static struct wire_plan *_Atomic plan_table[N_BUCKETS];

static struct wire_plan *_Atomic *plan_bucket(const ProtobufCMessageDescriptor *type)
{
        uint64_t hash = (uint64_t)(uintptr_t)type * 0x9e3779b97f4a7c15ULL; /* Fibonacci hashing */

        return &plan_table[hash >> 57];
}

static struct wire_plan *plan_find(struct wire_plan *first, const ProtobufCMessageDescriptor *type)
{
        struct wire_plan *plan = first;

        while (plan && plan->type != type)
                plan = plan->next;
        return plan;
}

/* Writes ,"lowerCamel": by the rule of proto3's JSON mapping: underscores go, the letter behind becomes upper case */
static size_t plan_write_key(const char *name, char *out)
{
        char *p = out;

        *p++ = ',';
        *p++ = '"';
        for (bool upper = false; *name; name++) {
                if (*name == '_') {
                        upper = true;
                        continue;
                }
                *p++ = (char)(upper && *name >= 'a' && *name <= 'z' ? *name - 'a' + 'A' : *name);
                upper = false;
        }
        *p++ = '"';
        *p++ = ':';
        return (size_t)(p - out);
}

static enum wire_shape plan_shape(const ProtobufCMessageDescriptor *type, unsigned *ret_ref)
{
        bool ref = false, body = false;

        if (strcmp(type->name, "google.protobuf.Timestamp") == 0)
                return WIRE_SHAPE_TIME;
        for (unsigned i = 0; i < type->n_fields; i++) {
                const ProtobufCFieldDescriptor *field = &type->fields[i];

                if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
                        if (field->type != PROTOBUF_C_TYPE_MESSAGE)
                                return WIRE_SHAPE_MESSAGE;
                        body = true;
                } else if (field->type == PROTOBUF_C_TYPE_UINT32 && strcmp(field->name, "ref") == 0) {
                        ref = true;
                        *ret_ref = i;
                } else
                        return WIRE_SHAPE_MESSAGE;
        }
        return ref && body ? WIRE_SHAPE_FRAME : WIRE_SHAPE_MESSAGE;
}

static void plan_fill(struct wire_plan *plan)
{
        char *p = plan->names;

        for (unsigned i = 0; i < plan->type->n_fields; i++) {
                struct wire_field *field = &plan->fields[i];

                field->d = &plan->type->fields[i];
                field->key = p;
                field->key_len = (uint32_t)plan_write_key(field->d->name, p);
                field->name = p + 2;
                field->name_len = field->key_len - 4;
                field->oneof = field->d->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;
                field->repeated = field->d->label == PROTOBUF_C_LABEL_REPEATED;
                p += field->key_len;
        }
        plan->shape = plan_shape(plan->type, &plan->ref);
}

static int plan_new(const ProtobufCMessageDescriptor *type, struct wire_plan **ret_plan)
{
        struct wire_plan *plan;
        size_t n = 0;

        if (type->n_fields > WIRE_FIELDS_MAX)
                return -E2BIG;
        for (unsigned i = 0; i < type->n_fields; i++)
                n += strlen(type->fields[i].name) + 4;
        plan = calloc(1, sizeof(*plan) + type->n_fields * sizeof(plan->fields[0]));
        if (!plan)
                return -ENOMEM;
        plan->type = type;
        plan->names = malloc(n + 1);
        if (!plan->names) {
                free(plan);
                return -ENOMEM;
        }
        plan_fill(plan);
        *ret_plan = plan;
        return 0;
}

int wire_plan_get(const ProtobufCMessageDescriptor *type, struct wire_plan **ret_plan)
{
        struct wire_plan *_Atomic *bucket = plan_bucket(type);
        struct wire_plan *first = atomic_load_explicit(bucket, memory_order_acquire);
        struct wire_plan *plan = plan_find(first, type);
        struct wire_plan *other;
        int r;

        if (!plan) {
                r = plan_new(type, &plan);
                if (r < 0)
                        return r;
                plan->next = first;
                while (!atomic_compare_exchange_weak_explicit(bucket, &plan->next, plan, memory_order_acq_rel,
                                                              memory_order_acquire)) {
                        other = plan_find(plan->next, type);
                        if (!other)
                                continue;
                        free(plan->names);
                        free(plan);
                        plan = other;
                        break;
                }
        }
        *ret_plan = plan;
        return 0;
}

int wire_plan_child(struct wire_field *field, struct wire_plan **ret_plan)
{
        struct wire_plan *child = atomic_load_explicit(&field->child, memory_order_acquire);
        int r;

        if (!child) {
                r = wire_plan_get(field->d->descriptor, &child);
                if (r < 0)
                        return r;
                atomic_store_explicit(&field->child, child, memory_order_release);
        }
        *ret_plan = child;
        return 0;
}

/* Senders mostly keep to the schema's order: looking on from the field before is one comparison */
static unsigned plan_after(unsigned hint, unsigned i, unsigned n_fields)
{
        return hint + i < n_fields ? hint + i : (hint + i) % n_fields;
}

int wire_plan_by_name(const struct wire_plan *plan, const char *name, size_t n, unsigned hint)
{
        unsigned n_fields = plan->type->n_fields;

        for (unsigned i = 0; i < n_fields; i++) {
                unsigned k = plan_after(hint, i, n_fields);
                const struct wire_field *field = &plan->fields[k];

                if (field->name_len == n && memcmp(field->name, name, n) == 0)
                        return (int)k;
        }
        return -1;
}

int wire_plan_by_id(const struct wire_plan *plan, uint32_t id, unsigned hint)
{
        unsigned n_fields = plan->type->n_fields;

        for (unsigned i = 0; i < n_fields; i++) {
                unsigned k = plan_after(hint, i, n_fields);

                if (plan->fields[k].d->id == id)
                        return (int)k;
        }
        return -1;
}

int wire_seen_mark(struct wire_seen *seen, const struct wire_plan *plan, unsigned field, unsigned *ret_other)
{
        const struct wire_field *f = &plan->fields[field];

        if (wire_seen_has(seen, field)) {
                *ret_other = field;
                return 1;
        }
        for (unsigned i = 0; f->oneof && i < plan->type->n_fields; i++)
                if (plan->fields[i].oneof && plan->fields[i].d->quantifier_offset == f->d->quantifier_offset &&
                    wire_seen_has(seen, i)) {
                        *ret_other = i;
                        return 1;
                }
        wire_seen_set(seen, field);
        return 0;
}

size_t wire_type_size(ProtobufCType type)
{
        switch (type) {
        case PROTOBUF_C_TYPE_INT32:
        case PROTOBUF_C_TYPE_SINT32:
        case PROTOBUF_C_TYPE_SFIXED32:
        case PROTOBUF_C_TYPE_UINT32:
        case PROTOBUF_C_TYPE_FIXED32:
        case PROTOBUF_C_TYPE_FLOAT:
        case PROTOBUF_C_TYPE_ENUM:
                return 4;
        case PROTOBUF_C_TYPE_INT64:
        case PROTOBUF_C_TYPE_SINT64:
        case PROTOBUF_C_TYPE_SFIXED64:
        case PROTOBUF_C_TYPE_UINT64:
        case PROTOBUF_C_TYPE_FIXED64:
        case PROTOBUF_C_TYPE_DOUBLE:
                return 8;
        case PROTOBUF_C_TYPE_BOOL:
                return sizeof(protobuf_c_boolean);
        case PROTOBUF_C_TYPE_STRING:
        case PROTOBUF_C_TYPE_MESSAGE:
                return sizeof(void *);
        case PROTOBUF_C_TYPE_BYTES:
                return sizeof(ProtobufCBinaryData);
        }
        return 0;
}
