/* A gateway's core while memory runs out, once at each place: no session is told a lie, nothing is lost of the memory that is there, and
 * afterwards everything works. The sanitizers find what was left behind. */
#include <errno.h>

#include "base/log.h"
#include "bus/subjects.h"
#include "gateway/changes.h"
#include "gateway_fake_impl.h"
#include "torture.h"
#include "wire/wire.h"

#define ROOM "room"

static struct upstream fake_up; /* of the fake world, called without failures */

/* --- the fake's doors, behind which nothing fails --- */

static int up_subscribe(void *self, const char *subject, bus_handler handler, void *userdata, struct bus_sub **ret_sub)
{
        torture_pause();
        int r = fake_up.subscribe(self, subject, handler, userdata, ret_sub);
        torture_resume();
        return r;
}

static int up_publish(void *self, const char *subject, const void *data, size_t len)
{
        torture_pause();
        int r = fake_up.publish(self, subject, data, len);
        torture_resume();
        return r;
}

static int up_ask(void *self, const char *subject, const void *data, size_t len, bus_reply_handler handler,
                  void *userdata)
{
        torture_pause();
        int r = fake_up.request(self, subject, data, len, handler, userdata);
        torture_resume();
        return r;
}

static int up_store(void *self, const char *subject, const char *msg_id, const void *data, size_t len,
                    const char *trace_id, bus_ack_handler handler, void *userdata)
{
        torture_pause();
        int r = fake_up.publish_stream(self, subject, msg_id, data, len, trace_id, handler, userdata);
        torture_resume();
        return r;
}

static int up_info(void *self, const char *stream, bus_stream_handler handler, void *userdata)
{
        torture_pause();
        int r = fake_up.stream_info(self, stream, handler, userdata);
        torture_resume();
        return r;
}

static int up_last(void *self, const char *stream, const char *subject, bus_reply_handler handler, void *userdata)
{
        torture_pause();
        int r = fake_up.stream_last(self, stream, subject, handler, userdata);
        torture_resume();
        return r;
}

static int up_get(void *self, const char *stream, uint64_t seq, bool direct, bus_reply_handler handler, void *userdata)
{
        torture_pause();
        int r = fake_up.stream_get(self, stream, seq, direct, handler, userdata);
        torture_resume();
        return r;
}

static int up_next(void *self, const char *stream, const char *subject, uint64_t min_seq, bus_reply_handler handler,
                   void *userdata)
{
        torture_pause();
        int r = fake_up.stream_next(self, stream, subject, min_seq, handler, userdata);
        torture_resume();
        return r;
}

static int up_kv(void *self, const char *bucket, const char *key, bus_reply_handler handler, void *userdata)
{
        torture_pause();
        int r = fake_up.kv_get(self, bucket, key, handler, userdata);
        torture_resume();
        return r;
}

static int client_write(void *connection, uint8_t *data, size_t n, bool binary, size_t *ret_kept)
{
        torture_pause();
        int r = fake_transport.write(connection, data, n, binary, ret_kept);
        torture_resume();
        return r;
}

static void guard_doors(struct fake *f)
{
        struct upstream *up = &f->core->up;

        fake_up = *up;
        up->subscribe = up->subscribe_direct = up_subscribe;
        up->publish = up_publish;
        up->request = up_ask;
        up->publish_stream = up_store;
        up->stream_info = up_info;
        up->stream_last = up_last;
        up->stream_get = up_get;
        up->stream_next = up_next;
        up->kv_get = up_kv;
        f->core->transport.write = client_write;
}

/* --- the script --- */

static void members(struct fake *f, bool bob_is_one, uint64_t version, bool signal)
{
        const struct fake_membership ann = {.channel = ROOM, .role = PARLEY__V1__ROLE__owner, .version = 1};
        const struct fake_membership bob = {.channel = ROOM,
                                            .role = bob_is_one ? PARLEY__V1__ROLE__member : PARLEY__V1__ROLE__none,
                                            .version = version};

        fake_put_members(f, "ann", 1, &ann, 1, false);
        fake_put_members(f, "bob", version, &bob, 1, signal);
}

/* Everything that waits, with failures */
static void pump(struct fake *f)
{
        torture_begin();
        fake_run(f);
        torture_end();
}

static void pass(struct fake *f, unsigned ms)
{
        torture_begin();
        fake_advance(f, ms);
        torture_end();
}

static struct fake_client *connect_one(struct fake *f, const char *user, enum encoding encoding)
{
        struct fake_client *c = calloc(1, sizeof(*c));
        const struct session_options options = {.connection = c, .encoding = encoding};
        char *token = fake_token(f, user);
        int r;

        c->f = f;
        c->text = encoding == ENCODING_JSON;
        c->next = f->clients;
        f->clients = c;
        torture_begin();
        r = session_new(&c->session, f->core, &options);
        if (r == 0)
                session_authenticate(c->session, token, 0);
        torture_end();
        assert_true(r == 0 || (r == -ENOMEM && !c->session));
        free(token);
        pump(f);
        return c;
}

static void frame(struct fake_client *c, Parley__V1__ClientFrame *frame)
{
        struct buf data = BUF_INIT(1 << 20);

        if (!c->session || c->close_code)
                return;
        frame->ref = ++c->next_ref;
        assert_int_equal(wire_proto_encode_delimited(&frame->base, &data), 0);
        torture_begin();
        session_receive(c->session, data.data, data.len, true);
        torture_end();
        buf_done(&data);
        pump(c->f);
}

static void send(struct fake_client *c, const char *content)
{
        Parley__V1__ClientFrame f = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Send s = PARLEY__V1__SEND__INIT;
        Parley__V1__OutgoingMessage m = PARLEY__V1__OUTGOING_MESSAGE__INIT;
        char id[37];

        fake_uuid(c->f, id);
        m.id = id;
        m.content = (char *)content;
        s.channel_id = (char *)ROOM;
        s.message = &m;
        f.body_case = PARLEY__V1__CLIENT_FRAME__BODY_SEND;
        f.send = &s;
        frame(c, &f);
}

static void change(struct fake_client *c, uint64_t target, bool delete)
{
        Parley__V1__ClientFrame f = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Edit e = PARLEY__V1__EDIT__INIT;
        Parley__V1__Delete d = PARLEY__V1__DELETE__INIT;
        char id[37];

        fake_uuid(c->f, id);
        e.id = d.id = id;
        e.channel_id = d.channel_id = (char *)ROOM;
        e.target_seq = d.target_seq = target;
        e.content = (char *)"changed";
        f.body_case = delete ? PARLEY__V1__CLIENT_FRAME__BODY_DELETE : PARLEY__V1__CLIENT_FRAME__BODY_EDIT;
        if (delete)
                f.delete_ = &d;
        else
                f.edit = &e;
        frame(c, &f);
}

static void resume(struct fake_client *c, uint64_t seq)
{
        Parley__V1__ClientFrame f = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Resume r = PARLEY__V1__RESUME__INIT;
        Parley__V1__Cursor cursor = PARLEY__V1__CURSOR__INIT, *cursors[] = {&cursor};

        cursor.channel_id = (char *)ROOM;
        cursor.epoch = c->f->epoch;
        cursor.seq = seq;
        r.cursors = cursors;
        r.n_cursors = 1;
        f.body_case = PARLEY__V1__CLIENT_FRAME__BODY_RESUME;
        f.resume = &r;
        frame(c, &f);
}

static void watch(struct fake_client *c, const char *user, bool with_failures)
{
        Parley__V1__ClientFrame f = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Watch w = PARLEY__V1__WATCH__INIT;
        char *users[] = {(char *)"ann", (char *)user};

        w.user_ids = users;
        w.n_user_ids = 2;
        f.body_case = PARLEY__V1__CLIENT_FRAME__BODY_WATCH;
        f.watch = &w;
        if (with_failures) {
                frame(c, &f);
                return;
        }
        f.ref = ++c->next_ref;
        fake_client_send(c, &f);
        fake_run(c->f);
}

static void focus(struct fake_client *c, size_t n)
{
        Parley__V1__ClientFrame f = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Focus w = PARLEY__V1__FOCUS__INIT;
        char *channels[] = {(char *)ROOM};

        w.channel_ids = channels;
        w.n_channel_ids = n;
        f.body_case = PARLEY__V1__CLIENT_FRAME__BODY_FOCUS;
        f.focus = &w;
        frame(c, &f);
}

static void typing(struct fake_client *c)
{
        Parley__V1__ClientFrame f = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Typing t = PARLEY__V1__TYPING__INIT;

        t.channel_id = (char *)ROOM;
        f.body_case = PARLEY__V1__CLIENT_FRAME__BODY_TYPING;
        f.typing = &t;
        frame(c, &f);
}

/* They look at each other, one writes, states change and messages are missing */
static void look(struct fake *f, struct fake_client *ann, struct fake_client *bob)
{
        watch(ann, "bob", true);
        watch(bob, "zoe", true);
        focus(ann, 1);
        focus(bob, 1);
        typing(bob);
        pass(f, 1100);
        fake_presence_set(f->presence, "bob", PARLEY__V1__USER_PRESENCE__AVAILABILITY__away, true);
        pump(f);
        f->presence->counter++;
        fake_presence_speak(f->presence, "bob");
        pass(f, 3100);
        watch(ann, "zoe", true);
        typing(ann);
        pass(f, 1100);
        focus(bob, 0);
}

/* Memory is there again: what was asked for comes, and it is the truth */
static void check_look(struct fake *f, struct fake_client *c)
{
        const Parley__V1__ServerFrame *last;

        watch(c, "bob", false);
        fake_presence_set(f->presence, "bob", PARLEY__V1__USER_PRESENCE__AVAILABILITY__dnd, true);
        fake_advance(f, 4000);
        last = fake_last(c, PARLEY__V1__SERVER_FRAME__BODY_PRESENCE);
        assert_non_null(last);
        for (size_t i = 0; i < last->presence->n_users; i++)
                if (strcmp(last->presence->users[i]->user_id, "bob") == 0)
                        assert_int_equal(last->presence->users[i]->availability,
                                         PARLEY__V1__USER_PRESENCE__AVAILABILITY__dnd);
}

/* Each request that was read has one answer, or its session was closed */
static void check_answers(const struct fake_client *c)
{
        for (uint32_t ref = 1; c->session && !c->close_code && ref <= c->next_ref; ref++)
                assert_non_null(fake_answer(c, ref));
}

/* What fails after this must not be told as done: an ack names what is stored */
static void check_acks(const struct fake_client *c)
{
        for (size_t i = 0; i < c->n_frames; i++) {
                const Parley__V1__ServerFrame *f = c->frames[i];
                bool stored = false;

                if (f->body_case != PARLEY__V1__SERVER_FRAME__BODY_ACK || !f->ack->seq)
                        continue;
                for (size_t k = 0; k < c->f->n_log; k++)
                        stored |= c->f->log[k].seq == f->ack->seq && strstr(c->f->log[k].msg_id, f->ack->id);
                assert_true(stored);
        }
}

/* Memory is there again: somebody new comes, speaks, and is heard; who stayed has missed nothing */
static void check_usable(struct fake *f, struct fake_client *ann)
{
        struct fake_client *c;
        uint64_t seq;

        fake_advance(f, 6000);
        c = fake_connect(f, "ann", ENCODING_PROTO);
        fake_client_message(c, ROOM, "00000000-0000-4000-8000-000000000001", "still here", false);
        fake_run(f);
        fake_advance(f, 3000);
        if (fake_answer(c, 1)->body_case == PARLEY__V1__SERVER_FRAME__BODY_ERROR)
                fail_msg("%s: %s", fake_answer(c, 1)->error->code, fake_answer(c, 1)->error->message);
        seq = fake_answer(c, 1)->ack->seq;
        assert_true(fake_saw(c, ROOM, seq));
        check_look(f, c);
        check_answers(ann);
        check_acks(ann);
        assert_int_equal(fake_view(ann, ROOM)->breaks, 0);
        if (ann->session && !ann->close_code && !fake_saw(ann, ROOM, seq))
                assert_true(fake_view(ann, ROOM)->cursor >= seq);
}

static void script(struct fake *f, struct fake_client *ann, struct fake_client *bob)
{
        Parley__V1__MembershipChange left = PARLEY__V1__MEMBERSHIP_CHANGE__INIT;

        send(ann, "one");
        send(ann, "two");
        change(ann, 1, false);
        change(ann, 2, true);
        fake_message(f, ROOM, "zoe", "from elsewhere");
        pump(f);
        resume(ann, 1);
        f->lose = 100; /* the live copy is lost, and the next one shows it */
        fake_message(f, ROOM, "zoe", "lost");
        f->lose = 0;
        fake_message(f, ROOM, "zoe", "after");
        pump(f);
        look(f, ann, bob);
        fake_trim(f, 3);
        resume(ann, 0); /* from history */
        resume(ann, f->next_seq + 5);
        left.channel_id = (char *)ROOM;
        left.user_id = (char *)"bob";
        left.version = 2;
        left.seq = fake_left(f, ROOM, "bob", 2);
        members(f, false, 2, true);
        torture_begin();
        changes_apply(f->core, &left);
        torture_end();
        pump(f);
        fake_message(f, ROOM, "zoe", "not for bob");
        pump(f);
        pass(f, 2500);
        assert_true(!bob->session || !fake_saw(bob, ROOM, f->next_seq - 1));
}

static void run_session(void *arg)
{
        struct fake *f = fake_new();
        struct fake_client *ann, *bob;

        (void)arg;
        f->config.tail_events = 3;
        fake_start(f);
        guard_doors(f);
        fake_put_channel(f, ROOM, false, false);
        members(f, true, 1, false);
        fake_presence_new(f);
        strcpy(f->presence->members[f->presence->n_members++], "ann");
        strcpy(f->presence->members[f->presence->n_members++], "bob");
        for (unsigned i = 0; i < f->presence->n_members; i++)
                fake_presence_set(f->presence, f->presence->members[i], PARLEY__V1__USER_PRESENCE__AVAILABILITY__online,
                                  false);
        ann = connect_one(f, "ann", ENCODING_PROTO);
        bob = connect_one(f, "bob", ENCODING_PROTO);
        connect_one(f, "ann", ENCODING_JSON);
        script(f, ann, bob);
        check_usable(f, ann);
        torture_begin(); /* leaving takes none */
        fake_client_drop(ann);
        torture_end();
        fake_presence_free(f->presence);
        fake_free(f);
}

static void test_session(void **state)
{
        (void)state;
        log_init("torture", (enum log_level)(LOG_ERROR + 1));
        assert_in_range(torture_each(run_session, NULL), 200, 20000);
}

/* --- beginning --- */

static void clock_stands(uint64_t *ret_now_ns, int64_t *ret_wall_ns)
{
        *ret_now_ns = 1000000000;
        *ret_wall_ns = INT64_C(1795000000000000000);
}

static void run_core(void *arg)
{
        struct core *core = NULL;
        const struct core_options options = {.config = arg, .clock = clock_stands};
        int r;

        torture_begin();
        r = core_new(&core, &options);
        torture_end();
        assert_int_equal(r, torture_failed() ? -ENOMEM : 0);
        assert_true((r == 0) == (core != NULL));
        core_free(core);
}

static void test_core(void **state)
{
        struct gateway_config config = {.shards = 3};

        (void)state;
        assert_in_range(torture_each(run_core, &config), 3, 100);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_core),
                cmocka_unit_test(test_session),
        };
        return cmocka_run_group_tests_name("torture/session", tests, NULL, NULL);
}
