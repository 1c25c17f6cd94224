/* Bodies of history's REST requests: read as rest_body does, checked as the handlers do; a message that is taken can be ingested. */
#include "base/cleanup.h"
#include "base/ident.h"
#include "base/text.h"
#include "fuzz.h"
#include "fuzz_body.h"
#include "history/ingest_core.h"
#include "history/members_core.h"
#include "policy/message.h"

/* max_elements: as in rest.c */
enum { BODY_MAX = 65536, ELEMENTS_MAX = 2000, NAME_MAX_BYTES = 128, TOPIC_MAX_BYTES = 512 };

static const struct message_limits message_limits = {.max_content_bytes = 2048, .max_mentions = 5};

/* What the door lets in the log's reader must take, or an acknowledged message would be lost */
static void check_ingest(const Parley__V1__Event *event)
{
        const struct ingest_limits limits = {.max_event_bytes = (size_t)message_event_max(&message_limits)};
        struct ingest_batch batch = {0};
        struct ingest_rows rows;
        struct buf packed = BUF_INIT(1 << 20);

        REQUIRE(wire_proto_encode(&event->base, &packed) == 0);
        REQUIRE(packed.len <= limits.max_event_bytes);
        REQUIRE(ingest_batch_add(&batch, &limits, "chat.0.general", packed.data, packed.len, 7, 1000) == 0);
        REQUIRE(batch.items[0].verdict == INGEST_APPLY);
        REQUIRE(ingest_batch_close(&batch) == 0);
        REQUIRE(ingest_rows_build(&batch, 0, 1, &rows) == 0);
        REQUIRE(rows.messages.n == 1);
        ingest_rows_done(&rows);
        ingest_batch_done(&batch);
        buf_done(&packed);
}

static void check_send(const Parley__V1__SendRequest *body)
{
        Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        const struct message_author author = {.channel_id = "general", .user_id = "ann", .name = "Ann", .at = &at};
        struct message_fields m = {.id = body->id,
                                   .content = body->content,
                                   .thread_id = body->thread_id,
                                   .reply_to = body->reply_to,
                                   .type = body->type,
                                   .mentions = body->mentions,
                                   .n_mentions = body->n_mentions,
                                   .id_optional = true};
        Parley__V1__Event event;
        Parley__V1__Message message;
        char what[128] = "";

        at.seconds = 1800000000;
        if (message_check(&m, &message_limits, what, sizeof(what)) != PARLEY_OK) {
                REQUIRE(what[0] && utf8_valid(what, strlen(what)));
                return;
        }
        if (!*m.id)
                m.id = "00000000-0000-4000-8000-000000000001";
        message_event(&m, &author, &event, &message);
        check_ingest(&event);
}

static void check_change(const Parley__V1__ChangeChannelRequest *body, uint8_t who)
{
        Parley__V1__Channel before = PARLEY__V1__CHANNEL__INIT, after;
        Parley__V1__Role role = (Parley__V1__Role)(who & 7) % 5;
        enum parley_code code;

        before.id = before.name = (char *)"general";
        before.kind = (Parley__V1__Channel__Kind)(who >> 3 & 1);
        before.archived = (who & 0x10) != 0;
        before.everyone = (who & 0x20) != 0;
        after = before;
        code = members_change_channel(&after, body, role, who & 0x80);
        if (role == PARLEY__V1__ROLE__none && !(who & 0x80) && !before.everyone)
                REQUIRE(code != PARLEY_OK);
        if (code == PARLEY_OK && !body->new_name_case)
                REQUIRE(after.name == before.name);
        if (code == PARLEY_OK && !(who & 0x80))
                REQUIRE(after.everyone == before.everyone);
        if (code == PARLEY_OK && !body->new_archived_case)
                REQUIRE(after.archived == before.archived);
        REQUIRE(after.id == before.id && after.kind == before.kind);
        (void)members_same_channel(&before, &after);
}

static void check_names(const char *name, const char *topic)
{
        REQUIRE(!members_text_valid(name, NAME_MAX_BYTES) || strlen(name) <= NAME_MAX_BYTES);
        REQUIRE(!members_text_valid(topic, TOPIC_MAX_BYTES) || strlen(topic) <= TOPIC_MAX_BYTES);
        REQUIRE(!members_text_valid(name, NAME_MAX_BYTES) || !strpbrk(name, "\r\n\t\x7f"));
}

static void check_body(const ProtobufCMessage *body, uint8_t who)
{
        if (body->descriptor == &parley__v1__send_request__descriptor) {
                check_send((const Parley__V1__SendRequest *)body);
        } else if (body->descriptor == &parley__v1__change_channel_request__descriptor) {
                const Parley__V1__ChangeChannelRequest *b = (const void *)body;

                check_names(b->new_name_case ? b->name : "", b->new_topic_case ? b->topic : "");
                check_change(b, who);
        } else if (body->descriptor == &parley__v1__create_channel_request__descriptor) {
                const Parley__V1__CreateChannelRequest *b = (const void *)body;

                check_names(b->name, b->topic);
                for (size_t i = 0; i < b->n_members; i++)
                        (void)ident_valid(b->members[i]);
        } else if (body->descriptor == &parley__v1__add_member_request__descriptor) {
                check_names(((const Parley__V1__AddMemberRequest *)body)->name, "");
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        static const ProtobufCMessageDescriptor *const types[] = {
                &parley__v1__send_request__descriptor, &parley__v1__change_channel_request__descriptor,
                &parley__v1__create_channel_request__descriptor, &parley__v1__add_member_request__descriptor,
                &parley__v1__demo_session_request__descriptor};
        ProtobufCMessage *body;

        if (n < 2 || n > BODY_MAX)
                return 0;
        body = fuzz_body_read(types[data[0] % ARRAY_SIZE(types)], data + 2, n - 2, ELEMENTS_MAX);
        if (!body)
                return 0;
        check_body(body, data[1]);
        protobuf_c_message_free_unpacked(body, NULL);
        return 0;
}
