/* Bodies of presence's REST requests: read as its handler does; a status that is taken is kept whole, ends when it says, and is told as it is kept. */
#include "base/text.h"
#include "fuzz.h"
#include "fuzz_body.h"
#include "presence/status.h"

#define NOW_S INT64_C(1800000000)

/* as in rest.c */
enum { BODY_MAX = 8 << 10, ELEMENTS_MAX = 100 };

static void check_ends(struct status *s)
{
        unsigned n = 0;

        for (int64_t end; (end = status_next_end(s)) != 0; n++) {
                REQUIRE(n < 2 && end > NOW_S);
                REQUIRE(!status_expire(s, end - 1));
                REQUIRE(status_expire(s, end));
        }
        REQUIRE(!status_expire(s, INT64_MAX));
}

static void check_seen(const struct status *s, const Parley__V1__Status *body)
{
        REQUIRE(status_availability(s, false, true) == PARLEY__V1__USER_PRESENCE__AVAILABILITY__offline);
        if (body->mode == PARLEY__V1__STATUS__MODE__invisible)
                REQUIRE(status_availability(s, true, true) == PARLEY__V1__USER_PRESENCE__AVAILABILITY__offline);
        else
                REQUIRE(status_availability(s, true, true) != PARLEY__V1__USER_PRESENCE__AVAILABILITY__offline);
}

/* What is kept is what was said, to the last byte: status_new cuts off what is too long, and nothing that passed the check may be */
static void check_kept(const Parley__V1__Status *body)
{
        struct status *s = status_new(body);

        REQUIRE(s && s->mode == (uint8_t)body->mode);
        REQUIRE(strcmp(s->text, body->text) == 0 && strcmp(s->emoji, body->emoji) == 0);
        REQUIRE(utf8_valid(s->text, strlen(s->text)) && !strpbrk(s->text, "\r\n\t\x7f"));
        check_seen(s, body);
        check_ends(s);
        if (body->text_until)
                REQUIRE(!*s->text && !*s->emoji);
        if (body->mode_until)
                REQUIRE(s->mode == PARLEY__V1__STATUS__MODE__automatic);
        if (body->mode_until && body->text_until)
                REQUIRE(status_empty(s) == !body->hide_last_seen);
        status_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        const Parley__V1__Status *status;
        ProtobufCMessage *body;
        char what[128] = "";

        if (n > BODY_MAX)
                return 0;
        body = fuzz_body_read(&parley__v1__status__descriptor, data, n, ELEMENTS_MAX);
        if (!body)
                return 0;
        status = (const Parley__V1__Status *)body;
        if (status_check(status, NOW_S, what, sizeof(what)) == 0)
                check_kept(status);
        else
                REQUIRE(what[0] && strlen(what) + 1 < sizeof(what));
        protobuf_c_message_free_unpacked(body, NULL);
        return 0;
}
