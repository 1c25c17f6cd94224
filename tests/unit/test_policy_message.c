/* What a message may be, at each limit and one beyond it. */
#include "base/ident.h"
#include "policy/message.h"
#include "unit.h"

#define ID "00000000-0000-4000-8000-000000000001"

static const struct message_limits limits = {.max_content_bytes = 5, .max_mentions = 2, .max_attachments = 1};
enum { STORE_SUM = 75 }; /* "<hex>-<n>" of 64, 1 and 10 characters */

static struct message_fields message(void)
{
        return (struct message_fields){.id = ID, .content = "hello", .thread_id = "", .reply_to = ""};
}

static void expect(const struct message_fields *m, enum parley_code code, const char *what)
{
        char text[128] = "";

        assert_int_equal(message_check(m, &limits, text, sizeof(text)), code);
        assert_string_equal(text, what);
}

static void test_ids(void **state)
{
        struct message_fields m = message();

        (void)state;
        expect(&m, PARLEY_OK, "");
        m.id = "";
        expect(&m, PARLEY_BAD_REQUEST, "id must be a UUID");
        m.id_optional = true;
        expect(&m, PARLEY_OK, "");
        m.id = "x";
        expect(&m, PARLEY_BAD_REQUEST, "id must be a UUID");
        m = message();
        m.thread_id = m.reply_to = ID;
        expect(&m, PARLEY_OK, "");
        m.thread_id = "x";
        expect(&m, PARLEY_BAD_REQUEST, "threadId must be a UUID");
        m.thread_id = "";
        m.reply_to = "x";
        expect(&m, PARLEY_BAD_REQUEST, "replyTo must be a UUID");
}

static void test_attachments(void **state)
{
        struct message_fields m = message();

        (void)state;
        m.n_attachments = 1;
        expect(&m, PARLEY_OK, "");
        m.content = "";
        expect(&m, PARLEY_OK, "");
        m.n_attachments = 2;
        expect(&m, PARLEY_BAD_REQUEST, "attachments has 2 entries; at most 1 are taken");
}

static void test_content(void **state)
{
        struct message_fields m = message();

        (void)state;
        m.content = "";
        expect(&m, PARLEY_BAD_REQUEST, "content is empty");
        m.content = "hello!";
        expect(&m, PARLEY_TOO_LARGE, "content has 6 bytes; at most 5 are taken");
        m = message();
        m.type = PARLEY__V1__MESSAGE__TYPE__file;
        expect(&m, PARLEY_OK, "");
        m.type = PARLEY__V1__MESSAGE__TYPE__system;
        expect(&m, PARLEY_BAD_REQUEST, "type must be text, image or file");
}

static void test_mentions(void **state)
{
        char ada[] = "ada", bad[] = "a,b";
        char *mentions[] = {ada, ada, bad};
        struct message_fields m = message();

        (void)state;
        m.mentions = mentions;
        m.n_mentions = 2;
        expect(&m, PARLEY_OK, "");
        m.n_mentions = 3;
        expect(&m, PARLEY_BAD_REQUEST, "mentions has 3 entries; at most 2 are taken");
        m.mentions = mentions + 1;
        m.n_mentions = 2;
        expect(&m, PARLEY_BAD_REQUEST, "mentions[1] is no user id");
}

static void test_event(void **state)
{
        Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        const struct message_author author = {.channel_id = "c", .user_id = "ada", .name = "Ada", .at = &at};
        struct message_fields m = message();
        Parley__V1__Message body;
        Parley__V1__Event e;

        (void)state;
        m.thread_id = "t";
        m.reply_to = "r";
        m.type = PARLEY__V1__MESSAGE__TYPE__image;
        message_event(&m, &author, &e, &body);
        assert_int_equal(e.body_case, PARLEY__V1__EVENT__BODY_MESSAGE);
        assert_ptr_equal(e.message, &body);
        assert_string_equal(e.id, ID);
        assert_string_equal(body.id, ID);
        assert_string_equal(e.channel_id, "c");
        assert_string_equal(body.channel_id, "c");
        assert_string_equal(e.actor_id, "ada");
        assert_string_equal(body.sender_id, "ada");
        assert_string_equal(body.sender_name, "Ada");
        assert_string_equal(body.content, "hello");
        assert_string_equal(body.thread_id, "t");
        assert_string_equal(body.reply_to, "r");
        assert_int_equal(body.type, PARLEY__V1__MESSAGE__TYPE__image);
        assert_ptr_equal(e.created_at, &at);
        assert_ptr_equal(body.created_at, &at);
}

static char *text_of(size_t n)
{
        char *text = malloc(n + 1);

        assert_non_null(text);
        memset(text, 'x', n);
        text[n] = '\0';
        return text;
}

/* The longest event that can be made fits what is said of it, and that is not much more. */
static void test_event_max(void **state)
{
        const struct message_limits most = {.max_content_bytes = 524288, .max_mentions = 1000, .max_attachments = 100};
        char file_name[256], type[128], blurhash[167], sum[STORE_SUM + 1];
        Parley__V1__Attachment file = PARLEY__V1__ATTACHMENT__INIT, *files[100];
        Parley__V1__Thumbnail thumbnail = PARLEY__V1__THUMBNAIL__INIT;
        Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        char *content = text_of(524288), *ident = text_of(IDENT_MAX), *name = text_of(128), *mentions[1000];
        const struct message_author author = {.channel_id = ident, .user_id = ident, .name = name, .at = &at};
        struct message_fields m = {.id = ID, .content = content, .thread_id = ID, .reply_to = ID};
        Parley__V1__Message body;
        Parley__V1__Event e;
        char error[256] = "";
        size_t n;

        (void)state;
        for (unsigned i = 0; i < 1000; i++)
                mentions[i] = ident;
        m.mentions = mentions;
        m.n_mentions = 1000;
        (void)snprintf(file_name, sizeof(file_name), "%0255d", 0);
        (void)snprintf(blurhash, sizeof(blurhash), "%0166d", 0);
        (void)snprintf(type, sizeof(type), "%0127d", 0);
        (void)snprintf(sum, sizeof(sum), "%0*d", STORE_SUM, 0);
        file.id = (char *)ID;
        file.name = file_name;
        file.content_type = type;
        file.sha256 = sum;
        file.size = UINT64_MAX;
        file.width = file.height = UINT32_MAX;
        file.blurhash = blurhash;
        file.thumbnail = &thumbnail;
        thumbnail.id = (char *)"0-" ID;
        thumbnail.content_type = (char *)"image/jpeg";
        thumbnail.size = 256 << 10;
        thumbnail.width = thumbnail.height = 512;
        for (unsigned i = 0; i < 100; i++)
                files[i] = &file;
        m.attachments = files;
        m.n_attachments = 100;
        m.type = PARLEY__V1__MESSAGE__TYPE__file;
        at.seconds = INT64_C(253402300799);
        at.nanos = 999999999;
        message_event(&m, &author, &e, &body);
        e.seq = e.prev = UINT64_MAX;
        n = parley__v1__event__get_packed_size(&e);
        assert_in_range(message_event_max(&most), n, n + 16384);
        assert_int_equal(message_limits_check(&most, message_event_max(&most), error, sizeof(error)), 0);
        assert_true(message_limits_check(&most, message_event_max(&most) - 1, error, sizeof(error)) < 0);
        assert_non_null(strstr(error, "PARLEY_MAX_EVENT_BYTES"));
        assert_non_null(strstr(error, "PARLEY_MAX_CONTENT_BYTES=524288"));
        assert_true(message_json_max(&most) >= 6 * 524288 + 1000 * (IDENT_MAX + 3));
        free(content);
        free(ident);
        free(name);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ids),         cmocka_unit_test(test_content), cmocka_unit_test(test_mentions),
                cmocka_unit_test(test_attachments), cmocka_unit_test(test_event),   cmocka_unit_test(test_event_max),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
