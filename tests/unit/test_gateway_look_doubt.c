/* Somebody has left a channel: what is told of him, and to him, until presence is known to have heard of it. */
#include "gateway/change_log.h"
#include "gateway/changes.h"
#include "gateway/look.h"
#include "gateway/stats.h"
#include "gateway_fake_look.h"

/* A snapshot waits for the answer about one of the set, and meanwhile another one is removed */
static void test_snapshot_waits_for_doubt(void **state)
{
        struct fake_presence *p;
        struct fake *f = fake_look_new(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        fake_watch(c, "bob");
        fake_advance(f, 1100);
        p->down = true;
        fake_watch(c, "bob", "carla");
        fake_left(f, "general", "bob", 2);
        fake_run(f);
        p->down = false;
        fake_presence_set(p, "bob", AWAY, true);
        fake_advance(f, 1300); /* carla was answered of by now */
        assert_int_equal(fake_count(c, PRESENCE), 1);
        fake_presence_hide(p, "ada", "bob");
        fake_advance(f, 2000);
        assert_int_equal(fake_count(c, PRESENCE), 2);
        assert_true(fake_told(c)->snapshot && fake_told(c)->n_users == 1 && fake_hides(c, "bob"));
        fake_look_free(f);
}

/* Whoever names him again, or anew, or comes anew, is told no sooner than who named him before */
static void test_doubt_is_not_washed_off(void **state)
{
        for (unsigned way = 0; way < 4; way++) {
                struct fake_presence *p;
                struct fake *f = fake_look_new(&p);
                struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
                unsigned before;

                (void)state;
                if (way != 1)
                        fake_watch(c, "bob");
                fake_advance(f, 1100);
                fake_left(f, "general", way == 3 ? "ada" : "bob", 2);
                fake_run(f);
                if (way == 2)
                        fake_watch_list(c, NULL, 0);
                if (way == 3)
                        c = fake_connect(f, "ada", ENCODING_PROTO);
                fake_watch(c, "bob");
                fake_advance(f, 1100);
                before = fake_count(c, PRESENCE);
                assert_int_equal(before, way == 0 || way == 2); /* that of before the removal */
                fake_presence_hide(p, "ada", "bob");
                fake_advance(f, 2000);
                assert_true(fake_count(c, PRESENCE) == before + 1 && fake_told(c)->snapshot && fake_hides(c, "bob"));
                fake_look_free(f);
        }
}

/* Presence is behind by far more than it mostly is: nothing is told of him to those who watch him, watch him anew, or come, until it is there */
static void test_doubt_waits_for_presence(void **state)
{
        struct fake_presence *p;
        struct fake *f = fake_look_new(&p);
        struct fake_client *watches = fake_connect(f, "ada", ENCODING_PROTO), *comes;

        (void)state;
        fake_watch(watches, "bob");
        fake_advance(f, 1100);
        p->behind = "bob";
        fake_left(f, "general", "bob", 2);
        fake_run(f);
        fake_presence_set(p, "bob", AWAY, true);
        fake_advance(f, 6000);
        assert_int_equal(p->n_left, 1);
        comes = fake_connect(f, "dora", ENCODING_PROTO);
        fake_watch(comes, "bob");
        fake_presence_speak(p, "bob"); /* something else of him has changed */
        fake_advance(f, 2900);
        assert_int_equal(fake_count(comes, PRESENCE), 0);
        fake_advance(f, 3100);
        assert_int_equal(fake_count(watches, PRESENCE), 1);
        assert_int_equal(fake_count(comes, PRESENCE),
                         1); /* he has to be shown something, which is no more than is known */
        assert_true(fake_told(comes)->snapshot && fake_hides(comes, "bob"));
        fake_presence_hide(p, "ada", "bob");
        p->behind = NULL;
        fake_advance(f, 2100);
        assert_int_equal(fake_count(watches, PRESENCE), 2);
        assert_true(fake_hides(watches, "bob"));
        assert_int_equal(fake_count(comes, PRESENCE), 2);
        assert_true(!fake_told(comes)->snapshot && fake_told(comes)->users[0]->availability == AWAY);
        fake_presence_speak(p, "bob");
        fake_advance(f, 1100);
        assert_int_equal(p->n_left, 0); /* it is known to have heard */
        fake_look_free(f);
}

/* He is back before presence has heard that he was gone, or is told of in another order: there is nothing to wait for */
static void test_doubt_ends_with_return(void **state)
{
        for (unsigned way = 0; way < 2; way++) {
                struct fake_presence *p;
                struct fake *f = fake_look_new(&p);
                struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

                (void)state;
                fake_watch(c, "bob");
                fake_advance(f, 1100);
                p->behind = "bob";
                if (way)
                        fake_joined(f, "general", "bob", 3);
                fake_left(f, "general", "bob", 2);
                fake_run(f);
                fake_presence_set(p, "bob", AWAY, true);
                if (!way) {
                        fake_advance(f, 6000);
                        assert_int_equal(fake_count(c, PRESENCE), 1);
                        fake_joined(f, "general", "bob", 3);
                }
                fake_advance(f, 3100);
                assert_int_equal(p->n_left, 0);
                assert_int_equal(fake_told(c)->users[0]->availability, AWAY);
                fake_look_free(f);
        }
}

/* More have left than one question may name: of those whom it does not nothing is believed either */
static void test_many_in_doubt(void **state)
{
        static char ids[400][IDENT_MAX + 1];
        const char *list[400];
        struct fake_presence *p;
        struct fake *f = fake_look_new(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        for (unsigned i = 0; i < 400; i++) {
                snprintf(ids[i], sizeof(ids[i]), "m%u", i);
                fake_presence_set(p, ids[i], ONLINE, false);
                list[i] = ids[i];
        }
        fake_watch_list(c, list, 400);
        fake_advance(f, 1100);
        for (unsigned i = 0; i < 400; i++)
                fake_left(f, "general", ids[i], 2);
        p->behind_all = true;
        fake_run(f);
        for (unsigned i = 0; i < 400; i += 40)
                fake_presence_set(p, ids[i], AWAY, true);
        fake_advance(f, 6000);
        assert_int_equal(p->n_left, 256);
        assert_int_equal(fake_count(c, PRESENCE), 1);
        p->behind_all = false;
        fake_advance(f, 6000);
        assert_in_range(fake_count(c, PRESENCE), 2, 10);
        fake_presence_speak(p, "m0");
        fake_advance(f, 1100);
        assert_int_equal(p->n_left, 0);
        fake_look_free(f);
}

/* Many have left whom nobody here knows: they are named where there is room, and so are soon none that are gone through again and again */
static void test_many_others(void **state)
{
        struct fake_presence *p;
        struct fake *f = fake_look_new(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        char id[16];

        (void)state;
        fake_watch(c, "bob");
        fake_advance(f, 1100);
        for (unsigned i = 0; i < 300; i++) {
                snprintf(id, sizeof(id), "x%u", i);
                fake_left(f, "general", id, 2);
        }
        fake_left(f, "general", "bob", 2);
        fake_run(f);
        p->behind = "bob";
        for (unsigned i = 0; i < 2; i++) {
                fake_presence_speak(p, "bob");
                fake_run(f);
                assert_int_equal(p->n_left, i ? 46 : 256);
                assert_true(edge_doubted(&c->session->look->edges[0]));
        }
        p->behind = NULL;
        fake_presence_speak(p, "bob");
        fake_run(f);
        assert_false(edge_doubted(&c->session->look->edges[0]));
        fake_presence_speak(p, "bob");
        fake_run(f);
        assert_int_equal(p->n_left, 0);
        fake_look_free(f);
}

/* Presence answers with a list that is older than the removal, for longer than it mostly takes, also of a channel that is focused later */
static void test_removed_stays_out_of_place(void **state)
{
        struct fake_presence *p;
        struct fake *f = fake_look_new(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        const Parley__V1__ChannelPresence *last;

        (void)state;
        fake_focus(c, "general");
        fake_advance(f, 100);
        assert_int_equal(fake_last(c, CHANNEL_PRESENCE)->channel_presence->n_users, 3);
        fake_left(f, "general", "bob", 2);
        fake_run(f);
        p->n_queries = 0;
        fake_advance(f, 6000);
        assert_true(p->n_queries > 0); /* and has answered with him in it */
        last = fake_last(c, CHANNEL_PRESENCE)->channel_presence;
        assert_true(last->n_users == 2 && last->members == 2 && last->online == 2);
        fake_presence_set(p, "bob", AWAY, true);
        fake_advance(f, 1200);
        assert_int_equal(fake_count(c, PRESENCE), 0);
        fake_look_free(f);
}

static const Parley__V1__ChannelPresence *described(const struct fake_client *c)
{
        return fake_last(c, CHANNEL_PRESENCE)->channel_presence;
}

/* For longer than it mostly takes, and in a channel that nobody had in focus then; until he is back */
static void test_removed_stays_out_for_long(void **state)
{
        struct fake_presence *p;
        struct fake *f = fake_look_new(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO),
                           *later = fake_connect(f, "carla", ENCODING_PROTO);

        (void)state;
        p->behind = "bob";
        fake_watch(c, "bob"); /* so that it is asked, and says that it has not heard */
        fake_focus(c, "general");
        fake_advance(f, 100);
        fake_left(f, "general", "bob", 2);
        fake_left(f, "news", "bob", 2);
        fake_run(f);
        for (unsigned i = 0; i < 40; i++) {
                fake_presence_speak(p, "bob"); /* the channel is asked for again */
                fake_advance(f, 1000);
        }
        assert_true(described(c)->n_users == 2 && described(c)->members == 2);
        fake_focus(later, "news");
        fake_advance(f, 100);
        assert_true(described(later)->n_users == 2 && described(later)->members == 2);
        fake_joined(f, "news", "bob", 3);
        fake_run(f);
        fake_advance(f, 7000);
        assert_int_equal(described(later)->n_users, 3);
        assert_int_equal(described(c)->n_users, 2);
        fake_look_free(f);
}

/* Presence has heard of it and is gone, and the one that speaks now has not. Whether that is known by what it says by itself, by what it answers of
 * users, or of a channel: what it shows of him is not believed. */
static void test_heard_by_another(void **state)
{
        for (unsigned way = 0; way < 3; way++) {
                struct fake_presence *p;
                struct fake *f = fake_look_new(&p);
                struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO), *comes;

                (void)state;
                fake_watch(c, "bob");
                fake_focus(c, "general");
                fake_advance(f, 1100);
                fake_left(f, "general", "bob", 2);
                fake_run(f);
                fake_presence_hide(p, "ada", "bob");
                p->n_members = 1; /* ada */
                fake_advance(f, 5500);
                assert_true(fake_hides(c, "bob"));
                assert_int_equal(described(c)->n_users, 1);
                fake_presence_speak(p, "bob");
                fake_advance(f, 6000);
                assert_int_equal(p->n_left, 0);
                fake_presence_regroup_all(p); /* all is asked again, and so not once more for some time */
                fake_advance(f, 100);
                strcpy(p->source, "second");
                p->behind = "bob";
                p->n_hidden = 0;
                p->n_members = 3;
                comes = fake_connect(f, "carla", ENCODING_PROTO);
                if (way == 0)
                        fake_presence_speak(p, "bob");
                else if (way == 1)
                        fake_watch(comes, "bob");
                else
                        fake_focus(comes, "news");
                fake_advance(f, 3500);
                fake_presence_set(p, "bob", AWAY, true);
                fake_advance(f, 7500);
                assert_int_equal(fake_sees(c, "bob"), FAKE_HIDDEN);
                assert_int_equal(described(c)->n_users, 2);
                if (way == 1)
                        assert_int_equal(fake_sees(comes, "bob"), FAKE_HIDDEN);
                p->behind = NULL;
                fake_presence_speak(p, "bob");
                fake_advance(f, 3500);
                assert_int_equal(fake_sees(c, "bob"), AWAY); /* they share another channel by now */
                fake_presence_speak(p, "bob");
                fake_advance(f, 1100);
                assert_int_equal(p->n_left, 0);
                fake_look_free(f);
        }
}

/* Bob leaves both channels, and then more do than are remembered. None of them is known here. */
static void too_many_leave(struct fake *f)
{
        char id[16];

        fake_announce(f, "general", "bob", PARLEY__V1__ROLE__none, 20, 2);
        fake_announce(f, "news", "bob", PARLEY__V1__ROLE__none, 20, 2);
        for (unsigned i = 0; i < CHANGES_MAX; i++) {
                snprintf(id, sizeof(id), "x%u", i);
                fake_announce(f, "elsewhere", id, PARLEY__V1__ROLE__none, 20, 2);
        }
        core_time(f->core);
        assert_true(changes_lost(f->core));
}

static void time_pass(struct fake *f, struct fake_client *c, unsigned s)
{
        for (unsigned i = 0; i < s; i++) {
                fake_ping(c);
                fake_advance(f, 1000);
        }
}

/* It is not known any more that bob left, and presence has not heard: whoever looks for him anew is not shown him before a minute is over, and
 * those who were shown already are */
static void test_too_many_to_remember(void **state)
{
        struct fake_presence *p;
        struct fake *f = fake_look_new(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        fake_watch(c, "carla");
        fake_advance(f, 1100);
        too_many_leave(f);
        fake_watch(c, "carla", "bob");
        time_pass(f, c, 10);
        assert_int_equal(fake_sees(c, "bob"), FAKE_HIDDEN);
        fake_presence_set(p, "carla", AWAY, true);
        fake_presence_set(p, "bob", AWAY, true);
        time_pass(f, c, 40);
        assert_int_equal(fake_sees(c, "carla"), AWAY);
        assert_int_equal(fake_sees(c, "bob"), FAKE_HIDDEN);
        time_pass(f, c, 15);
        assert_int_equal(fake_sees(c, "bob"), AWAY);
        fake_look_free(f);
}

/* What is not known is also not shown as the list of a channel: it is counted meanwhile, unless all in the list were there before */
static void test_too_many_for_places(void **state)
{
        struct fake_presence *p;
        struct fake *f = fake_look_new(&p);
        struct fake_client *was = fake_connect(f, "ada", ENCODING_PROTO),
                           *comes = fake_connect(f, "carla", ENCODING_PROTO);

        (void)state;
        p->n_members = 1; /* ada */
        fake_focus(was, "general");
        fake_advance(f, 100);
        too_many_leave(f);
        fake_presence_speak(p, "ada");
        time_pass(f, was, 2);
        assert_int_equal(described(was)->n_users, 1);
        p->n_members = 3;
        fake_focus(comes, "news");
        fake_presence_speak(p, "ada");
        time_pass(f, was, 6);
        assert_true(described(was)->n_users == 0 && described(was)->members == 3);
        assert_true(described(comes)->n_users == 0 && described(comes)->members == 3);
        fake_ping(comes);
        time_pass(f, was, 48);
        assert_int_equal(described(comes)->n_users, 0);
        fake_ping(comes);
        time_pass(f, was, 15);
        assert_int_equal(described(comes)->n_users, 3);
        assert_int_equal(described(was)->n_users, 3);
        fake_look_free(f);
}

/* Presence had heard that bob left, so he is hidden; another one speaks, which has not, and of him nothing is remembered */
static void test_too_many_for_another(void **state)
{
        struct fake_presence *p;
        struct fake *f = fake_look_new(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        fake_watch(c, "bob");
        fake_advance(f, 1100);
        fake_announce(f, "general", "bob", PARLEY__V1__ROLE__none, 20, 2);
        fake_presence_hide(p, "ada", "bob");
        time_pass(f, c, 4);
        assert_int_equal(fake_sees(c, "bob"), FAKE_HIDDEN);
        for (unsigned i = 0; i < CHANGES_MAX; i++) {
                char id[16];

                snprintf(id, sizeof(id), "x%u", i);
                fake_announce(f, "elsewhere", id, PARLEY__V1__ROLE__member, 20, 2);
        }
        strcpy(p->source, "second");
        p->n_hidden = 0;
        fake_presence_speak(p, "bob");
        fake_presence_set(p, "bob", AWAY, true);
        time_pass(f, c, 45);
        assert_int_equal(fake_sees(c, "bob"), FAKE_HIDDEN);
        time_pass(f, c, 20);
        assert_int_equal(fake_sees(c, "bob"), AWAY);
        fake_look_free(f);
}

/* Presence never hears of it: after a minute it is believed again, and that is counted */
static void test_never_heard(void **state)
{
        struct fake_presence *p;
        struct fake *f = fake_look_new(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        double unheard = stat_presence_unheard.value;

        (void)state;
        fake_watch(c, "bob");
        fake_advance(f, 1100);
        p->behind = "bob";
        fake_left(f, "general", "bob", 2);
        fake_left(f, "general", "dora", 2); /* whom nobody looks at */
        fake_run(f);
        fake_presence_set(p, "bob", AWAY, true);
        fake_advance(f, 30000);
        fake_ping(c);
        fake_advance(f, 29000);
        assert_int_equal(fake_count(c, PRESENCE), 1);
        assert_float_equal(stat_presence_unheard.value, unheard, 0);
        fake_ping(c);
        fake_advance(f, 5000);
        assert_int_equal(fake_sees(c, "bob"), AWAY);
        assert_float_equal(stat_presence_unheard.value, unheard + 1, 0);
        fake_look_free(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_snapshot_waits_for_doubt),
                cmocka_unit_test(test_doubt_is_not_washed_off),
                cmocka_unit_test(test_doubt_waits_for_presence),
                cmocka_unit_test(test_doubt_ends_with_return),
                cmocka_unit_test(test_many_in_doubt),
                cmocka_unit_test(test_many_others),
                cmocka_unit_test(test_removed_stays_out_of_place),
                cmocka_unit_test(test_removed_stays_out_for_long),
                cmocka_unit_test(test_heard_by_another),
                cmocka_unit_test(test_never_heard),
                cmocka_unit_test(test_too_many_to_remember),
                cmocka_unit_test(test_too_many_for_places),
                cmocka_unit_test(test_too_many_for_another),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
