/* What the codec costs on the hot path: an event and a replay of 200 of them, as JSON and as protobuf, both ways, compressed,
 * and written by yyjson's mutable documents for comparison. Prints microseconds a call, the best of five runs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <yyjson.h>
#include <zlib.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "parley/v1/client.pb-c.h"
#include "wire/wire.h"

#define N_REPLAY 200

static double now_us(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

struct work {
        const ProtobufCMessage *frame;
        struct buf json, proto, out;
};

/* --- the comparison: the same JSON through yyjson's mutable documents --- */

static yyjson_mut_val *mut_message(yyjson_mut_doc *doc, const ProtobufCMessage *message, yyjson_mut_val *object);

static yyjson_mut_val *mut_value(yyjson_mut_doc *doc, const ProtobufCFieldDescriptor *field, const void *member)
{
        switch (field->type) {
        case PROTOBUF_C_TYPE_UINT64:
                return yyjson_mut_uint(doc, *(const uint64_t *)member);
        case PROTOBUF_C_TYPE_UINT32:
                return yyjson_mut_uint(doc, *(const uint32_t *)member);
        case PROTOBUF_C_TYPE_BOOL:
                return yyjson_mut_bool(doc, *(const int *)member);
        case PROTOBUF_C_TYPE_ENUM:
                return yyjson_mut_str(
                        doc, protobuf_c_enum_descriptor_get_value(field->descriptor, *(const int *)member)->name);
        case PROTOBUF_C_TYPE_STRING:
                return yyjson_mut_str(doc, *(const char *const *)member);
        default:
                return mut_message(doc, *(const ProtobufCMessage *const *)member, yyjson_mut_obj(doc));
        }
}

static yyjson_mut_val *mut_array(yyjson_mut_doc *doc, const ProtobufCFieldDescriptor *field,
                                 const ProtobufCMessage *message)
{
        size_t n = *(const size_t *)((const char *)message + field->quantifier_offset);
        const char *elements = *(const char *const *)((const char *)message + field->offset);
        yyjson_mut_val *array = yyjson_mut_arr(doc);

        for (size_t i = 0; i < n; i++)
                yyjson_mut_arr_append(array, mut_value(doc, field, elements + i * sizeof(void *)));
        return array;
}

static yyjson_mut_val *mut_message(yyjson_mut_doc *doc, const ProtobufCMessage *message, yyjson_mut_val *object)
{
        char time[RFC3339_LEN + 1];

        if (strcmp(message->descriptor->name, "google.protobuf.Timestamp") == 0) {
                const Google__Protobuf__Timestamp *t = (const Google__Protobuf__Timestamp *)message;
                rfc3339_format(t->seconds, t->nanos, time);
                return yyjson_mut_strcpy(doc, time);
        }
        for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
                const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
                const char *member = (const char *)message + field->offset;

                if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF &&
                    *(const uint32_t *)((const char *)message + field->quantifier_offset) != field->id)
                        continue;
                if (field->label == PROTOBUF_C_LABEL_REPEATED)
                        yyjson_mut_obj_add_val(doc, object, field->name, mut_array(doc, field, message));
                else if (field->type != PROTOBUF_C_TYPE_MESSAGE || *(const void *const *)member)
                        yyjson_mut_obj_add_val(doc, object, field->name, mut_value(doc, field, member));
        }
        return object;
}

/* --- the work --- */

static void json_encode(struct work *w)
{
        w->out.len = 0;
        if (wire_frame_json_encode(w->frame, &w->out) != 0)
                abort();
}

static void json_encode_yyjson(struct work *w)
{
        yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        size_t n;
        char *text;

        yyjson_mut_doc_set_root(doc, mut_message(doc, w->frame, yyjson_mut_obj(doc)));
        text = yyjson_mut_write(doc, 0, &n);
        if (!text)
                abort();
        free(text);
        yyjson_mut_doc_free(doc);
}

static void proto_encode(struct work *w)
{
        w->out.len = 0;
        if (wire_proto_encode_delimited(w->frame, &w->out) != 0)
                abort();
}

static void decoded(int e, ProtobufCMessage *message)
{
        if (e != 0)
                abort();
        protobuf_c_message_free_unpacked(message, NULL);
}

static void json_decode(struct work *w)
{
        ProtobufCMessage *message = NULL;
        struct wire_error error;

        decoded(wire_frame_json_decode(w->frame->descriptor, (const char *)w->json.data, w->json.len, NULL, &message,
                                       &error),
                message);
}

static void proto_decode(struct work *w)
{
        ProtobufCMessage *message = NULL;
        struct wire_error error;

        decoded(wire_proto_decode(w->frame->descriptor, w->proto.data, w->proto.len, NULL, &message, &error), message);
}

/* Without the scan that comes before */
static void proto_unpack(struct work *w)
{
        ProtobufCMessage *message = protobuf_c_message_unpack(w->frame->descriptor, NULL, w->proto.len, w->proto.data);

        decoded(message ? 0 : -1, message);
}

static void deflate_json(struct work *w)
{
        w->out.len = 0;
        (void)wire_deflate(w->json.data, w->json.len, &w->out);
}

static void measure(const char *name, void (*run)(struct work *), struct work *w, unsigned n)
{
        double best = 1e18;

        for (unsigned round = 0; round < 5; round++) {
                double begin = now_us();

                for (unsigned i = 0; i < n; i++)
                        run(w);
                if (now_us() - begin < best)
                        best = now_us() - begin;
        }
        printf("  %-34s %10.2f us\n", name, best / n);
}

static void measure_levels(const struct work *w)
{
        uint8_t *out = malloc(w->json.len);

        for (int level = 1; level <= 9; level++) {
                double begin = now_us();
                z_stream z = {.next_in = w->json.data,
                              .avail_in = (uInt)w->json.len,
                              .next_out = out,
                              .avail_out = (uInt)w->json.len};

                if (deflateInit2(&z, level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK ||
                    deflate(&z, Z_FINISH) != Z_STREAM_END)
                        abort();
                deflateEnd(&z);
                printf("  zlib level %d: %lu of %zu bytes, %.0f us\n", level, z.total_out, w->json.len,
                       now_us() - begin);
        }
        free(out);
}

static void measure_frame(const char *name, const ProtobufCMessage *frame, unsigned n)
{
        struct work w = {
                .frame = frame, .json = BUF_INIT(1 << 24), .proto = BUF_INIT(1 << 24), .out = BUF_INIT(1 << 24)};

        if (wire_frame_json_encode(frame, &w.json) != 0 || wire_proto_encode(frame, &w.proto) != 0)
                abort();
        printf("%s: %zu bytes of JSON, %zu of protobuf\n", name, w.json.len, w.proto.len);
        measure("JSON encode", json_encode, &w, n);
        measure("JSON encode, yyjson mutable", json_encode_yyjson, &w, n);
        measure("JSON decode", json_decode, &w, n);
        measure("protobuf encode", proto_encode, &w, n);
        measure("protobuf decode", proto_decode, &w, n);
        measure("protobuf unpack, not scanned", proto_unpack, &w, n);
        measure("deflate of the JSON", deflate_json, &w, n / 10);
        if (w.json.len > 10000)
                measure_levels(&w);
        buf_done(&w.json);
        buf_done(&w.proto);
        buf_done(&w.out);
}

/* --- sample frames --- */

struct sample {
        Parley__V1__Event event;
        Parley__V1__Message message;
        Google__Protobuf__Timestamp time;
        char id[40], content[160], sender[24];
};

static void sample_init(struct sample *s, unsigned i)
{
        static const char *const words[] = {"the",    "release", "is",  "waiting", "for",     "somebody", "to", "look",
                                            "at",     "build",   "42,", "again",   "please,", "and",      "I",  "think",
                                            "that's", "fine",    "now", "but",     "tests?",  "“ok”",     "no", "yes!"};
        unsigned random = i * 2654435761u + 12345;

        parley__v1__event__init(&s->event);
        parley__v1__message__init(&s->message);
        google__protobuf__timestamp__init(&s->time);
        s->time.seconds = 1767323045 + i;
        s->time.nanos = (int)(i * 7919 % 1000) * 1000000;
        snprintf(s->id, sizeof(s->id), "019b7c%02x-%04x-7%03x-8%03x-%012x", i & 255, random & 0xffff, random >> 20,
                 i & 0xfff, random);
        snprintf(s->sender, sizeof(s->sender), "user-%u", random % 17);
        for (s->content[0] = '\0'; strlen(s->content) < 120;) {
                random = random * 1103515245 + 12345;
                strcat(strcat(s->content, words[random >> 8 & 15 ? random >> 12 & 15 : random >> 20 & 7]), " ");
        }
        s->message.id = s->event.id = s->id;
        s->message.channel_id = s->event.channel_id = (char *)"general";
        s->message.sender_id = s->message.sender_name = s->event.actor_id = s->sender;
        s->message.content = s->content;
        s->message.created_at = s->event.created_at = &s->time;
        s->message.seq = s->event.seq = 100000 + i;
        s->event.prev = 99999 + i;
        s->event.body_case = PARLEY__V1__EVENT__BODY_MESSAGE;
        s->event.message = &s->message;
}

int main(void)
{
        _cleanup_free_ struct sample *samples = calloc(N_REPLAY, sizeof(*samples));
        Parley__V1__Event *events[N_REPLAY];
        Parley__V1__ServerFrame frame = PARLEY__V1__SERVER_FRAME__INIT, replay_frame = PARLEY__V1__SERVER_FRAME__INIT;
        Parley__V1__Replay replay = PARLEY__V1__REPLAY__INIT;

        if (!samples)
                return EXIT_FAILURE;
        for (unsigned i = 0; i < N_REPLAY; i++) {
                sample_init(&samples[i], i);
                events[i] = &samples[i].event;
        }
        frame.body_case = PARLEY__V1__SERVER_FRAME__BODY_EVENT;
        frame.event = events[0];
        measure_frame("event", &frame.base, 20000);

        replay.channel_id = (char *)"general";
        replay.n_events = N_REPLAY;
        replay.events = events;
        replay_frame.body_case = PARLEY__V1__SERVER_FRAME__BODY_REPLAY;
        replay_frame.replay = &replay;
        measure_frame("replay of 200", &replay_frame.base, 200);
        return EXIT_SUCCESS;
}
