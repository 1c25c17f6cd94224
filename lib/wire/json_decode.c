/* JSON -> messages. yyjson reads the text without recursion; what comes out is walked along the descriptors, so that
 * only what the schema knows is ever allocated. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/text.h"
#include "wire/json_value.h"
#include "wire/plan.h"

/* The keys of a frame that are not fields of its body */
struct frame_keys {
        yyjson_val *type, *ref;
};

static int decode_message(struct json_reader *r, struct wire_plan *plan, yyjson_val *object,
                          const struct frame_keys *skip, const struct wire_path *path, unsigned depth,
                          ProtobufCMessage **ret_message);

static int decode_child(struct json_reader *r, struct wire_field *field, yyjson_val *v, const struct wire_path *path,
                        unsigned depth, ProtobufCMessage **member)
{
        struct wire_plan *child;
        int e = wire_plan_child(field, &child);

        if (e != 0)
                return e;
        if (child->shape == WIRE_SHAPE_TIME)
                return json_time(r, v, path, member);
        return decode_message(r, child, v, NULL, path, depth + 1, member);
}

static int decode_value(struct json_reader *r, struct wire_field *field, yyjson_val *v, const struct wire_path *path,
                        unsigned depth, void *member)
{
        if (field->d->type == PROTOBUF_C_TYPE_MESSAGE)
                return decode_child(r, field, v, path, depth, member);
        return json_scalar(r, field->d, v, path, member);
}

static int decode_array(struct json_reader *r, struct wire_field *field, yyjson_val *array, struct wire_path *path,
                        unsigned depth, ProtobufCMessage *message)
{
        size_t *count = (size_t *)((char *)message + field->d->quantifier_offset);
        size_t size = wire_type_size(field->d->type), n = yyjson_arr_size(array);
        yyjson_arr_iter it;
        char *elements;
        int e = 0;

        if (!yyjson_is_arr(array))
                return json_fail_kind(r, path, "an array", array);
        if (n > r->limits.max_elements - r->elements)
                return wire_fail(r->error, WIRE_E_LIMIT, path, "too many elements: at most %zu in a frame",
                                 r->limits.max_elements);
        r->elements += n;
        if (n == 0)
                return 0;
        elements = calloc(n, size);
        if (!elements)
                return -ENOMEM;
        *(void **)((char *)message + field->d->offset) = elements;
        yyjson_arr_iter_init(array, &it);
        for (size_t i = 0; i < n && e == 0; i++) {
                path->index = i;
                e = decode_value(r, field, yyjson_arr_iter_next(&it), path, depth, elements + i * size);
                *count = i + 1; /* a half-read element is zero, which is fine to free */
        }
        path->index = WIRE_PATH_NO_INDEX;
        return e;
}

static int decode_field(struct json_reader *r, struct wire_field *field, yyjson_val *v, struct wire_path *path,
                        unsigned depth, ProtobufCMessage *message)
{
        char *member = (char *)message + field->d->offset;
        int e;

        if (field->repeated)
                return decode_array(r, field, v, path, depth, message);
        if (!field->oneof)
                return decode_value(r, field, v, path, depth, member);

        /* The members of a oneof share their place, which holds nothing until one is set */
        memset(member, 0, wire_type_size(field->d->type));
        e = decode_value(r, field, v, path, depth, member);
        if (e == 0)
                *(uint32_t *)((char *)message + field->d->quantifier_offset) = field->d->id;
        return e;
}

static int fail_seen(struct json_reader *r, const struct wire_plan *plan, unsigned field, unsigned other,
                     const struct wire_path *path)
{
        const struct wire_field *o = &plan->fields[other];

        if (field == other)
                return wire_fail(r->error, WIRE_E_FIELD, path, "given twice");
        return wire_fail(r->error, WIRE_E_FIELD, path, "cannot stand beside \"%.*s\"", (int)o->name_len, o->name);
}

/* One member of an object. Those in seen_null were given as null: they are unset, yet may not be given twice. */
static int decode_member(struct json_reader *r, struct wire_plan *plan, yyjson_val *key, const struct wire_path *up,
                         unsigned depth, struct wire_seen *seen, struct wire_seen *seen_null, unsigned *hint,
                         ProtobufCMessage *message)
{
        yyjson_val *v = yyjson_obj_iter_get_val(key);
        struct wire_path path = {
                .up = up, .name = yyjson_get_str(key), .n_name = yyjson_get_len(key), .index = WIRE_PATH_NO_INDEX};
        unsigned other;
        int k, e;

        e = json_check_text(r, up, path.name, path.n_name);
        if (e != 0)
                return e;
        k = wire_plan_by_name(plan, path.name, path.n_name, *hint);
        if (k < 0)
                return wire_fail(r->error, WIRE_E_FIELD, &path, "there is no such field");
        *hint = (unsigned)k + 1;
        if (wire_seen_has(seen_null, (unsigned)k) || (yyjson_is_null(v) && wire_seen_has(seen, (unsigned)k)))
                return fail_seen(r, plan, (unsigned)k, (unsigned)k, &path);
        if (yyjson_is_null(v)) {
                wire_seen_set(seen_null, (unsigned)k);
                return 0;
        }
        if (wire_seen_mark(seen, plan, (unsigned)k, &other) != 0)
                return fail_seen(r, plan, (unsigned)k, other, &path);
        return decode_field(r, &plan->fields[k], v, &path, depth, message);
}

static int decode_members(struct json_reader *r, struct wire_plan *plan, yyjson_val *object,
                          const struct frame_keys *skip, const struct wire_path *path, unsigned depth,
                          ProtobufCMessage *message)
{
        struct wire_seen seen = {0}, seen_null = {0};
        yyjson_obj_iter it;
        yyjson_val *key;
        unsigned hint = 0;
        int e = 0;

        yyjson_obj_iter_init(object, &it);
        while (e == 0 && (key = yyjson_obj_iter_next(&it))) {
                if (skip && (key == skip->type || key == skip->ref))
                        continue;
                e = decode_member(r, plan, key, path, depth, &seen, &seen_null, &hint, message);
        }
        return e;
}

static int decode_message(struct json_reader *r, struct wire_plan *plan, yyjson_val *object,
                          const struct frame_keys *skip, const struct wire_path *path, unsigned depth,
                          ProtobufCMessage **ret_message)
{
        ProtobufCMessage *message;
        int e;

        if (!yyjson_is_obj(object))
                return json_fail_kind(r, path, "an object", object);
        if (depth > r->limits.max_depth)
                return wire_fail(r->error, WIRE_E_LIMIT, path, "nested too deeply: at most %u levels",
                                 r->limits.max_depth);
        message = malloc(plan->type->sizeof_message);
        if (!message)
                return -ENOMEM;
        protobuf_c_message_init(plan->type, message);
        e = decode_members(r, plan, object, skip, path, depth, message);
        if (e != 0) {
                protobuf_c_message_free_unpacked(message, NULL);
                return e;
        }
        *ret_message = message;
        return 0;
}

/* --- frames --- */

static bool key_is(yyjson_val *key, const char *name)
{
        return yyjson_equals_str(key, name);
}

static int frame_keys_find(struct json_reader *r, yyjson_val *object, struct frame_keys *ret_keys)
{
        struct frame_keys keys = {0};
        yyjson_obj_iter it;
        yyjson_val *key;

        yyjson_obj_iter_init(object, &it);
        while ((key = yyjson_obj_iter_next(&it))) {
                yyjson_val **slot = key_is(key, "type") ? &keys.type : key_is(key, "ref") ? &keys.ref : NULL;

                if (slot && *slot)
                        return wire_fail(r->error, WIRE_E_FIELD, NULL, "%s: given twice", yyjson_get_str(key));
                if (slot)
                        *slot = key;
        }
        *ret_keys = keys;
        return 0;
}

static int frame_body(struct json_reader *r, struct wire_plan *plan, yyjson_val *key, struct wire_field **ret_field)
{
        static const struct wire_path path = {.name = "type", .n_name = 4, .index = WIRE_PATH_NO_INDEX};
        yyjson_val *v = key ? yyjson_obj_iter_get_val(key) : NULL;
        const char *name;
        int k, e;

        if (!v || yyjson_is_null(v))
                return wire_fail(r->error, WIRE_E_TYPE, &path, "missing: it names the frame");
        e = json_text(r, &path, "a string", v, &name);
        if (e != 0)
                return e;
        k = wire_plan_by_name(plan, name, yyjson_get_len(v), 0);
        if (k < 0 || !plan->fields[k].oneof) {
                struct wire_path shown = {.name = name, .n_name = yyjson_get_len(v), .index = WIRE_PATH_NO_INDEX};
                return wire_fail(r->error, WIRE_E_TYPE, &shown, "there is no frame of this type");
        }
        *ret_field = &plan->fields[k];
        return 0;
}

/* The body's fields stand in the frame's own object */
static int decode_frame_body(struct json_reader *r, struct wire_plan *plan, yyjson_val *object,
                             const struct frame_keys *keys, ProtobufCMessage *frame)
{
        struct wire_field *field = NULL;
        struct wire_plan *child = NULL;
        int e;

        e = frame_body(r, plan, keys->type, &field);
        if (e == 0)
                e = wire_plan_child(field, &child);
        if (e == 0)
                e = decode_message(r, child, object, keys, NULL, 2,
                                   (ProtobufCMessage **)((char *)frame + field->d->offset));
        if (e == 0)
                *(uint32_t *)((char *)frame + field->d->quantifier_offset) = field->d->id;
        return e;
}

static int decode_frame(struct json_reader *r, struct wire_plan *plan, yyjson_val *object,
                        ProtobufCMessage **ret_message)
{
        const ProtobufCFieldDescriptor *ref = &plan->type->fields[plan->ref];
        static const struct wire_path path = {.name = "ref", .n_name = 3, .index = WIRE_PATH_NO_INDEX};
        ProtobufCMessage *frame;
        struct frame_keys keys;
        yyjson_val *v;
        int e;

        if (!yyjson_is_obj(object))
                return json_fail_kind(r, NULL, "an object", object);
        e = frame_keys_find(r, object, &keys);
        if (e != 0)
                return e;
        frame = malloc(plan->type->sizeof_message);
        if (!frame)
                return -ENOMEM;
        protobuf_c_message_init(plan->type, frame);
        v = keys.ref ? yyjson_obj_iter_get_val(keys.ref) : NULL;
        if (v && !yyjson_is_null(v))
                e = json_scalar(r, ref, v, &path, (char *)frame + ref->offset);
        if (e == 0) {
                r->error->ref = *(uint32_t *)((char *)frame + ref->offset);
                e = decode_frame_body(r, plan, object, &keys, frame);
        }
        if (e != 0) {
                protobuf_c_message_free_unpacked(frame, NULL);
                return e;
        }
        *ret_message = frame;
        return 0;
}

/* --- the text --- */

/* Text that is JSON but for its characters is read once more without that check, so that the error can name the field:
 * the walk finds the string that is wrong, if it finds nothing else before. */
static int json_read(struct json_reader *r, const char *json, size_t n, yyjson_doc **ret_doc)
{
        yyjson_read_err err = {0};
        yyjson_doc *doc;

        if (n == 0)
                return wire_fail(r->error, WIRE_E_SYNTAX, NULL, "not JSON: it is empty");
        doc = yyjson_read_opts((char *)json, n, YYJSON_READ_NOFLAG, NULL, &err);
        if (!doc && err.code == YYJSON_READ_ERROR_INVALID_STRING && !utf8_valid(json, n)) {
                r->check_utf8 = true;
                doc = yyjson_read_opts((char *)json, n, YYJSON_READ_ALLOW_INVALID_UNICODE, NULL, &err);
        }
        if (!doc && err.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
                return -ENOMEM;
        if (!doc)
                return wire_fail(r->error, WIRE_E_SYNTAX, NULL, "not JSON: %s at byte %zu", err.msg, err.pos);
        *ret_doc = doc;
        return 0;
}

static int decode(const ProtobufCMessageDescriptor *type, const char *json, size_t n, const struct wire_limits *limits,
                  bool is_frame, ProtobufCMessage **ret_message, struct wire_error *ret_error)
{
        struct json_reader r = {.limits = wire_limits_effective(limits), .error = ret_error};
        struct wire_plan *plan = NULL;
        yyjson_doc *doc = NULL;
        int e;

        *ret_error = (struct wire_error){0};
        e = wire_check_size(n, &r.limits, ret_error);
        if (e == 0)
                e = wire_plan_get(type, &plan);
        if (e == 0 && is_frame && plan->shape != WIRE_SHAPE_FRAME)
                e = -EINVAL;
        if (e == 0)
                e = json_read(&r, json, n, &doc);
        if (e != 0)
                return e;
        if (is_frame)
                e = decode_frame(&r, plan, yyjson_doc_get_root(doc), ret_message);
        else if (plan->shape == WIRE_SHAPE_TIME)
                e = json_time(&r, yyjson_doc_get_root(doc), NULL, ret_message);
        else
                e = decode_message(&r, plan, yyjson_doc_get_root(doc), NULL, NULL, 1, ret_message);
        yyjson_doc_free(doc);
        return e;
}

int wire_json_decode(const ProtobufCMessageDescriptor *type, const char *json, size_t n,
                     const struct wire_limits *limits, ProtobufCMessage **ret_message, struct wire_error *ret_error)
{
        return decode(type, json, n, limits, false, ret_message, ret_error);
}

int wire_frame_json_decode(const ProtobufCMessageDescriptor *type, const char *json, size_t n,
                           const struct wire_limits *limits, ProtobufCMessage **ret_message,
                           struct wire_error *ret_error)
{
        return decode(type, json, n, limits, true, ret_message, ret_error);
}
