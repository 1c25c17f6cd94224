/* A batch of history's ingest while memory runs out, once at each place: -ENOMEM, and the same batch gets through afterwards. */
#include <errno.h>

#include "history_drafts.h"
#include "torture.h"

struct message {
        char subject[SUBJECT_MAX];
        uint8_t bytes[1024];
        size_t n;
};

struct script {
        struct message messages[16];
        unsigned n;
};

static void script_add(struct script *s, const struct draft *d)
{
        struct message *m = &s->messages[s->n++];

        subject_chat(m->subject, 0, d->event.channel_id);
        m->n = parley__v1__event__get_packed_size(&d->event);
        assert_true(m->n <= sizeof(m->bytes));
        (void)parley__v1__event__pack(&d->event, m->bytes);
}

static void script_message(struct script *s, const char *channel, const char *actor, const char *id)
{
        static char *mentions[] = {(char *)"bob", (char *)"cid"};
        struct draft d;

        draft_init(&d, channel, actor, id);
        d.message.mentions = mentions;
        d.message.n_mentions = 2;
        script_add(s, &d);
}

/* One of each kind, one twice, one that is rejected, one that cannot be read */
static void script_init(struct script *s)
{
        struct draft d;

        s->n = 0;
        script_message(s, "a", "ada", ID("1"));
        script_message(s, "b", "bob", ID("2"));
        script_message(s, "a", "ada", ID("1"));
        draft_init(&d, "a", "ada", ID("3"));
        d.event.body_case = PARLEY__V1__EVENT__BODY_MESSAGE_EDITED;
        d.event.message_edited = &d.edited;
        d.edited.target_seq = 1;
        d.edited.content = (char *)"new";
        script_add(s, &d);
        draft_init(&d, "a", "ada", ID("4"));
        d.event.body_case = PARLEY__V1__EVENT__BODY_MESSAGE_DELETED;
        d.event.message_deleted = &d.deleted;
        d.deleted.target_seq = 1;
        script_add(s, &d);
        draft_init(&d, "a", "ada", ID("5"));
        d.event.body_case = PARLEY__V1__EVENT__BODY_MEMBER_JOINED;
        d.event.member_joined = &d.joined;
        d.joined.user_id = (char *)"bob";
        d.joined.name = (char *)"Bob";
        d.joined.role = PARLEY__V1__ROLE__member;
        d.joined.version = 1;
        script_add(s, &d);
        draft_init(&d, "a", "ada", ID("6"));
        d.event.body_case = PARLEY__V1__EVENT__BODY_MEMBER_LEFT;
        d.event.member_left = &d.left;
        d.left.user_id = (char *)"bob";
        d.left.version = 2;
        script_add(s, &d);
        draft_init(&d, "a", "ada", ID("7"));
        d.event.body_case = PARLEY__V1__EVENT__BODY_CHANNEL_CHANGED;
        d.event.channel_changed = &d.changed;
        d.changed.channel = &d.channel;
        d.channel.id = d.channel.name = (char *)"a";
        d.channel.created_by = (char *)"ada";
        d.channel.created_at = &d.at;
        d.channel.version = 2;
        script_add(s, &d);
        draft_init(&d, "a", "a b", ID("8"));
        script_add(s, &d);
        draft_init(&d, "a", "ada", ID("9"));
        script_add(s, &d);
        memset(s->messages[s->n - 1].bytes, 0xff, 16);
}

/* 0 or -ENOMEM */
static int ingest(const struct script *s, struct ingest_batch *b, struct ingest_rows *rows, bool *ret_built)
{
        int r = 0;

        for (unsigned i = 0; r == 0 && i < s->n; i++)
                r = ingest_batch_add(b, &limits, s->messages[i].subject, s->messages[i].bytes, s->messages[i].n, 10 + i,
                                     1000);
        if (r == 0)
                r = ingest_batch_close(b);
        if (r == 0) {
                *ret_built = true;
                r = ingest_rows_build(b, 0, b->n, rows);
        }
        return r;
}

static void check_rows(const struct script *s, const struct ingest_batch *b, const struct ingest_rows *rows)
{
        assert_int_equal(b->n, s->n);
        assert_int_equal(rows->events.n, s->n);
        assert_int_equal(rows->messages.n, 2);
        assert_int_equal(rows->mutations.n, 2);
        assert_int_equal(rows->members.n, 2);
        assert_int_equal(rows->channels.n, 1);
        assert_int_equal(rows->heads.n, 2);
        assert_int_equal(rows->users.n, 3 - 1);
        assert_int_equal(b->items[2].verdict, INGEST_DUPLICATE);
        assert_int_equal(b->items[s->n - 2].verdict, INGEST_REJECT);
        assert_int_equal(b->items[s->n - 1].verdict, INGEST_REJECT);
}

static void run_batch(void *arg)
{
        const struct script *s = arg;
        struct ingest_batch b = {0};
        struct ingest_rows rows = {0};
        bool built = false;
        int r;

        torture_begin();
        r = ingest(s, &b, &rows, &built);
        torture_end();
        assert_int_equal(r, torture_failed() ? -ENOMEM : 0);
        if (built && r)
                ingest_rows_done(&rows);
        if (r) {
                /* the same batch again, now that there is memory: nothing of the first try is in the way */
                ingest_batch_reset(&b);
                assert_int_equal(ingest(s, &b, &rows, &built), 0);
        }
        check_rows(s, &b, &rows);
        ingest_rows_done(&rows);
        ingest_batch_done(&b);
}

static void test_batch(void **state)
{
        static struct script s;

        (void)state;
        script_init(&s);
        assert_in_range(torture_each(run_batch, &s), 100, 5000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_batch),
        };
        return cmocka_run_group_tests_name("torture/ingest", tests, NULL, NULL);
}
