/* What is written to the bucket PRESENCE, beside others who write: a bucket with revisions, in place of NATS. */
#include <stdlib.h>

#include "base/wheel.h"
#include "bus/bus.h"
#include "bus/subjects.h"
#include "presence/status.h"
#include "presence/voice_impl.h"
#include "presence_world.h"

enum { BYTES = 512, WAITING = 8 };

/* A write or a read that is under way */
struct under_way {
        bool write;
        uint64_t expected;
        size_t n;
        uint8_t data[BYTES];
        bus_ack_handler on_ack;
        bus_reply_handler on_reply;
        void *userdata;
};

static struct {
        uint64_t revision; /* of the one entry; 0: there is none */
        size_t n;
        uint8_t data[BYTES];
        struct under_way queue[WAITING];
        unsigned n_queue, n_writes;
} kept;

/* --- in place of the bus --- */

bool bus_connected(const struct bus *bus)
{
        (void)bus;
        return true;
}

const char *bus_error_text(int error)
{
        (void)error;
        return "it failed";
}

int bus_kv_put(struct bus *bus, const char *bucket, const char *key, const void *data, size_t len, uint64_t expected,
               bus_ack_handler handler, void *userdata)
{
        struct under_way *u = &kept.queue[kept.n_queue++];

        (void)bus;
        assert_string_equal(bucket, BUCKET_PRESENCE);
        assert_string_equal(key, "ada");
        assert_in_range(kept.n_queue, 1, WAITING);
        assert_in_range(len, 0, BYTES);
        *u = (struct under_way){.write = true, .expected = expected, .n = len, .on_ack = handler, .userdata = userdata};
        memcpy(u->data, data, len);
        return 0;
}

int bus_kv_get(struct bus *bus, const char *bucket, const char *key, bus_reply_handler handler, void *userdata)
{
        (void)bus;
        (void)bucket;
        (void)key;
        assert_in_range(kept.n_queue, 0, WAITING - 1);
        kept.queue[kept.n_queue++] = (struct under_way){.on_reply = handler, .userdata = userdata};
        return 0;
}

static void store(const uint8_t *data, size_t n)
{
        memcpy(kept.data, data, n);
        kept.n = n;
        kept.revision++;
}

static void read_entry(const struct under_way *u)
{
        const struct bus_msg msg = {.seq = kept.revision, .data = kept.data, .len = kept.n};

        u->on_reply(kept.revision ? 0 : BUS_E_NOT_FOUND, kept.revision ? &msg : NULL, u->userdata);
}

/* Carries out the first of what is under way */
static bool step(void)
{
        struct under_way u = kept.queue[0];
        struct bus_ack ack;

        if (!kept.n_queue)
                return false;
        memmove(kept.queue, kept.queue + 1, --kept.n_queue * sizeof(u));
        if (!u.write) {
                read_entry(&u);
        } else if (u.expected != BUS_KV_ANY && u.expected != kept.revision) {
                u.on_ack(BUS_E_CONFLICT, NULL, "wrong last sequence", u.userdata);
        } else {
                store(u.data, u.n);
                kept.n_writes++;
                ack = (struct bus_ack){.seq = kept.revision};
                u.on_ack(0, &ack, NULL, u.userdata);
        }
        return true;
}

/* --- the world --- */

static struct world world;
static struct voice voice;
static int last_code;

static void before(void *userdata)
{
        (void)userdata;
}

static int setup(void **state)
{
        (void)state;
        memset(&kept, 0, sizeof(kept));
        world_init(&world);
        voice = (struct voice){.options = {.roster = world.roster, .before = before}, .leader = {.leading = true}};
        buf_init(&voice.bytes, VOICE_MESSAGE_MAX);
        last_code = -1;
        return ratetable_new(&voice.status_rate, 0, VOICE_STATUS_COST, 10);
}

static int teardown(void **state)
{
        (void)state;
        voice_store_clear(&voice);
        ratetable_free(voice.status_rate);
        buf_done(&voice.bytes);
        world_done(&world);
        return 0;
}

static void on_set(int code, const char *why, uint32_t retry_ms, void *userdata)
{
        (void)why;
        (void)retry_ms;
        (void)userdata;
        last_code = code;
}

static void say(const char *text)
{
        Parley__V1__Status s = PARLEY__V1__STATUS__INIT;

        s.text = (char *)text;
        voice_set_status(&voice, "ada", &s, on_set, NULL);
}

/* Another instance writes this */
static void other_writes(const char *text)
{
        Parley__V1__PresenceRecord record = PARLEY__V1__PRESENCE_RECORD__INIT;
        Parley__V1__Status s = PARLEY__V1__STATUS__INIT;
        uint8_t data[BYTES];

        s.text = (char *)text;
        record.status = &s;
        store(data, parley__v1__presence_record__pack(&record, data));
}

/* The mirror brings what is in the bucket */
static void mirror(void)
{
        Parley__V1__PresenceRecord *record = parley__v1__presence_record__unpack(NULL, kept.n, kept.data);

        assert_non_null(record);
        assert_int_equal(roster_record(world.roster, "ada", record, kept.revision), 0);
        parley__v1__presence_record__free_unpacked(record, NULL);
}

static void check(const char *text, bool last_seen)
{
        Parley__V1__PresenceRecord *record;
        const struct person *ada;

        while (step())
                ;
        ada = world_person(&world, "ada");
        record = parley__v1__presence_record__unpack(NULL, kept.n, kept.data);
        assert_non_null(record);
        assert_string_equal(record->status->text, text);
        assert_int_equal(record->last_seen_at != NULL, last_seen);
        parley__v1__presence_record__free_unpacked(record, NULL);
        assert_string_equal(ada && ada->status ? ada->status->text : "", text);
}

/* Comes and goes; that he was here is to be written */
static void come_and_go(void)
{
        world_tell(&world, "gw0", 7, 1, "ada", 1, true);
        world_tell(&world, "gw0", 7, 2, "ada", 0, false);
        world_pass(&world, 11000);
        assert_int_equal(world.n_stored, 1);
        voice_store(&voice, "ada");
}

static void test_status(void **state)
{
        (void)state;
        say("first");
        assert_int_equal(last_code, -1); /* not before it is kept */
        check("first", false);
        assert_int_equal(last_code, PARLEY_OK);
        say("second");
        check("second", false);
        assert_int_equal(kept.n_writes, 2);
        come_and_go();
        voice_store_some(&voice);
        check("second", true);
        say("third");
        check("third", true);
}

/* When he was here last is written while his status is still under way */
static void test_last_seen_takes_no_status_back(void **state)
{
        (void)state;
        say("old");
        check("old", false);
        come_and_go();
        say("new");
        voice_store_some(&voice); /* the roster does not have the new one yet */
        check("new", true);
        assert_int_equal(last_code, PARLEY_OK);
}

/* Another instance took a status, and the mirror is behind */
static void test_mirror_behind(void **state)
{
        (void)state;
        say("old");
        check("old", false);
        come_and_go();
        other_writes("of another instance");
        voice_store_some(&voice);
        check("of another instance", true);
        other_writes("again");
        say("ours, later");
        check("ours, later", true);
        other_writes("later still");
        mirror();
        check("later still", false); /* it wrote no last seen */
}

/* What the mirror brings late is not what counts any more */
static void test_late_entry(void **state)
{
        Parley__V1__PresenceRecord empty = PARLEY__V1__PRESENCE_RECORD__INIT;

        (void)state;
        say("first");
        check("first", false);
        say("second");
        check("second", false);
        assert_int_equal(roster_record(world.roster, "ada", &empty, 1), 0);
        check("second", false);
        roster_forget_revisions(world.roster); /* it is read anew */
        assert_int_equal(roster_record(world.roster, "ada", &empty, 1), 0);
        assert_null(world_person(&world, "ada")->status);
}

/* Two at once: both are kept, one behind the other */
static void test_two_at_once(void **state)
{
        (void)state;
        say("one");
        say("two");
        check("two", false);
        assert_int_equal(kept.n_writes, 2);
}

/* The bucket was lost, and is another one */
static void test_bucket_made_anew(void **state)
{
        (void)state;
        for (unsigned i = 0; i < 5; i++)
                say("before"), check("before", false);
        kept.revision = 0;
        kept.n = 0;
        say("after");
        check("after", false);
        assert_int_equal(last_code, PARLEY_OK);
}

static int64_t kept_last_seen(void)
{
        Parley__V1__PresenceRecord *record = parley__v1__presence_record__unpack(NULL, kept.n, kept.data);
        int64_t seconds;

        assert_non_null(record);
        seconds = record->last_seen_at ? record->last_seen_at->seconds : 0;
        parley__v1__presence_record__free_unpacked(record, NULL);
        return seconds;
}

/* Whoever goes invisible looks like one who leaves: the minute of it is written with it. That he leaves later changes nothing. */
static void test_invisible_is_seen_last_when_he_vanishes(void **state)
{
        Parley__V1__Status s = PARLEY__V1__STATUS__INIT;
        int64_t minute;

        (void)state;
        come_and_go();
        voice_store_some(&voice);
        check("", true);
        minute = kept_last_seen();
        world_pass(&world, 600000);
        world_tell(&world, "gw0", 7, 3, "ada", 1, true);
        s.mode = PARLEY__V1__STATUS__MODE__invisible;
        voice_set_status(&voice, "ada", &s, on_set, NULL);
        check("", true);
        assert_int_equal(kept_last_seen(), minute + 600);
        assert_int_equal((int64_t)world_person(&world, "ada")->last_seen_min * 60, minute + 600);
        mirror();
        world.n_stored = 0;
        world_pass(&world, 20000);
        world_tell(&world, "gw0", 7, 4, "ada", 1, true);
        world_pass(&world, 300000 - 20000);
        world_snapshot(&world, "gw0", 7, 5, NULL, 0);
        world_pass(&world, 11000);
        assert_int_equal(world_person(&world, "ada")->held, 0);
        assert_int_equal((int64_t)world_person(&world, "ada")->last_seen_min * 60, minute + 600);
        assert_int_equal(world.n_stored, 0);
}

/* Of several instances the one that speaks writes */
static void test_others_write_nothing(void **state)
{
        (void)state;
        voice.leader.leading = false;
        voice_store(&voice, "ada");
        assert_int_equal(voice.n_store, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_status, setup, teardown),
                cmocka_unit_test_setup_teardown(test_last_seen_takes_no_status_back, setup, teardown),
                cmocka_unit_test_setup_teardown(test_mirror_behind, setup, teardown),
                cmocka_unit_test_setup_teardown(test_late_entry, setup, teardown),
                cmocka_unit_test_setup_teardown(test_two_at_once, setup, teardown),
                cmocka_unit_test_setup_teardown(test_bucket_made_anew, setup, teardown),
                cmocka_unit_test_setup_teardown(test_invisible_is_seen_last_when_he_vanishes, setup, teardown),
                cmocka_unit_test_setup_teardown(test_others_write_nothing, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
