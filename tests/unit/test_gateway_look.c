/* watch: whom a session is told of, and who of them it may see. */
#include "gateway/look.h"
#include "gateway/stats.h"
#include "gateway_fake.h"

#define ONLINE PARLEY__V1__USER_PRESENCE__AVAILABILITY__online
#define OFFLINE PARLEY__V1__USER_PRESENCE__AVAILABILITY__offline
#define AWAY PARLEY__V1__USER_PRESENCE__AVAILABILITY__away
#define PRESENCE PARLEY__V1__SERVER_FRAME__BODY_PRESENCE

static struct fake *world(struct fake_presence **ret_presence)
{
        struct fake *f = fake_new();

        fake_start(f);
        fake_put_channel(f, "general", true, false);
        *ret_presence = fake_presence_new(f);
        fake_presence_set(*ret_presence, "bob", ONLINE, false);
        fake_presence_set(*ret_presence, "carla", OFFLINE, false);
        fake_presence_set(*ret_presence, "ada", ONLINE, false);
        return f;
}

static void end(struct fake *f)
{
        fake_presence_free(f->presence);
        fake_free(f);
}

static const Parley__V1__ServerFrame *watch_list(struct fake_client *c, const char *const *ids, size_t n)
{
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Watch body = PARLEY__V1__WATCH__INIT;

        body.user_ids = (char **)ids;
        body.n_user_ids = n;
        frame.ref = ++c->next_ref;
        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_WATCH;
        frame.watch = &body;
        fake_client_send(c, &frame);
        fake_run(c->f);
        fake_advance(c->f, 150);
        return fake_answer(c, frame.ref);
}

#define watch(c, ...)                                                                                                  \
        watch_list(c, (const char *[]){__VA_ARGS__}, sizeof((const char *[]){__VA_ARGS__}) / sizeof(const char *))

static const Parley__V1__Presence *last(const struct fake_client *c)
{
        const Parley__V1__ServerFrame *frame = fake_last(c, PRESENCE);

        assert_non_null(frame);
        return frame->presence;
}

static const Parley__V1__UserPresence *shown(const struct fake_client *c, const char *user)
{
        const Parley__V1__Presence *p = last(c);

        for (size_t i = 0; i < p->n_users; i++)
                if (strcmp(p->users[i]->user_id, user) == 0)
                        return p->users[i];
        return NULL;
}

static bool hides(const struct fake_client *c, const char *user)
{
        const Parley__V1__Presence *p = last(c);

        for (size_t i = 0; i < p->n_hidden_user_ids; i++)
                if (strcmp(p->hidden_user_ids[i], user) == 0)
                        return true;
        return false;
}

static void test_snapshot_then_changes(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        fake_presence_hide(p, "ada", "carla"); /* like one who is unknown */
        assert_int_equal(watch(c, "bob", "carla", "nobody", "bob")->body_case, PARLEY__V1__SERVER_FRAME__BODY_ACK);
        assert_int_equal(fake_count(c, PRESENCE), 1);
        assert_true(last(c)->snapshot);
        assert_int_equal(last(c)->n_users, 1);
        assert_int_equal(shown(c, "bob")->availability, ONLINE);
        assert_true(last(c)->n_hidden_user_ids == 2 && hides(c, "carla") && hides(c, "nobody"));
        fake_advance(f, 1100);
        fake_presence_set(p, "bob", AWAY, true);
        fake_presence_set(p, "carla", ONLINE, true); /* who is hidden is not told */
        fake_run(f);
        fake_advance(f, 100);
        assert_int_equal(fake_count(c, PRESENCE), 2);
        assert_true(!last(c)->snapshot && last(c)->n_users == 1 && last(c)->n_hidden_user_ids == 0);
        assert_int_equal(shown(c, "bob")->availability, AWAY);
        end(f);
}

/* Nobody of that name was known; then he comes */
static void test_unknown_appears(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        fake_presence_hide(p, "ada", "unseen");
        watch(c, "dora", "unseen");
        assert_true(hides(c, "dora") && hides(c, "unseen"));
        fake_presence_set(p, "dora", ONLINE, true);
        fake_presence_set(p, "unseen", ONLINE, true);
        fake_advance(f, 1200);
        assert_int_equal(last(c)->n_users, 1);
        assert_int_equal(shown(c, "dora")->availability, ONLINE);
        end(f);
}

/* However often somebody changes, a session gets one frame a second, and the last state */
static void test_coalesced(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        unsigned before;

        (void)state;
        watch(c, "bob");
        before = fake_count(c, PRESENCE);
        for (unsigned i = 0; i < 50; i++) {
                fake_presence_set(p, "bob", i % 2 ? OFFLINE : AWAY, true);
                fake_advance(f, 100);
        }
        fake_advance(f, 1100);
        assert_in_range(fake_count(c, PRESENCE) - before, 4, 6);
        assert_int_equal(shown(c, "bob")->availability, OFFLINE);
        end(f);
}

/* An older state never takes the place of a newer one, whichever way it comes */
static void test_versions(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        uint64_t version;

        (void)state;
        watch(c, "bob");
        fake_presence_set(p, "bob", AWAY, true);
        version = p->version;
        fake_run(f);
        p->version = 0;
        fake_presence_set(p, "bob", OFFLINE, true); /* late, by its version */
        fake_advance(f, 1200);
        assert_int_equal(shown(c, "bob")->availability, AWAY);
        strcpy(p->source, "second"); /* whose versions begin anew */
        fake_presence_set(p, "bob", OFFLINE, true);
        fake_advance(f, 3200);
        assert_true(p->version < version);
        assert_int_equal(shown(c, "bob")->availability, OFFLINE);
        end(f);
}

/* A message was lost: the counter shows it, and all is asked again */
static void test_lost_message(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        watch(c, "bob");
        fake_presence_speak(p, NULL);
        fake_run(f);
        fake_presence_set(p, "bob", AWAY, false);
        p->counter++; /* this one was lost */
        fake_advance(f, 2100);
        assert_int_equal(shown(c, "bob")->availability, ONLINE);
        fake_presence_speak(p, NULL);
        fake_advance(f, 2200);
        assert_int_equal(shown(c, "bob")->availability, AWAY);
        assert_int_equal(fake_count(c, PRESENCE), 2);
        end(f);
}

static void test_regrouped(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        watch(c, "bob", "carla");
        fake_presence_hide(p, "ada", "bob");
        fake_presence_speak(p, "bob");
        fake_advance(f, 1200);
        assert_true(hides(c, "bob") && last(c)->n_users == 0);
        fake_presence_set(p, "bob", AWAY, true);
        fake_advance(f, 1200);
        assert_int_equal(fake_count(c, PRESENCE), 2);
        p->n_hidden = 0;
        fake_presence_speak(p, "ada"); /* the viewer may have joined something */
        fake_advance(f, 1200);
        assert_int_equal(shown(c, "bob")->availability, AWAY);
        end(f);
}

/* A channel was opened to everyone: who was hidden is asked for again */
static void test_regrouped_all(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        fake_presence_hide(p, "ada", "bob");
        watch(c, "bob");
        assert_true(hides(c, "bob"));
        p->n_hidden = 0;
        fake_presence_regroup_all(p);
        fake_advance(f, 3200);
        assert_int_equal(shown(c, "bob")->availability, ONLINE);
        end(f);
}

/* He was removed from a channel: from then on nothing is told of him before presence was asked again */
static void test_removed_is_doubted(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        watch(c, "bob");
        fake_advance(f, 1100);
        fake_left(f, "general", "bob", 2);
        fake_run(f);
        fake_presence_set(p, "bob", OFFLINE, true);
        fake_advance(f, 1000);
        assert_int_equal(fake_count(c, PRESENCE), 1);
        fake_presence_hide(p, "ada", "bob");
        fake_advance(f, 2500);
        assert_int_equal(fake_count(c, PRESENCE), 2);
        assert_true(hides(c, "bob") && last(c)->n_users == 0);
        end(f);
}

/* Another channel is left that both are in: what changed meanwhile is told then */
static void test_doubt_ends(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        watch(c, "bob");
        fake_left(f, "general", "ada", 2); /* the viewer himself */
        fake_run(f);
        fake_presence_set(p, "bob", AWAY, true);
        fake_advance(f, 1000);
        assert_int_equal(fake_count(c, PRESENCE), 1);
        fake_advance(f, 2500);
        assert_int_equal(fake_count(c, PRESENCE), 2);
        assert_int_equal(shown(c, "bob")->availability, AWAY);
        end(f);
}

static void test_presence_down(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        p->down = true;
        assert_int_equal(watch(c, "bob")->body_case, PARLEY__V1__SERVER_FRAME__BODY_ACK);
        fake_advance(f, 5000);
        assert_int_equal(fake_count(c, PRESENCE), 0);
        p->down = false;
        fake_advance(f, 1200);
        assert_true(last(c)->snapshot && shown(c, "bob"));
        end(f);
}

/* The next set takes its place; what is known of those in both is not asked again */
static void test_replaced(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);

        (void)state;
        watch(c, "bob", "ada");
        p->n_pairs = 0;
        watch(c, "carla", "ada");
        assert_int_equal(p->n_pairs, 1);
        assert_int_equal(fake_count(c, PRESENCE), 1); /* snapshots, too, are a second apart */
        fake_advance(f, 1000);
        assert_true(last(c)->snapshot && shown(c, "carla") && shown(c, "ada") && !shown(c, "bob"));
        assert_null(seen_find(f->core->looks, "bob"));
        fake_presence_set(p, "bob", AWAY, true);
        fake_advance(f, 1200);
        assert_int_equal(fake_count(c, PRESENCE), 2);
        watch_list(c, NULL, 0);
        fake_advance(f, 1000);
        assert_true(last(c)->snapshot && last(c)->n_users == 0);
        assert_null(f->core->looks->seen);
        fake_client_drop(c);
        assert_int_equal(f->core->looks->bytes, 0);
        assert_null(f->core->looks->sub); /* who looks at nobody hears nothing */
        end(f);
}

static void test_refused(void **state)
{
        static char ids[501][16];
        static const char *list[501];
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        const Parley__V1__ServerFrame *answer;

        (void)state;
        watch(c, "bob");
        for (unsigned i = 0; i < 501; i++) {
                snprintf(ids[i], sizeof(ids[i]), "u%u", i);
                list[i] = ids[i];
        }
        answer = watch_list(c, list, 501);
        assert_string_equal(answer->error->code, "too_large");
        assert_non_null(strstr(answer->error->message, "500"));
        answer = watch(c, "carla", "a.b");
        assert_string_equal(answer->error->code, "bad_request");
        assert_non_null(strstr(answer->error->message, "userIds[1]"));
        f->config.max_watch_bytes = 1000;
        answer = watch_list(c, list, 10);
        assert_string_equal(answer->error->code, "unavailable");
        assert_int_equal(c->session->look->n_edges, 1); /* the former set stays */
        f->config.max_watch_bytes = 1 << 20;
        assert_int_equal(watch_list(c, list, 500)->body_case, PARLEY__V1__SERVER_FRAME__BODY_ACK);
        fake_advance(f, 1000);
        assert_int_equal(last(c)->n_hidden_user_ids, 500);
        end(f);
}

/* Questions of many sessions are few */
static void test_one_question_for_many(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *c[60];
        char user[16];

        (void)state;
        for (unsigned i = 0; i < 60; i++) {
                snprintf(user, sizeof(user), "v%u", i);
                c[i] = fake_connect(f, user, ENCODING_PROTO);
                watch(c[i], "bob", "carla");
        }
        fake_advance(f, 1100);
        p->n_queries = 0;
        strcpy(p->source, "second");
        fake_presence_speak(p, NULL);
        fake_advance(f, 2200);
        assert_in_range(p->n_queries, 1, 2);
        fake_presence_set(p, "bob", AWAY, true);
        fake_advance(f, 1200);
        for (unsigned i = 0; i < 60; i++)
                assert_int_equal(shown(c[i], "bob")->availability, AWAY);
        assert_in_range(p->n_queries, 1, 2); /* a change is no question */
        end(f);
}

/* He who is invisible is so for himself alone */
static void test_invisible(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *a = fake_connect(f, "ada", ENCODING_PROTO), *b = fake_connect(f, "bob", ENCODING_JSON);

        (void)state;
        b->text = true;
        p->users[2].invisible = true;
        p->users[2].availability = OFFLINE;
        watch(a, "ada");
        assert_int_equal(shown(a, "ada")->availability, PARLEY__V1__USER_PRESENCE__AVAILABILITY__invisible);
        fake_client_text(b, "{\"type\":\"watch\",\"userIds\":[\"ada\"]}");
        fake_run(f);
        fake_advance(f, 200);
        assert_non_null(b->last_text);
        assert_non_null(strstr(b->last_text, "\"availability\":\"offline\""));
        end(f);
}

/* Who is not there, and becomes invisible, or is it no longer: he himself is told, and nobody else hears of anything */
static void test_invisible_is_no_news(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *a = fake_connect(f, "ada", ENCODING_PROTO), *b = fake_connect(f, "bob", ENCODING_PROTO);

        (void)state;
        fake_presence_set(p, "ada", OFFLINE, false);
        watch(a, "ada");
        watch(b, "ada");
        fake_advance(f, 1100);
        p->users[2].invisible = true;
        fake_presence_set(p, "ada", OFFLINE, true);
        fake_advance(f, 1200);
        assert_int_equal(shown(a, "ada")->availability, PARLEY__V1__USER_PRESENCE__AVAILABILITY__invisible);
        assert_int_equal(fake_count(b, PRESENCE), 1);
        end(f);
}

/* One user's sessions cannot take what all others need */
static void test_share_of_a_user(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *c[4];

        (void)state;
        f->config.max_watch = 4; /* which is what one session may name in any case */
        f->config.max_focus = 0;
        f->config.max_watch_bytes = 20000;
        for (unsigned i = 0; i < 4; i++)
                c[i] = fake_connect(f, i < 3 ? "ada" : "bob", ENCODING_PROTO);
        assert_int_equal(watch(c[0], "bob", "carla")->body_case, PARLEY__V1__SERVER_FRAME__BODY_ACK);
        assert_int_equal(watch(c[1], "bob", "carla")->body_case, PARLEY__V1__SERVER_FRAME__BODY_ACK);
        assert_string_equal(watch(c[2], "bob")->error->code, "unavailable");
        assert_int_equal(watch(c[3], "bob", "carla")->body_case, PARLEY__V1__SERVER_FRAME__BODY_ACK);
        watch_list(c[0], NULL, 0);
        assert_int_equal(watch(c[2], "bob")->body_case, PARLEY__V1__SERVER_FRAME__BODY_ACK);
        end(f);
}

/* With a good part of its queue filled a session is told later */
static void test_busy(void **state)
{
        struct fake_presence *p;
        struct fake *f = world(&p);
        struct fake_client *c = fake_connect(f, "ada", ENCODING_PROTO);
        char big[8001];

        (void)state;
        memset(big, 'x', 8000);
        big[8000] = '\0';
        watch(c, "bob");
        fake_advance(f, 1100);
        c->stuck = true;
        for (unsigned i = 0; i < 40; i++)
                fake_message(f, "general", "bob", big);
        fake_run(f);
        assert_true(c->session->queue_bytes > f->config.session_max_queue_bytes / 4);
        fake_presence_set(p, "bob", AWAY, true);
        fake_advance(f, 3000);
        assert_true(c->session->look->edges[0].flags & EDGE_NEWS);
        c->stuck = false;
        fake_run(f);
        fake_advance(f, 200);
        assert_int_equal(shown(c, "bob")->availability, AWAY);
        end(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_snapshot_then_changes),
                cmocka_unit_test(test_unknown_appears),
                cmocka_unit_test(test_coalesced),
                cmocka_unit_test(test_versions),
                cmocka_unit_test(test_lost_message),
                cmocka_unit_test(test_regrouped),
                cmocka_unit_test(test_regrouped_all),
                cmocka_unit_test(test_removed_is_doubted),
                cmocka_unit_test(test_doubt_ends),
                cmocka_unit_test(test_presence_down),
                cmocka_unit_test(test_replaced),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_one_question_for_many),
                cmocka_unit_test(test_invisible),
                cmocka_unit_test(test_invisible_is_no_news),
                cmocka_unit_test(test_share_of_a_user),
                cmocka_unit_test(test_busy),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
