/* The chain: whatever the message system does, every client sees the log. */
#include "gateway_fake.h"

#include "gateway/channel.h"

#define ROOM "room"

static struct fake *world(void)
{
        struct fake *f = fake_new();

        fake_start(f);
        fake_put_channel(f, ROOM, true, false);
        return f;
}

/* What was removed from the log before it was seen may be missing, nothing else */
static void model_check(struct fake *f, const struct fake_view *v, const char *channel, uint64_t seed)
{
        assert_int_equal(v->breaks, 0);
        assert_int_equal(v->gaps, 0);
        for (size_t n = 1; n < v->n_seqs; n++)
                assert_true(v->seqs[n] > v->seqs[n - 1]);
        for (size_t n = 0, at = 0; n < f->n_log; n++) {
                if (strcmp(f->log[n].channel, channel) != 0)
                        continue;
                while (at < v->n_seqs && v->seqs[at] < f->log[n].seq)
                        at++;
                if (!f->log[n].removed && (at == v->n_seqs || v->seqs[at] != f->log[n].seq))
                        fail_msg("seed %llu: event %llu of %s is missing", (unsigned long long)seed,
                                 (unsigned long long)f->log[n].seq, channel);
        }
}

/* Random loss, repetition and reordering of live copies, with several channels and clients that come and go */
static void model(uint64_t seed)
{
        struct fake *f = world();
        struct fake_client *clients[8];
        static const char *const channels[] = {ROOM, "second", "third"};

        f->seed = seed;
        fake_put_channel(f, "second", true, false);
        fake_put_channel(f, "third", true, false);
        f->config.tail_events = 8;
        for (unsigned i = 0; i < 8; i++)
                clients[i] = fake_connect(f, "ada", ENCODING_PROTO);
        f->lose = 20;
        f->repeat = 20;
        f->swap = 30;
        for (unsigned i = 0; i < 600; i++) {
                uint64_t dice = unit_random(&f->seed) % 100;

                fake_message(f, channels[unit_random(&f->seed) % 3], "bob", "x");
                if (dice < 30)
                        fake_run(f);
                if (dice == 31)
                        fake_remove(f, 1 + unit_random(&f->seed) % (f->next_seq - 1));
                if (dice == 32)
                        f->history_down = !f->history_down;
                if (dice == 33)
                        fake_reconnect(f);
        }
        f->lose = 0;
        f->history_down = false;
        fake_run(f);
        /* the lost last ones are found by the digest of whoever stored them, here by a reconnect */
        fake_reconnect(f);
        fake_advance(f, 3000);
        for (unsigned i = 0; i < 8; i++)
                for (unsigned k = 0; k < 3; k++)
                        model_check(f, fake_view(clients[i], channels[k]), channels[k], seed);
        fake_free(f);
}

static void test_model(void **state)
{
        (void)state;
        for (uint64_t seed = 1; seed <= 40; seed++)
                model(seed);
}

static void test_order_is_the_logs(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        for (unsigned i = 0; i < 50; i++)
                fake_message(f, ROOM, "bob", "x");
        fake_run(f);
        fake_check_complete(c, ROOM);
        assert_int_equal(fake_view(c, ROOM)->n_seqs, 50);
        assert_int_equal(f->n_direct, 0); /* nothing had to be mended */
        fake_free(f);
}

static void test_a_lost_copy_is_fetched(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        fake_message(f, ROOM, "bob", "1");
        f->lose = 100;
        fake_message(f, ROOM, "bob", "2");
        fake_message(f, ROOM, "bob", "3");
        f->lose = 0;
        fake_message(f, ROOM, "bob", "4");
        fake_run(f);
        fake_check_complete(c, ROOM);
        assert_in_range(f->n_direct, 2, 3);
        fake_free(f);
}

static void test_the_lost_last_one_is_found_by_a_digest(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        Parley__V1__Digest digest = PARLEY__V1__DIGEST__INIT;
        Parley__V1__Digest__Head head = PARLEY__V1__DIGEST__HEAD__INIT, *heads[] = {&head};
        uint8_t data[128];

        (void)state;
        fake_message(f, ROOM, "bob", "1");
        f->lose = 100;
        head.seq = fake_message(f, ROOM, "bob", "2");
        fake_run(f);
        assert_int_equal(fake_view(c, ROOM)->n_seqs, 1);
        digest.source = (char *)"history";
        digest.epoch = FAKE_EPOCH;
        head.channel_id = (char *)ROOM;
        digest.heads = heads;
        digest.n_heads = 1;
        f->core->up.publish(f, "digest.0", data, parley__v1__digest__pack(&digest, data));
        fake_run(f);
        fake_advance(f, 1000);
        fake_check_complete(c, ROOM);
        fake_free(f);
}

static void test_our_own_ack_finds_the_lost_copy(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        char id[37];

        (void)state;
        fake_uuid(f, id);
        f->lose = 100;
        fake_client_message(c, ROOM, id, "x", false);
        fake_run(f);
        assert_int_equal(fake_view(c, ROOM)->n_seqs, 0);
        fake_advance(f, 1000);
        fake_check_complete(c, ROOM);
        fake_free(f);
}

static void test_away_and_back(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        fake_message(f, ROOM, "bob", "1");
        fake_run(f);
        f->connected = false;
        for (unsigned i = 0; i < 200; i++)
                fake_message(f, ROOM, "bob", "missed");
        fake_run(f);
        fake_reconnect(f);
        fake_advance(f, 1000);
        fake_check_complete(c, ROOM);
        assert_int_equal(fake_view(c, ROOM)->n_seqs, 201);
        fake_free(f);
}

static void test_removed_predecessor(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        uint64_t seq;

        (void)state;
        fake_message(f, ROOM, "bob", "1");
        seq = fake_message(f, ROOM, "bob", "2");
        fake_run(f);
        fake_remove(f, seq); /* the next one's prev points further back */
        fake_message(f, ROOM, "bob", "3");
        fake_run(f);
        fake_check_complete(c, ROOM);
        fake_free(f);
}

static void test_trimmed_while_away_comes_from_history(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        fake_message(f, ROOM, "bob", "1");
        fake_run(f);
        f->connected = false;
        for (unsigned i = 0; i < 20; i++)
                fake_message(f, ROOM, "bob", "missed");
        fake_trim(f, 15);
        fake_reconnect(f);
        fake_advance(f, 2000);
        fake_check_complete(c, ROOM);
        assert_true(f->n_history > 0);
        fake_free(f);
}

static void test_what_cannot_be_mended_is_said(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        struct fake_view *v;

        (void)state;
        fake_message(f, ROOM, "bob", "1");
        fake_run(f);
        f->connected = false;
        for (unsigned i = 0; i < 20; i++)
                fake_message(f, ROOM, "bob", "missed");
        fake_trim(f, 15);
        f->history_down = true;
        fake_reconnect(f);
        fake_advance(f, 5000);
        v = fake_view(c, ROOM);
        assert_int_equal(v->gaps, 0); /* it is still tried */
        fake_advance(f, 10000);
        assert_int_equal(v->gaps, 1);
        assert_true(v->cursor == f->next_seq - 1);
        fake_message(f, ROOM, "bob", "and on");
        fake_run(f);
        assert_int_equal(v->breaks, 0);
        assert_true(v->cursor == f->next_seq - 1);
        fake_free(f);
}

static void test_new_epoch(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        struct fake_view *v = fake_view(c, ROOM);

        (void)state;
        for (unsigned i = 0; i < 5; i++)
                fake_message(f, ROOM, "bob", "old");
        fake_run(f);
        f->connected = false;
        fake_message(f, ROOM, "bob", "missed, and only in history");
        fake_new_stream(f);
        fake_message(f, ROOM, "bob", "new");
        fake_reconnect(f);
        fake_advance(f, 2000);
        fake_check_complete(c, ROOM);
        assert_true(v->epoch == f->epoch);
        assert_int_equal(v->n_seqs, 7);
        fake_free(f);
}

/* A disaster: every replica went down before the end was on disk. What comes now has sequences that were seen before. */
static void test_the_log_lost_its_end(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        struct fake_view *v = fake_view(c, ROOM);

        (void)state;
        for (unsigned i = 0; i < 10; i++)
                fake_message(f, ROOM, "bob", "x");
        fake_run(f);
        assert_true(v->cursor == 10);
        f->connected = false;
        while (f->n_log > 7)
                free(f->log[--f->n_log].data);
        f->next_seq = 8;
        fake_reconnect(f);
        fake_advance(f, 1000);
        assert_int_equal(v->gaps, 1);
        assert_string_equal(fake_last(c, PARLEY__V1__SERVER_FRAME__BODY_GAP)->gap->reason, "cursor_ahead");
        assert_true(v->cursor == 7);
        /* the new eighth is not taken for the old one */
        fake_message(f, ROOM, "bob", "another eighth");
        fake_run(f);
        assert_true(v->cursor == 8);
        assert_int_equal(v->breaks, 0);
        fake_free(f);
}

/* What is stored while the log's end is asked for may come before the answer, which does not know it */
static void test_the_end_is_asked_for_while_more_comes(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        struct fake_view *v = fake_view(c, ROOM);

        (void)state;
        for (unsigned i = 0; i < 2; i++)
                fake_message(f, ROOM, "bob", "x");
        fake_run(f);
        fake_remove(f, 2);
        chain_verify(channel_find(f->core, ROOM));
        fake_step(f); /* the newest is less than was seen: the end is asked for */
        f->swap = 100;
        fake_message(f, ROOM, "bob", "overtakes the answer");
        fake_run(f);
        assert_true(v->cursor == 3);
        assert_int_equal(v->gaps, 0);
        fake_free(f);
}

/* A sequence is heard of that the stream does not have: what comes later must not be taken for known */
static void test_a_false_digest(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        fake_message(f, ROOM, "bob", "1");
        fake_run(f);
        chain_expect(channel_find(f->core, ROOM), 50, 10);
        fake_advance(f, 2000);
        for (unsigned i = 0; i < 5; i++)
                fake_message(f, ROOM, "bob", "x");
        fake_run(f);
        fake_check_complete(c, ROOM);
        assert_int_equal(fake_view(c, ROOM)->n_seqs, 6);
        fake_free(f);
}

static void test_held_copies_are_bounded(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        struct channel *room = channel_find(f->core, ROOM);
        char *big = calloc(1, 4001);

        (void)state;
        memset(big, 'x', 4000);
        fake_message(f, ROOM, "bob", "1");
        fake_run(f);
        f->lose = 100;
        fake_message(f, ROOM, "bob", "lost");
        f->lose = 0;
        /* the fetch that would mend it is not answered: everything piles up behind the break */
        for (unsigned i = 0; i < 3000; i++) {
                char subject[] = "live.0." ROOM;
                uint64_t seq = fake_message(f, ROOM, "bob", big);
                const struct fake_event *e = &f->log[f->n_log - 1];

                chain_offer(room,
                            &(struct bus_msg){
                                    .subject = subject, .data = e->data, .len = e->len, .seq = seq, .prev = seq - 1});
                assert_true(room->held_bytes <= 2 * 1024 * 1024);
        }
        assert_in_range(room->n_held, 100, 1024);
        fake_run(f);
        fake_advance(f, 2000);
        fake_check_complete(c, ROOM);
        free(big);
        fake_free(f);
}

static void test_unreadable_event_keeps_the_chain(void **state)
{
        struct fake *f = world();
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        Parley__V1__Event event = PARLEY__V1__EVENT__INIT;
        const Parley__V1__ServerFrame *last;

        (void)state;
        fake_message(f, ROOM, "bob", "1");
        event.channel_id = (char *)"another"; /* somebody published rubbish */
        event.id = event.actor_id = (char *)"x";
        fake_store(f, &event);
        strcpy(f->log[f->n_log - 1].channel, ROOM);
        fake_message(f, ROOM, "bob", "3");
        fake_run(f);
        fake_check_complete(c, ROOM);
        last = c->frames[c->n_frames - 2];
        assert_int_equal(last->event->body_case, PARLEY__V1__EVENT__BODY_REMOVED);
        assert_int_equal(last->event->removed->reason, PARLEY__V1__EVENT_REMOVED__REASON__rejected);
        fake_free(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_order_is_the_logs),
                cmocka_unit_test(test_a_lost_copy_is_fetched),
                cmocka_unit_test(test_the_lost_last_one_is_found_by_a_digest),
                cmocka_unit_test(test_our_own_ack_finds_the_lost_copy),
                cmocka_unit_test(test_away_and_back),
                cmocka_unit_test(test_removed_predecessor),
                cmocka_unit_test(test_trimmed_while_away_comes_from_history),
                cmocka_unit_test(test_what_cannot_be_mended_is_said),
                cmocka_unit_test(test_new_epoch),
                cmocka_unit_test(test_the_log_lost_its_end),
                cmocka_unit_test(test_the_end_is_asked_for_while_more_comes),
                cmocka_unit_test(test_a_false_digest),
                cmocka_unit_test(test_held_copies_are_bounded),
                cmocka_unit_test(test_unreadable_event_keeps_the_chain),
                cmocka_unit_test(test_model),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
