/* What NATS puts around our messages (headers, reply subjects, JetStream's JSON) and the events inside, as gateways read them. */
#include "base/ident.h"
#include "base/text.h"
#include "bus/codec.h"
#include "bus/jsapi.h"
#include "bus/subjects.h"
#include "fuzz.h"
#include "parley/v1/internal.pb-c.h"
#include "wire/event.h"

/* --- headers and subjects: text --- */

static void check_headers(const char *text, size_t n)
{
        static const char *const names[] = {HEADER_TRACE_ID, HEADER_MSG_ID, HEADER_SEQUENCE, HEADER_LAST_SEQUENCE,
                                            HEADER_TIME_STAMP};
        char value[64];

        for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                if (!codec_raw_header(text, n, names[i], value, sizeof(value)))
                        continue;
                REQUIRE(strlen(value) < sizeof(value) && memmem(text, n, names[i], strlen(names[i])));
                (void)codec_header_u64(value);
                (void)codec_time_ns(value);
        }
}

static void check_text(const char *s)
{
        struct delivery d;
        char subject[SUBJECT_MAX];
        const char *list = s, *channel = subject_channel(s);

        if (codec_delivery(s, &d) == 0)
                REQUIRE(codec_is_delivery(s) && d.consumer > s && d.consumer + d.n_consumer <= s + strlen(s));
        REQUIRE(!channel || (channel > s && channel <= s + strlen(s)));
        REQUIRE(!codec_name_valid(s) || (strlen(s) <= 64 && codec_subject_valid(s, false)));
        REQUIRE(!codec_key_valid(s) || strlen(s) <= 128);
        REQUIRE(!codec_subject_valid(s, false) || codec_subject_valid(s, true));
        while (codec_next_subject(&list, subject) > 0)
                REQUIRE(codec_subject_valid(subject, true) && list <= s + strlen(s));
        if (channel && ident_valid(channel))
                REQUIRE(subject_shard(channel, 7) < 7);
        REQUIRE(codec_header_u64(s) == 0 || *s != '-');
        (void)codec_time_ns(s);
}

/* --- answers of JetStream --- */

static void check_result(int e, const struct jsapi_result *result)
{
        REQUIRE(e == result->error && e >= 0);
        REQUIRE((e == 0) == (result->text[0] == 0));
        REQUIRE(strlen(result->text) < sizeof(result->text));
}

static void check_answers(const uint8_t *data, size_t n)
{
        static const struct bus_stream_config config = {.name = "CHAT_0", .subject = "chat.0.>"};
        struct jsapi_result result = {0};
        struct jsapi_message m = {0};
        struct bus_ack ack = {0};
        struct bus_stream_info info = {0};
        uint64_t pending = 0;
        char *body = NULL;

        check_result(jsapi_parse_ack(data, n, &ack, &result), &result);
        check_result(jsapi_parse_done(data, n, &result), &result);
        check_result(jsapi_parse_consumer(data, n, &pending, &result), &result);
        check_result(jsapi_parse_stream(data, n, &info, &result), &result);
        if (jsapi_parse_message(data, n, &m, &result) == 0) {
                REQUIRE(m.subject && strlen(m.subject) <= n && m.len <= n);
                jsapi_message_done(&m);
        }
        (void)jsapi_stream_update(data, n, &config, &body);
        free(body);
}

/* --- the event inside --- */

static void check_event(const uint8_t *data, size_t n)
{
        Parley__V1__Event *event = NULL, *again = NULL;
        struct wire_error error;
        uint8_t one[FINGERPRINT_LEN], two[FINGERPRINT_LEN];
        struct buf packed = BUF_INIT(1 << 24);
        int e = event_decode(data, n, 7, 5, &event, &error);

        REQUIRE(e >= 0 && (e == 0) == (event != NULL));
        if (e) {
                REQUIRE(error.detail[0] && utf8_valid(error.detail, strlen(error.detail)));
                return;
        }
        REQUIRE(event->seq == 7 && event->prev == 5);
        REQUIRE(event_fingerprint(event, one) == 0);
        REQUIRE(wire_proto_encode(&event->base, &packed) == 0);
        REQUIRE(event_decode(packed.data, packed.len, 7, 5, &again, &error) == 0);
        REQUIRE(event_fingerprint(again, two) == 0 && memcmp(one, two, sizeof(one)) == 0);
        REQUIRE(strcmp(event_kind(event), event_kind(again)) == 0);
        parley__v1__event__free_unpacked(event, NULL);
        parley__v1__event__free_unpacked(again, NULL);
        buf_done(&packed);
}

/* What services tell each other is read without a scan: by our own services alone */
static void check_internal(const uint8_t *data, size_t n)
{
        static const ProtobufCMessageDescriptor *const types[] = {&parley__v1__memberships__descriptor,
                                                                  &parley__v1__user_signal__descriptor,
                                                                  &parley__v1__digest__descriptor,
                                                                  &parley__v1__membership_change__descriptor,
                                                                  &parley__v1__events_response__descriptor,
                                                                  &parley__v1__lookup_response__descriptor,
                                                                  &parley__v1__event_response__descriptor,
                                                                  &parley__v1__gateway_alive__descriptor,
                                                                  &parley__v1__membership_applied__descriptor,
                                                                  &parley__v1__channel__descriptor};

        for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++)
                protobuf_c_message_free_unpacked(protobuf_c_message_unpack(types[i], NULL, n, data), NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        char *text;

        if (n == 0)
                return 0;
        text = strndup((const char *)data + 1, n - 1);
        switch (data[0] % 4) {
        case 0:
                check_headers((const char *)data + 1, n - 1);
                check_text(text);
                break;
        case 1:
                check_answers(data + 1, n - 1);
                break;
        case 2:
                check_event(data + 1, n - 1);
                break;
        default:
                check_internal(data + 1, n - 1);
                break;
        }
        free(text);
        return 0;
}
