/* When an instance speaks, and what it says: a bus that brings back what is said, unless it stands still. */
#include <stdio.h>
#include <stdlib.h>

#include "bus/bus.h"
#include "bus/subjects.h"
#include "presence/voice_impl.h"
#include "presence_world.h"

static struct {
        bus_handler on_changes;
        bool stands_still;
        unsigned n_users, n_asked, n_gaps; /* said on presence.user.*; on presence.sync; jumps of the counter */
        uint64_t counter;                  /* of what was said last */
        char user[IDENT_MAX + 1];          /* the last on presence.user.* */
        struct voice *voice;
        struct world world;
} t;

/* --- in place of the bus, and of what else voice consists of --- */

int bus_subscribe(struct bus *bus, const char *subject, const char *queue, bus_handler handler, void *userdata,
                  struct bus_sub **ret_sub)
{
        (void)bus;
        (void)queue;
        (void)userdata;
        *ret_sub = (struct bus_sub *)&t; /* only compared */
        if (strcmp(subject, SUBJECT_PRESENCE_CHANGES) == 0)
                t.on_changes = handler;
        return 0;
}

void bus_unsubscribe(struct bus_sub *sub)
{
        (void)sub;
}

int bus_publish(struct bus *bus, const char *subject, const void *data, size_t len, const char *trace_id)
{
        const struct bus_msg msg = {.subject = subject, .data = data, .len = len};

        (void)bus;
        (void)trace_id;
        if (strncmp(subject, "presence.user.", 14) == 0) {
                (void)snprintf(t.user, sizeof(t.user), "%s", subject + 14);
                t.n_users++;
        }
        t.n_asked += strcmp(subject, SUBJECT_PRESENCE_SYNC) == 0;
        if (strcmp(subject, SUBJECT_PRESENCE_CHANGES) == 0) {
                Parley__V1__PresenceChanges *m = parley__v1__presence_changes__unpack(NULL, len, data);

                assert_non_null(m);
                t.n_gaps += m->counter > t.counter + 1;
                t.counter = m->counter;
                parley__v1__presence_changes__free_unpacked(m, NULL);
                if (!t.stands_still) {
                        uint8_t *copy = malloc(len + 1);

                        assert_non_null(copy);
                        memcpy(copy, data, len);
                        t.on_changes(&(struct bus_msg){.subject = msg.subject, .data = copy, .len = len}, t.voice);
                        free(copy);
                }
        }
        return 0;
}

void voice_answer_begin(struct voice *v)
{
        (void)v;
}

void voice_answer_end(struct voice *v)
{
        (void)v;
}

void voice_store_some(struct voice *v)
{
        (void)v;
}

void voice_store_clear(struct voice *v)
{
        (void)v;
}

/* --- the world --- */

static void before(void *userdata)
{
        (void)userdata;
        if (roster_time(t.world.roster, t.world.now_ms, WORLD_START_S + (int64_t)(t.world.now_ms / 1000)))
                voice_doubt(t.voice);
}

static int setup(void **state)
{
        struct voice_options options = {.instance = "me", .before = before};

        (void)state;
        memset(&t, 0, sizeof(t));
        world_init(&t.world);
        options.roster = t.world.roster;
        return voice_new(&t.voice, &options);
}

static int teardown(void **state)
{
        (void)state;
        voice_stop(t.voice);
        voice_free(t.voice);
        world_done(&t.world);
        return 0;
}

static void pass(uint64_t ms)
{
        for (; ms; ms -= 100) {
                t.world.now_ms += 100;
                voice_tick(t.voice, sources_settled(&t.world.roster->sources));
        }
}

/* 30 s: it does not say what it cannot know, and goes on behind a gap, which makes those who listen ask */
static void test_we_stood_still(void **state)
{
        (void)state;
        pass(2000);
        world_tell(&t.world, "gw0", 7, 1, "ada", 1, true);
        pass(1000);
        assert_true(voice_leading(t.voice));
        assert_int_equal(t.n_users, 1);
        t.n_gaps = 0;
        t.world.now_ms += 30000;
        pass(100);
        assert_false(voice_leading(t.voice));
        assert_int_equal(t.n_asked, 1);
        pass(2000);
        assert_false(voice_leading(t.voice)); /* not before the gateway has answered */
        world_snapshot(&t.world, "gw0", 7, 2, (const char *const[]){"ada"}, 1);
        pass(1200);
        assert_true(voice_leading(t.voice));
        assert_int_equal(t.n_gaps, 1);
        assert_int_equal(t.n_users, 1);
        assert_int_equal(t.world.n_stored, 0);
}

/* It is ready for others when it answers, or another one does; and stays so while one takes over from the other */
static void test_begun(void **state)
{
        (void)state;
        assert_false(voice_begun(t.voice));
        pass(2000);
        assert_true(voice_leading(t.voice) && voice_begun(t.voice));
        voice_doubt(t.voice);
        assert_true(!voice_leading(t.voice) && voice_begun(t.voice));
}

static void another_speaks(const char *source)
{
        Parley__V1__PresenceChanges m = PARLEY__V1__PRESENCE_CHANGES__INIT;
        uint8_t data[64];
        struct bus_msg msg = {.subject = SUBJECT_PRESENCE_CHANGES, .data = data};

        m.source = (char *)source;
        msg.len = parley__v1__presence_changes__pack(&m, data);
        t.on_changes(&msg, t.voice);
}

static void test_begun_by_another(void **state)
{
        (void)state;
        another_speaks("a"); /* before us */
        assert_true(!voice_leading(t.voice) && voice_begun(t.voice));
}

/* bob came while its connection was away for a moment. Nobody else has told it, and nothing would again. */
static void test_news_of_a_silence(void **state)
{
        (void)state;
        pass(2000);
        world_tell(&t.world, "gw0", 7, 1, "ada", 1, true);
        pass(1000);
        assert_int_equal(t.n_users, 1);
        voice_deaf(t.voice);
        pass(1000);
        voice_connected(t.voice);
        world_snapshot(&t.world, "gw0", 7, 2, (const char *const[]){"ada", "bob"}, 2);
        pass(1000);
        assert_false(voice_leading(t.voice));
        assert_int_equal(t.n_users, 1);
        pass(1000);
        assert_true(voice_leading(t.voice));
        assert_int_equal(t.n_users, 2);
        assert_string_equal(t.user, "bob");
}

/* But not what another one told while it spoke */
static void test_news_of_another(void **state)
{
        (void)state;
        pass(2000);
        assert_true(voice_leading(t.voice));
        another_speaks("a"); /* before us */
        world_tell(&t.world, "gw0", 7, 1, "ada", 1, true);
        pass(2900);
        assert_false(voice_leading(t.voice));
        pass(1000);
        assert_true(voice_leading(t.voice));
        assert_int_equal(t.n_users, 0);
        world_tell(&t.world, "gw0", 7, 2, "bob", 1, true);
        pass(1000);
        assert_int_equal(t.n_users, 1);
}

/* NATS dropped some of what gateways said: all are asked, and what they have now is told */
static void test_messages_were_dropped(void **state)
{
        (void)state;
        pass(2000);
        world_tell(&t.world, "gw0", 7, 1, "ada", 1, true);
        world_tell(&t.world, "gw0", 7, 2, "bob", 1, true);
        pass(1000);
        t.n_asked = t.n_users = 0;
        voice_lost(t.voice);
        assert_int_equal(t.n_asked, 1);
        assert_false(sources_settled(&t.world.roster->sources)); /* nor is what there is known, for whoever asks */
        assert_true(voice_leading(t.voice));
        world_snapshot(&t.world, "gw0", 7, 9, (const char *const[]){"ada"}, 1);
        pass(11000);
        assert_int_equal(t.n_users, 1);
        assert_string_equal(t.user, "bob");
}

/* Its connection is open, and nothing comes over it, not even what we say ourselves */
static void test_nats_stands_still(void **state)
{
        (void)state;
        pass(2000);
        world_tell(&t.world, "gw0", 7, 1, "ada", 1, true);
        pass(1000);
        t.stands_still = true;
        pass(60000);
        assert_false(voice_leading(t.voice));
        assert_int_equal(t.n_users, 1);
        t.stands_still = false;
        voice_connected(t.voice);
        world_snapshot(&t.world, "gw0", 7, 2, (const char *const[]){"ada"}, 1);
        pass(1600);
        assert_true(voice_leading(t.voice));
        pass(20000);
        assert_int_equal(t.n_users, 1);
        assert_int_equal(t.world.n_stored, 0);
}

/* What integrations hear does not show that somebody invisible comes and goes */
static void test_nothing_of_the_invisible(void **state)
{
        Parley__V1__Status s = PARLEY__V1__STATUS__INIT;

        (void)state;
        s.mode = PARLEY__V1__STATUS__MODE__invisible;
        pass(2000);
        assert_int_equal(roster_status(t.world.roster, "ada", &s), 0);
        pass(1000);
        t.n_users = 0;
        world_tell(&t.world, "gw0", 7, 1, "ada", 1, true);
        pass(1000);
        world_tell(&t.world, "gw0", 7, 2, "ada", 0, true);
        pass(11000);
        assert_int_equal(t.n_users, 0);
        world_tell(&t.world, "gw0", 7, 3, "bob", 1, true);
        pass(1000);
        assert_int_equal(t.n_users, 1);
}

/* Another instance was to write when somebody was here last, and is gone: nothing in the bucket says that it did */
static void test_last_seen_of_the_one_before(void **state)
{
        Parley__V1__PresenceRecord record = PARLEY__V1__PRESENCE_RECORD__INIT;
        Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

        (void)state;
        pass(100);
        world_tell(&t.world, "gw0", 7, 1, "ada", 1, true);
        world_tell(&t.world, "gw0", 7, 2, "ada", 0, true);
        world_tell(&t.world, "gw0", 7, 3, "bob", 1, true);
        world_tell(&t.world, "gw0", 7, 4, "bob", 0, true);
        t.voice->leader.heard_ms = t.world.now_ms + 20000; /* it speaks until then */
        pass(11000);
        at.seconds = (int64_t)world_person(&t.world, "bob")->last_seen_min * 60;
        record.last_seen_at = &at;
        assert_int_equal(roster_record(t.world.roster, "bob", &record, 1), 0);
        t.world.n_stored = 0;
        pass(14000);
        assert_true(voice_leading(t.voice));
        assert_int_equal(t.world.n_stored, 1);
        assert_string_equal(t.world.stored[0], "ada");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_we_stood_still, setup, teardown),
                cmocka_unit_test_setup_teardown(test_begun, setup, teardown),
                cmocka_unit_test_setup_teardown(test_begun_by_another, setup, teardown),
                cmocka_unit_test_setup_teardown(test_news_of_a_silence, setup, teardown),
                cmocka_unit_test_setup_teardown(test_news_of_another, setup, teardown),
                cmocka_unit_test_setup_teardown(test_messages_were_dropped, setup, teardown),
                cmocka_unit_test_setup_teardown(test_nats_stands_still, setup, teardown),
                cmocka_unit_test_setup_teardown(test_nothing_of_the_invisible, setup, teardown),
                cmocka_unit_test_setup_teardown(test_last_seen_of_the_one_before, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
