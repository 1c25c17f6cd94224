/* What is remembered of changes of memberships: the newest of each, for a minute, of so many; and that it is enough. */
#include "gateway/change_log.h"
#include "gateway/changes.h"
#include "gateway/channel.h"
#include "gateway/user.h"
#include "gateway_fake_look.h"

#define ROOM "room"
#define MEMBER PARLEY__V1__ROLE__member
#define MODERATOR PARLEY__V1__ROLE__moderator
#define NONE PARLEY__V1__ROLE__none

static void hear(struct fake *f, const char *user, const char *channel, Parley__V1__Role role, uint64_t version,
                 bool event)
{
        Parley__V1__MembershipChange change = PARLEY__V1__MEMBERSHIP_CHANGE__INIT;

        if (!event || role != MEMBER) {
                fake_announce(f, channel, user, role, 10 * version, version);
                return;
        }
        change.channel_id = (char *)channel;
        change.user_id = (char *)user;
        change.role = role;
        change.seq = 10 * version;
        change.version = version;
        core_time(f->core);
        changes_joined(f->core, &change);
}

/* n users, u0, u1, …, who have left the channel, or joined it */
static void hear_many(struct fake *f, unsigned n, const char *channel, Parley__V1__Role role)
{
        char user[16];

        for (unsigned i = 0; i < n; i++) {
                (void)snprintf(user, sizeof(user), "u%u", i);
                hear(f, user, channel, role, 2, true);
        }
}

static void leave_and_join(struct fake *f, const char *user, unsigned times)
{
        for (uint64_t version = 2; version < 2 + 2 * times; version += 2) {
                hear(f, user, "news", NONE, version, true);
                hear(f, user, "news", MEMBER, version + 1, true);
        }
}

/* What changes_unsettled names */
struct named {
        unsigned n;
        uint64_t number; /* of the last one */
        char user_id[IDENT_MAX + 1];
};

static void on_unsettled(void *userdata, uint64_t number, const char *user_id, const char *channel_id)
{
        struct named *named = userdata;

        assert_true(ident_valid(channel_id));
        named->n++;
        named->number = number;
        strcpy(named->user_id, user_id);
}

/* How many; the one heard of longest ago stays in *named */
static unsigned unsettled(struct fake *f, struct named *named, bool more)
{
        named->n = 0;
        core_time(f->core);
        changes_unsettled(f->core, on_unsettled, named);
        assert_int_equal(changes_lost(f->core), more);
        return named->n;
}

/* --- presence is behind --- */

/* Ada watches bob, who has left; presence does not know it */
static struct fake *behind_world(struct fake_presence **ret_presence, struct fake_client **ret_ada)
{
        struct fake *f = fake_look_new(ret_presence);

        *ret_ada = fake_connect(f, "ada", ENCODING_PROTO);
        fake_watch(*ret_ada, "bob");
        fake_advance(f, 1100);
        assert_int_equal(fake_sees(*ret_ada, "bob"), ONLINE);
        (*ret_presence)->behind = "bob";
        hear(f, "bob", "general", NONE, 2, true);
        return f;
}

static void check_untold(struct fake *f, struct fake_presence *p, struct fake_client *ada)
{
        fake_presence_set(p, "bob", AWAY, true);
        fake_advance(f, 8000);
        assert_int_equal(p->n_left, 1);
        assert_int_equal(fake_sees(ada, "bob"), ONLINE); /* as he was before */
        p->behind = NULL;
        fake_presence_hide(p, "ada", "bob");
        fake_advance(f, 4000);
        assert_int_equal(fake_sees(ada, "bob"), FAKE_HIDDEN);
        fake_look_free(f);
}

/* The event, the announcement, and the event once more after a repair: it is still not known that presence has heard of it */
static void test_heard_often(void **state)
{
        struct fake_presence *p;
        struct fake_client *ada;
        struct fake *f = behind_world(&p, &ada);

        (void)state;
        for (unsigned i = 0; i < 4; i++)
                hear(f, "bob", "general", NONE, 2, i % 2);
        check_untold(f, p, ada);
}

/* What presence has heard of it has heard of, however often it is told here */
static void test_settled_once(void **state)
{
        struct fake *f = fake_new();
        struct named named;
        uint64_t asked;

        (void)state;
        fake_start(f);
        hear(f, "bob", ROOM, NONE, 2, true);
        assert_int_equal(unsettled(f, &named, false), 1);
        asked = named.number;
        hear(f, "bob", ROOM, NONE, 2, false); /* while the question is under way */
        changes_settle(f->core, asked);
        hear(f, "bob", ROOM, NONE, 2, true);
        assert_int_equal(unsettled(f, &named, false), 0);
        hear(f, "bob", ROOM, MEMBER, 3, true);
        hear(f, "bob", ROOM, NONE, 4, true); /* another one */
        hear(f, "bob", ROOM, NONE, 2, true); /* the former one, late */
        changes_settle(f->core, asked);
        assert_int_equal(unsettled(f, &named, false), 1);
        hear(f, "bob", ROOM, MEMBER, 5, true); /* he may be seen again */
        changes_settle(f->core, named.number);
        assert_int_equal(unsettled(f, &named, false), 0);
        fake_free(f);
}

/* Somebody who leaves and joins all the time has one place: nobody else's change goes for it */
static void test_loop_has_one_place(void **state)
{
        struct fake_presence *p;
        struct fake_client *ada;
        struct fake *f = behind_world(&p, &ada);

        (void)state;
        leave_and_join(f, "eve", CHANGES_MAX);
        check_untold(f, p, ada);
}

/* That somebody left a channel long ago, as his list says each time, puts nobody in doubt */
static void test_left_long_ago(void **state)
{
        struct fake_membership m[] = {{ROOM, MEMBER, 1, 0, 0, false}, {"news", NONE, 2, 0, 0, false}};
        struct fake_presence *p;
        struct fake *f = fake_look_new(&p);
        struct fake_client *ada;
        unsigned pairs;

        (void)state;
        fake_put_channel(f, ROOM, false, false);
        fake_put_members(f, "ada", 1, m, 1, false);
        ada = fake_connect(f, "ada", ENCODING_PROTO);
        fake_watch(ada, "bob");
        fake_advance(f, 1100);
        for (uint64_t version = 2; version < 5; version++) {
                m[0].role = version == 4 ? NONE : MEMBER;
                m[0].version = version;
                pairs = p->n_pairs;
                fake_put_members(f, "ada", version, m, 2, true);
                fake_run(f);
                fake_advance(f, 2100);
                assert_int_equal(p->n_pairs > pairs,
                                 version != 3); /* she left `news` and `room`, and nothing between */
        }
        fake_look_free(f);
}

/* --- users who are loaded later --- */

/* Bob's list in the bucket is that of before his removal */
static struct fake *stale_world(void)
{
        struct fake *f = fake_new();
        struct fake_membership m = {ROOM, MEMBER, 1, 0, 0, false};

        fake_start(f);
        fake_put_channel(f, ROOM, false, false);
        fake_put_channel(f, "news", false, false);
        fake_put_members(f, "bob", 1, &m, 1, false);
        hear(f, "bob", ROOM, NONE, 2, false);
        return f;
}

static unsigned channels_of(struct fake *f, const char *user)
{
        const struct fake_client *c = fake_connect(f, user, ENCODING_PROTO);

        return (unsigned)fake_last(c, PARLEY__V1__SERVER_FRAME__BODY_READY)->ready->n_channels;
}

static void test_loop_admits_nobody(void **state)
{
        struct fake *f = stale_world();

        (void)state;
        leave_and_join(f, "eve", CHANGES_MAX);
        hear_many(f, CHANGES_MAX - 2, "news", MEMBER); /* all that there is room for */
        assert_int_equal(channels_of(f, "bob"), 0);
        fake_free(f);
}

static void test_for_a_minute(void **state)
{
        struct fake *f = stale_world();
        struct named named;

        (void)state;
        fake_advance(f, CHANGES_LATE_MS);
        core_time(f->core);
        assert_true(changes_removed(f->core, "bob", ROOM));
        assert_false(changes_removed(f->core, "bob", "news"));
        fake_advance(f, 50);
        core_time(f->core);
        assert_false(changes_removed(f->core, "bob", ROOM));
        fake_advance(f, CHANGES_KEEP_MS - CHANGES_LATE_MS - 50);
        assert_int_equal(unsettled(f, &named, false), 1);
        assert_int_equal(channels_of(f, "bob"), 0);
        fake_advance(f, 50);
        assert_int_equal(unsettled(f, &named, false), 0);
        fake_free(f);
        f = stale_world();
        fake_advance(f, CHANGES_KEEP_MS + 50); /* what is read a minute later counts */
        assert_int_equal(channels_of(f, "bob"), 1);
        fake_free(f);
}

/* Another instance speaks for presence: removals count again, whoever has joined does not */
static void test_unsettled_again(void **state)
{
        struct fake *f = stale_world();
        struct named named;

        (void)state;
        hear_many(f, 3, "other", MEMBER);
        hear_many(f, 3, ROOM, NONE);
        hear(f, "u1", ROOM, MEMBER, 3, true);
        assert_int_equal(unsettled(f, &named, false), 3); /* bob, u0, u2 */
        while (unsettled(f, &named, false))
                changes_settle(f->core, named.number);
        hear(f, "u3", ROOM, NONE, 2, true);
        changes_unsettle(f->core);
        assert_int_equal(unsettled(f, &named, false), 4);
        while (unsettled(f, &named, false))
                changes_settle(f->core, named.number);
        hear_many(f, CHANGES_MAX, "news", MEMBER); /* all lists are whole, and the removals gone */
        assert_int_equal(unsettled(f, &named, false), 0);
        changes_unsettle(f->core);
        assert_int_equal(unsettled(f, &named, true), 0);
        fake_advance(f, CHANGES_KEEP_MS);
        assert_int_equal(unsettled(f, &named, false), 0);
        fake_free(f);
}

/* --- the limit --- */

static void test_settled_ones_go_first(void **state)
{
        struct fake *f = stale_world();
        struct named named;

        (void)state;
        hear_many(f, CHANGES_MAX + 100, "news", MEMBER);
        assert_int_equal(unsettled(f, &named, false), 1);
        assert_string_equal(named.user_id, "bob");
        assert_int_equal(channels_of(f, "bob"), 0);
        hear_many(f, 10, ROOM, NONE);
        changes_settle(f->core, named.number); /* now it is one of them, and behind those that were before */
        hear_many(f, 100, "other", MEMBER);
        assert_int_equal(unsettled(f, &named, false), 10);
        fake_free(f);
}

/* Nothing is settled: the oldest one goes, and nobody can be sure until it would have been too old */
static void test_too_many_unsettled(void **state)
{
        struct fake *f = stale_world();
        struct named named;

        (void)state;
        fake_advance(f, 5000);
        hear_many(f, CHANGES_MAX - 1, "news", NONE);
        assert_int_equal(unsettled(f, &named, false), CHANGES_MAX);
        assert_string_equal(named.user_id, "bob");
        hear(f, "carla", "news", NONE, 2, true);
        assert_int_equal(unsettled(f, &named, true), CHANGES_MAX);
        assert_string_equal(named.user_id, "u0");
        fake_advance(f, CHANGES_KEEP_MS - 5000 - 50);
        assert_int_equal(unsettled(f, &named, true), CHANGES_MAX);
        fake_advance(f, 50);
        assert_int_equal(unsettled(f, &named, false), CHANGES_MAX);
        fake_advance(f, 5050);
        assert_int_equal(unsettled(f, &named, false), 0);
        fake_free(f);
}

/* --- what is left of many changes --- */

enum { PAIRS = 600, LONGEST = 6 };

/* Some changes of one membership, as they are heard, and a list of one of the times between them */
struct tale {
        char early[16], late[16];
        struct fake_membership list;
        uint64_t since_seq[2 + LONGEST]; /* by version: of the last stay */
        unsigned n;
        struct {
                Parley__V1__Role role;
                uint64_t version;
                bool event;
        } heard[2 * LONGEST];
};

static void tale_hear(struct tale *t, Parley__V1__Role role, uint64_t version, bool joins, uint64_t *seed)
{
        unsigned heard = (unsigned)(unit_random(seed) % 4), first = (unsigned)(unit_random(seed) % 2);

        for (unsigned k = 0; k < 2; k++) {
                unsigned way = k ^ first; /* announced, or by the event; only a join's tells where a stay begins */

                if (!(heard & (1U << way)))
                        continue;
                t->heard[t->n].role = role;
                t->heard[t->n].version = version;
                t->heard[t->n++].event = joins && way;
        }
}

static void tale_make(struct tale *t, unsigned i, uint64_t *seed)
{
        struct fake_membership m = {ROOM, MEMBER, 1, 5, 0, false};
        uint64_t listed = 1 + unit_random(seed) % LONGEST, left_seq = 0;

        *t = (struct tale){.since_seq = {0, 5}, .list = m};
        (void)snprintf(t->early, sizeof(t->early), "early%u", i);
        (void)snprintf(t->late, sizeof(t->late), "late%u", i);
        for (m.version = 2; m.version < 2 + LONGEST; m.version++) {
                bool joins = m.role == NONE;

                t->since_seq[m.version] = joins ? 10 * m.version : t->since_seq[m.version - 1];
                if (joins) {
                        m.role = MEMBER;
                        m.had_absence = true;
                } else {
                        m.role = unit_random(seed) % 2 ? NONE : m.role == MEMBER ? MODERATOR : MEMBER;
                }
                m.since_seq = m.role == NONE || unit_random(seed) % 2 ? 0
                                                                      : t->since_seq[m.version]; /* 0: not known yet */
                left_seq = m.role == NONE ? 10 * m.version : left_seq;
                m.left_seq = m.role == NONE || unit_random(seed) % 2 ? left_seq : 0;
                if (m.version <= listed)
                        t->list = m;
                tale_hear(t, m.role, m.version, joins, seed);
        }
}

static void tale_tell(struct fake *f, const struct tale *t, const char *user)
{
        for (unsigned i = 0; i < t->n; i++)
                hear(f, user, ROOM, t->heard[i].role, t->heard[i].version, t->heard[i].event);
}

static const struct member *member_of(struct fake *f, const char *user)
{
        return user_member(user_find(f->core, user), channel_find(f->core, ROOM));
}

/* Where the list does not say since when he is a member, a run of changes may say more than the last of them */
static bool is_same(const struct tale *t, const struct member *early, const struct member *late)
{
        bool since = late->since_seq == early->since_seq ||
                     (late->since_seq >= t->since_seq[late->version] && late->since_seq < early->since_seq);

        return early->role == late->role && early->version == late->version && since &&
               early->left_seq == late->left_seq && early->had_absence == late->had_absence;
}

/* Whoever is loaded behind them from a list that is older stands where he stands who heard them one by one */
static void test_replay_of_many(void **state)
{
        static struct tale tales[PAIRS];
        struct fake *f = fake_new();
        uint64_t seed = 7;

        (void)state;
        fake_start(f);
        fake_put_channel(f, ROOM, false, false);
        for (unsigned i = 0; i < PAIRS; i++) {
                tale_make(&tales[i], i, &seed);
                fake_put_members(f, tales[i].early, 1, &tales[i].list, 1, false);
                fake_put_members(f, tales[i].late, 1, &tales[i].list, 1, false);
                fake_connect(f, tales[i].early, ENCODING_PROTO);
        }
        f->silent = true; /* what they make of it in the log is another matter */
        for (unsigned i = 0; i < PAIRS; i++) {
                tale_tell(f, &tales[i], tales[i].early);
                tale_tell(f, &tales[i], tales[i].late);
        }
        f->silent = false;
        for (unsigned i = 0; i < PAIRS; i++) {
                const struct member *early = member_of(f, tales[i].early), *late;

                fake_connect(f, tales[i].late, ENCODING_PROTO);
                late = member_of(f, tales[i].late);
                if (!is_same(&tales[i], early, late))
                        fail_msg("pair %u: %u v%u %u-%u %d, and late %u v%u %u-%u %d", i, early->role,
                                 (unsigned)early->version, (unsigned)early->since_seq, (unsigned)early->left_seq,
                                 early->had_absence, late->role, (unsigned)late->version, (unsigned)late->since_seq,
                                 (unsigned)late->left_seq, late->had_absence);
        }
        fake_free(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_heard_often),           cmocka_unit_test(test_settled_once),
                cmocka_unit_test(test_loop_has_one_place),    cmocka_unit_test(test_left_long_ago),
                cmocka_unit_test(test_loop_admits_nobody),    cmocka_unit_test(test_for_a_minute),
                cmocka_unit_test(test_settled_ones_go_first), cmocka_unit_test(test_too_many_unsettled),
                cmocka_unit_test(test_unsettled_again),       cmocka_unit_test(test_replay_of_many),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
