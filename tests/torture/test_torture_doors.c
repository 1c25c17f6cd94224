/* The doors that a request comes through, without the network behind them: frames in both encodings, the router, settings, tokens. Each
 * allocation fails once; the answer is -ENOMEM, and the outputs are untouched. */
#include <errno.h>

#include "auth/auth.h"
#include "auth/keyset.h"
#include "auth_fixtures.h"
#include "gateway/frame.h"
#include "gateway/gateway_config.h"
#include "http/router.h"
#include "torture.h"
#include "unit.h"
#include "wire/event.h"

/* --- frames --- */

static const char send_json[] =
        "{\"type\":\"send\",\"ref\":7,\"channelId\":\"general\",\"message\":{\"id\":\"00000000-0000-4000-8000-000000000001\","
        "\"content\":\"hi\",\"mentions\":[\"ann\",\"bob\"]}}";

static void run_frame_json(void *arg)
{
        ProtobufCMessage *message = NULL;
        struct wire_error error;
        int r;

        (void)arg;
        torture_begin();
        r = wire_frame_json_decode(&parley__v1__client_frame__descriptor, send_json, strlen(send_json), NULL, &message,
                                   &error);
        torture_end();
        assert_int_equal(r, torture_failed() ? -ENOMEM : 0);
        assert_true((r == 0) == (message != NULL));
        protobuf_c_message_free_unpacked(message, NULL);
}

struct packed {
        uint8_t data[512];
        size_t n;
};

static void run_frame_proto(void *arg)
{
        const struct packed *in = arg;
        ProtobufCMessage *message = NULL;
        struct wire_error error;
        int r;

        torture_begin();
        r = wire_proto_decode(&parley__v1__client_frame__descriptor, in->data, in->n, NULL, &message, &error);
        torture_end();
        assert_int_equal(r, torture_failed() ? -ENOMEM : 0);
        assert_true((r == 0) == (message != NULL));
        protobuf_c_message_free_unpacked(message, NULL);
}

static void run_event(void *arg)
{
        const struct packed *in = arg;
        Parley__V1__Event *event = NULL;
        uint8_t fingerprint[FINGERPRINT_LEN];
        struct wire_error error;
        int r;

        torture_begin();
        r = event_decode(in->data, in->n, 5, 4, &event, &error);
        if (r == 0)
                r = event_fingerprint(event, fingerprint);
        torture_end();
        assert_int_equal(r, torture_failed() ? -ENOMEM : 0);
        parley__v1__event__free_unpacked(event, NULL);
}

static void run_encode(void *arg)
{
        struct buf scratch = BUF_INIT(1 << 20);

        for (enum encoding e = ENCODING_JSON; e <= ENCODING_PROTO; e++) {
                struct frame *f = NULL;
                int r;

                torture_begin();
                r = frame_encode(&scratch, arg, e, &f);
                torture_end();
                assert_true(r == 0 ? f && f->refs == 1 : r == -ENOMEM && torture_failed() && !f);
                frame_unref(f);
        }
        buf_done(&scratch);
}

static void pack(struct packed *out, const ProtobufCMessage *message)
{
        out->n = protobuf_c_message_get_packed_size(message);
        assert_true(out->n <= sizeof(out->data));
        protobuf_c_message_pack(message, out->data);
}

static void test_frames(void **state)
{
        Parley__V1__ServerFrame frame = PARLEY__V1__SERVER_FRAME__INIT;
        Parley__V1__Event event = PARLEY__V1__EVENT__INIT;
        Parley__V1__Message message = PARLEY__V1__MESSAGE__INIT;
        Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        struct packed packed;
        ProtobufCMessage *client = NULL;
        struct wire_error error;

        (void)state;
        /* first, so that the plans of the types are made here, too */
        assert_in_range(torture_each(run_frame_json, NULL), 8, 500);
        assert_int_equal(wire_frame_json_decode(&parley__v1__client_frame__descriptor, send_json, strlen(send_json),
                                                NULL, &client, &error),
                         0);
        pack(&packed, client);
        protobuf_c_message_free_unpacked(client, NULL);
        assert_in_range(torture_each(run_frame_proto, &packed), 5, 500);
        event.channel_id = message.channel_id = (char *)"general";
        event.id = message.id = (char *)"00000000-0000-4000-8000-000000000001";
        event.actor_id = message.sender_id = (char *)"ann";
        event.created_at = message.created_at = &at;
        message.content = (char *)"hi";
        event.body_case = PARLEY__V1__EVENT__BODY_MESSAGE;
        event.message = &message;
        pack(&packed, &event.base);
        assert_in_range(torture_each(run_event, &packed), 5, 500);
        frame.body_case = PARLEY__V1__SERVER_FRAME__BODY_EVENT;
        frame.event = &event;
        assert_in_range(torture_each(run_encode, &frame), 2, 500);
}

/* --- the router --- */

static void answer(struct http_request *rq, void *userdata)
{
        (void)rq;
        (void)userdata;
}

static void run_router(void *arg)
{
        static const struct http_route routes[] = {
                {.method = "GET", .path = "/api/channels/{id}/messages", .handler = answer},
                {.method = "POST", .path = "/api/channels/{id}/messages", .handler = answer},
                {.method = "GET", .path = "/api/me", .handler = answer}};
        struct http_router *router = NULL;
        int r;

        (void)arg;
        torture_begin();
        r = http_router_new(&router, routes, 3);
        torture_end();
        assert_int_equal(r, torture_failed() ? -ENOMEM : 0);
        assert_true((r == 0) == (router != NULL));
        http_router_free(router);
}

static void test_router(void **state)
{
        (void)state;
        assert_in_range(torture_each(run_router, NULL), 3, 500);
}

/* --- settings --- */

static const char *environment(const char *name, void *userdata)
{
        (void)userdata;
        if (strcmp(name, "PARLEY_JWT_SECRET") == 0)
                return FIXTURE_SECRET;
        return strcmp(name, "PARLEY_GATEWAY_ID") == 0 ? "gw-1" : NULL;
}

static void run_config(void *arg)
{
        struct gateway_config config;
        char error[256] = "";
        int r;

        (void)arg;
        torture_begin();
        r = config_load(gateway_config_items, gateway_config_n_items, &config, environment, NULL, error, sizeof(error));
        torture_end();
        assert_int_equal(r, torture_failed() ? -ENOMEM : 0);
        if (r == 0)
                config_done(gateway_config_items, gateway_config_n_items, &config);
        else
                assert_true(error[0] && !strstr(error, FIXTURE_SECRET));
}

static void test_config(void **state)
{
        (void)state;
        assert_in_range(torture_each(run_config, NULL), 5, 500);
}

/* --- tokens. OpenSSL's own memory is not tried --- */

static void run_auth(void *arg)
{
        const struct auth_options options = {.secret = FIXTURE_SECRET,
                                             .jwks_json = FIXTURE_JWKS,
                                             .issuer = FIXTURE_ISSUER,
                                             .audience = FIXTURE_AUDIENCE};
        struct auth *a = NULL;
        struct auth_claims claims;
        char error[256] = "", *token = NULL;
        int r;

        (void)arg;
        torture_begin();
        r = auth_new(&a, &options, error, sizeof(error));
        if (r == 0)
                r = auth_sign(a, "ann", "Ann", false, 1800000000, 60, &token);
        if (r == 0)
                r = auth_verify(a, token, strlen(token), 1800000001, &claims);
        torture_end();
        assert_int_equal(r, torture_failed() ? -ENOMEM : 0);
        free(token);
        auth_free(a);
}

static void test_auth(void **state)
{
        (void)state;
        assert_in_range(torture_each(run_auth, NULL), 5, 2000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_frames),
                cmocka_unit_test(test_router),
                cmocka_unit_test(test_config),
                cmocka_unit_test(test_auth),
        };
        return cmocka_run_group_tests_name("torture/doors", tests, NULL, NULL);
}
