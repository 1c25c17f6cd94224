/* In which order questions are answered over NATS: those about many in parts, in turn, and those about few between them. */
#include <stdio.h>
#include <stdlib.h>

#include "bus/bus.h"
#include "bus/subjects.h"
#include "presence/voice_impl.h"
#include "presence_world.h"

enum { ANSWERS = 16 };

static bus_handler on_query;
static struct {
        char reply[ANSWERS][16];
        Parley__V1__PresenceAnswer *answer[ANSWERS];
        unsigned n, more;
} told;

/* --- in place of the bus, and of what else voice consists of --- */

int bus_subscribe(struct bus *bus, const char *subject, const char *queue, bus_handler handler, void *userdata,
                  struct bus_sub **ret_sub)
{
        (void)bus;
        (void)queue;
        (void)userdata;
        *ret_sub = (struct bus_sub *)&told; /* only compared */
        if (strcmp(subject, RPC_PRESENCE_QUERY) == 0)
                on_query = handler;
        return 0;
}

void bus_unsubscribe(struct bus_sub *sub)
{
        (void)sub;
}

void voice_set_status(struct voice *v, const char *user_id, const Parley__V1__Status *status, voice_status_done done,
                      void *userdata)
{
        (void)v;
        (void)user_id;
        (void)status;
        (void)done;
        (void)userdata;
        fail();
}

bool voice_publish(struct voice *v, const char *subject, const ProtobufCMessage *message)
{
        size_t n = protobuf_c_message_get_packed_size(message);
        uint8_t *data = malloc(n + 1);

        (void)v;
        assert_non_null(data);
        assert_in_range(told.n, 0, ANSWERS - 1);
        (void)snprintf(told.reply[told.n], sizeof(told.reply[0]), "%s", subject);
        told.answer[told.n] = parley__v1__presence_answer__unpack(NULL, protobuf_c_message_pack(message, data), data);
        assert_non_null(told.answer[told.n++]);
        free(data);
        return true;
}

/* --- the world --- */

static struct world world;
static struct voice voice;

static void before(void *userdata)
{
        (void)userdata;
}

static void more(void *userdata)
{
        (void)userdata;
        told.more++;
}

static int setup(void **state)
{
        (void)state;
        world_init(&world);
        world_member(&world, "ada", "x");
        world_member(&world, "bob", "x");
        world_member(&world, "eve", "y");
        voice = (struct voice){.options = {.roster = world.roster, .before = before, .more = more}, .counter = 5};
        (void)snprintf(voice.leader.id, sizeof(voice.leader.id), "me");
        voice_answer_begin(&voice);
        memset(&told, 0, sizeof(told));
        return 0;
}

static int teardown(void **state)
{
        (void)state;
        voice_answer_end(&voice);
        for (unsigned i = 0; i < told.n; i++)
                parley__v1__presence_answer__free_unpacked(told.answer[i], NULL);
        world_done(&world);
        return 0;
}

/* ada and eve ask for so many each: bob and eve in turn */
static void ask(const char *reply, size_t n)
{
        static char bob[] = "bob", eve[] = "eve", *const users[] = {bob, eve};
        Parley__V1__PresenceQuery q = PARLEY__V1__PRESENCE_QUERY__INIT;
        Parley__V1__Sight sights[2], *list[2] = {&sights[0], &sights[1]};
        Parley__V1__Left bob_left = PARLEY__V1__LEFT__INIT, eve_left = PARLEY__V1__LEFT__INIT,
                         *left[] = {&bob_left, &eve_left};
        char **ids = calloc(n, sizeof(*ids));
        struct bus_msg msg = {.reply = reply};
        uint8_t *data;

        assert_non_null(ids);
        bob_left.user_id = bob;
        eve_left.user_id = eve;
        bob_left.channel_id = eve_left.channel_id = (char *)"y"; /* where only she is still */
        for (size_t i = 0; i < n; i++)
                ids[i] = users[i % 2];
        for (unsigned i = 0; i < 2; i++) {
                parley__v1__sight__init(&sights[i]);
                sights[i].viewer_id = (char *)(i ? "eve" : "ada");
                sights[i].user_ids = ids;
                sights[i].n_user_ids = n;
        }
        q.sights = list;
        q.n_sights = 2;
        q.user_ids = ids;
        q.n_user_ids = 1;
        q.left = left;
        q.n_left = sizeof(left) / sizeof(*left);
        msg.data = data = malloc(parley__v1__presence_query__get_packed_size(&q));
        assert_non_null(data);
        msg.len = parley__v1__presence_query__pack(&q, data);
        on_query(&msg, &voice);
        free(data);
        free(ids);
}

static void check(unsigned index, const char *reply, size_t n)
{
        const Parley__V1__PresenceAnswer *a = told.answer[index];

        assert_in_range(index, 0, told.n - 1);
        assert_string_equal(told.reply[index], reply);
        assert_null(a->error);
        assert_int_equal(a->n_visible, 2 * n);
        for (size_t i = 0; i < n; i++) {
                assert_int_equal(a->visible[i], i % 2 == 0);     /* ada sees bob */
                assert_int_equal(a->visible[n + i], i % 2 == 1); /* eve sees herself */
        }
        assert_int_equal(a->n_users, 1);
        assert_string_equal(a->users[0]->user->user_id, "bob");
        assert_int_equal(a->counter, 5);
        assert_int_equal(a->n_behind, 1);
        assert_int_equal(a->behind[0], 1);
}

static void test_few_at_once(void **state)
{
        (void)state;
        ask("few", 250);
        check(0, "few", 250);
        assert_int_equal(told.more, 0);
        assert_false(voice_answer_some(&voice));
}

static void test_many_in_parts(void **state)
{
        unsigned turns = 1;

        (void)state;
        ask("many", 2048);
        ask("few", 10); /* passes it */
        check(0, "few", 10);
        assert_int_equal(told.n, 1);
        assert_int_equal(told.more, 1);
        voice.counter = 9; /* what is told meanwhile is not in it */
        while (voice_answer_some(&voice))
                turns++;
        assert_int_equal(turns, 4096 / 512);
        check(1, "many", 2048);
}

/* What is answered of her is from before it, in a part at least */
static void test_left_meanwhile(void **state)
{
        (void)state;
        ask("many", 2048);
        assert_true(voice_answer_some(&voice));
        world_member(&world, "eve", "-y");
        while (voice_answer_some(&voice))
                ;
        check(0, "many", 2048);
        ask("few", 2);
        assert_int_equal(told.answer[1]->n_behind, 0);
}

static void test_bad_left(void **state)
{
        Parley__V1__PresenceQuery q = PARLEY__V1__PRESENCE_QUERY__INIT;
        Parley__V1__Left left = PARLEY__V1__LEFT__INIT, *many[257];
        size_t n;

        (void)state;
        for (unsigned i = 0; i < 257; i++)
                many[i] = &left;
        q.left = many;
        q.n_left = 257;
        left.user_id = left.channel_id = (char *)"x";
        assert_string_equal(roster_sights_check(&q, &n), "at most 256 who left");
        q.n_left = 256;
        assert_null(roster_sights_check(&q, &n));
        left.channel_id = (char *)"a b";
        assert_string_equal(roster_sights_check(&q, &n), "who left, or what, is not an id");
        left.channel_id = (char *)"x";
        left.user_id = (char *)"";
        assert_string_equal(roster_sights_check(&q, &n), "who left, or what, is not an id");
}

static void test_in_turn(void **state)
{
        (void)state;
        ask("largest", 2048);
        ask("large", 600);
        while (voice_answer_some(&voice))
                ;
        check(0, "large", 600); /* did not wait for the one before it */
        check(1, "largest", 2048);
        ask("again", 2048);
        assert_true(voice_answer_some(&voice));
        voice_answer_end(&voice); /* another instance speaks: nothing is left behind */
        assert_false(voice_answer_some(&voice));
        assert_int_equal(told.n, 2);
}

static void test_too_many(void **state)
{
        (void)state;
        for (unsigned i = 0; i < 1000; i++)
                ask("waits", 300);
        assert_int_equal(told.n, 0);
        ask("refused", 300);
        assert_string_equal(told.answer[0]->error->code, "unavailable");
        ask("wrong", 2049); /* above what one question may have */
        assert_string_equal(told.answer[1]->error->code, "bad_request");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_few_at_once, setup, teardown),
                cmocka_unit_test_setup_teardown(test_many_in_parts, setup, teardown),
                cmocka_unit_test_setup_teardown(test_left_meanwhile, setup, teardown),
                cmocka_unit_test(test_bad_left),
                cmocka_unit_test_setup_teardown(test_in_turn, setup, teardown),
                cmocka_unit_test_setup_teardown(test_too_many, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
