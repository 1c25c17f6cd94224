/* Clients of the fake world: what docs/protocol.md asks of one. */
#include "gateway_fake.h"

#include "wire/wire.h"

struct fake_view *fake_view(struct fake_client *c, const char *channel)
{
        for (size_t i = 0; i < c->n_views; i++)
                if (strcmp(c->views[i].channel, channel) == 0)
                        return &c->views[i];
        assert_true(c->n_views < 64);
        strcpy(c->views[c->n_views].channel, channel);
        return &c->views[c->n_views++];
}

static void view_apply(struct fake_view *v, const Parley__V1__Event *e)
{
        if (v->n_seqs == v->cap_seqs) {
                v->cap_seqs = v->cap_seqs ? v->cap_seqs * 2 : 64;
                v->seqs = realloc(v->seqs, v->cap_seqs * sizeof(*v->seqs));
                assert_non_null(v->seqs);
        }
        v->seqs[v->n_seqs++] = e->seq;
        v->cursor = e->seq;
}

static void view_state(struct fake_client *c, const Parley__V1__ChannelState *state)
{
        struct fake_view *v = fake_view(c, state->channel->id);

        v->removed = false;
        if (v->epoch == 0 && v->cursor == 0)
                v->cursor = v->start = state->head_seq;
        v->epoch = state->epoch;
}

static void client_take(struct fake_client *c, const Parley__V1__ServerFrame *frame)
{
        struct fake_view *v;

        switch (frame->body_case) {
        case PARLEY__V1__SERVER_FRAME__BODY_READY:
                for (size_t i = 0; i < frame->ready->n_channels; i++)
                        view_state(c, frame->ready->channels[i]);
                break;
        case PARLEY__V1__SERVER_FRAME__BODY_CHANNEL_ADDED:
                view_state(c, frame->channel_added->state);
                break;
        case PARLEY__V1__SERVER_FRAME__BODY_CHANNEL_REMOVED:
                fake_view(c, frame->channel_removed->channel_id)->removed = true;
                break;
        case PARLEY__V1__SERVER_FRAME__BODY_EVENT:
                v = fake_view(c, frame->event->channel_id);
                assert_false(v->removed); /* no event after channelRemoved */
                if (frame->event->seq <= v->cursor)
                        break;
                if (frame->event->prev > v->cursor || (frame->event->prev == 0 && v->cursor))
                        v->breaks++;
                view_apply(v, frame->event);
                break;
        case PARLEY__V1__SERVER_FRAME__BODY_REPLAY:
                v = fake_view(c, frame->replay->channel_id);
                v->replays++;
                assert_true(frame->replay->from_seq <= v->cursor);
                for (size_t i = 0; i < frame->replay->n_events; i++)
                        if (frame->replay->events[i]->seq > v->cursor)
                                view_apply(v, frame->replay->events[i]);
                if (frame->replay->through_seq > v->cursor)
                        v->cursor = frame->replay->through_seq;
                v->epoch = frame->replay->epoch;
                break;
        case PARLEY__V1__SERVER_FRAME__BODY_GAP:
                v = fake_view(c, frame->gap->channel_id);
                v->gaps++;
                v->cursor = frame->gap->head_seq;
                v->epoch = frame->gap->epoch;
                break;
        default:
                break;
        }
}

static int client_write(void *connection, uint8_t *data, size_t n, bool binary, size_t *ret_kept)
{
        struct fake_client *c = connection;
        size_t offset = 0, len;
        const uint8_t *bytes;

        if (c->stuck)
                return TRANSPORT_E_BUSY;
        if (c->clogged) {
                c->stuck = true;
                *ret_kept = n;
        }
        c->n_messages++;
        c->n_bytes += n;
        assert_int_equal(binary, !c->text);
        memset(data - TRANSPORT_ROOM, 0xee, TRANSPORT_ROOM); /* the transport's header is written there */
        if (c->text) {
                free(c->last_text);
                c->last_text = strndup((char *)data, n);
                return 0;
        }
        while (wire_next_delimited(data, n, &offset, &bytes, &len) > 0) {
                Parley__V1__ServerFrame *frame = parley__v1__server_frame__unpack(NULL, len, bytes);

                assert_non_null(frame);
                if (c->n_frames == c->cap_frames) {
                        c->cap_frames = c->cap_frames ? c->cap_frames * 2 : 64;
                        c->frames = realloc(c->frames, c->cap_frames * sizeof(Parley__V1__ServerFrame *));
                }
                c->frames[c->n_frames++] = frame;
                client_take(c, frame);
        }
        return 0;
}

static void client_ping(void *connection)
{
        (void)connection;
}

static void client_close(void *connection, unsigned code, const char *reason)
{
        struct fake_client *c = connection;

        assert_true(strlen(reason) > 0 && strlen(reason) <= 123);
        assert_int_equal(c->close_code, 0); /* once */
        c->close_code = code;
}

const struct transport fake_transport = {.write = client_write, .ping = client_ping, .close = client_close};

struct fake_client *fake_connect_raw(struct fake *f, enum encoding encoding, bool plain)
{
        struct fake_client *c = calloc(1, sizeof(*c));
        struct session_options options = {.connection = c, .encoding = encoding, .plain = plain};

        assert_non_null(c);
        c->f = f;
        c->text = encoding == ENCODING_JSON;
        c->next = f->clients;
        f->clients = c;
        assert_int_equal(session_new(&c->session, f->core, &options), 0);
        return c;
}

char *fake_token(struct fake *f, const char *user)
{
        char *token;

        assert_int_equal(auth_sign(f->auth, user, user, false, f->wall_ns / 1000000000, 3600, &token), 0);
        return token;
}

struct fake_client *fake_connect(struct fake *f, const char *user, enum encoding encoding)
{
        struct fake_client *c = fake_connect_raw(f, encoding, false);
        char *token = fake_token(f, user);

        session_authenticate(c->session, token, 0);
        free(token);
        fake_run(f);
        return c;
}

void fake_client_send(struct fake_client *c, const Parley__V1__ClientFrame *frame)
{
        struct buf data = BUF_INIT(1 << 20);

        assert_int_equal(wire_proto_encode_delimited(&frame->base, &data), 0);
        session_receive(c->session, data.data, data.len, true);
        buf_done(&data);
}

void fake_client_text(struct fake_client *c, const char *text)
{
        session_receive(c->session, (const uint8_t *)text, strlen(text), false);
}

uint32_t fake_client_message(struct fake_client *c, const char *channel, const char *id, const char *content,
                             bool retry)
{
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Send send = PARLEY__V1__SEND__INIT;
        Parley__V1__OutgoingMessage message = PARLEY__V1__OUTGOING_MESSAGE__INIT;

        message.id = (char *)id;
        message.content = (char *)content;
        send.channel_id = (char *)channel;
        send.message = &message;
        send.retry = retry;
        frame.ref = ++c->next_ref;
        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_SEND;
        frame.send = &send;
        fake_client_send(c, &frame);
        return frame.ref;
}

void fake_client_resume(struct fake_client *c, const char *channel, uint64_t epoch, uint64_t seq)
{
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Resume resume = PARLEY__V1__RESUME__INIT;
        Parley__V1__Cursor cursor = PARLEY__V1__CURSOR__INIT, *cursors[] = {&cursor};
        struct fake_view *v = fake_view(c, channel);

        v->cursor = v->start = seq;
        v->n_seqs = 0;
        cursor.channel_id = (char *)channel;
        cursor.epoch = epoch;
        cursor.seq = seq;
        resume.cursors = cursors;
        resume.n_cursors = 1;
        frame.ref = ++c->next_ref;
        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_RESUME;
        frame.resume = &resume;
        fake_client_send(c, &frame);
}

void fake_client_drop(struct fake_client *c)
{
        if (c->session)
                session_gone(c->session);
        c->session = NULL;
}

const Parley__V1__ServerFrame *fake_answer(const struct fake_client *c, uint32_t ref)
{
        const Parley__V1__ServerFrame *found = NULL;

        for (size_t i = 0; i < c->n_frames; i++) {
                if (c->frames[i]->ref != ref)
                        continue;
                assert_null(found); /* exactly one answer */
                found = c->frames[i];
        }
        return found;
}

const Parley__V1__ServerFrame *fake_last(const struct fake_client *c, Parley__V1__ServerFrame__BodyCase body)
{
        for (size_t i = c->n_frames; i-- > 0;)
                if (c->frames[i]->body_case == body)
                        return c->frames[i];
        return NULL;
}

bool fake_saw(struct fake_client *c, const char *channel, uint64_t seq)
{
        struct fake_view *v = fake_view(c, channel);

        for (size_t i = 0; i < v->n_seqs; i++)
                if (v->seqs[i] == seq)
                        return true;
        return false;
}

unsigned fake_count(const struct fake_client *c, Parley__V1__ServerFrame__BodyCase body)
{
        unsigned n = 0;

        for (size_t i = 0; i < c->n_frames; i++)
                n += c->frames[i]->body_case == body;
        return n;
}

void fake_check_complete(struct fake_client *c, const char *channel)
{
        struct fake *f = c->f;
        struct fake_view *v = fake_view(c, channel);
        size_t at = 0;

        for (size_t i = 0; i < f->n_log; i++) {
                if (strcmp(f->log[i].channel, channel) != 0 || f->log[i].seq <= v->start)
                        continue;
                if (at == v->n_seqs || v->seqs[at] != f->log[i].seq)
                        fail_msg("%s: expected event %llu at place %zu of %zu, seed %llu", channel,
                                 (unsigned long long)f->log[i].seq, at, v->n_seqs, (unsigned long long)f->seed);
                at++;
        }
        assert_int_equal(at, v->n_seqs);
        assert_int_equal(v->breaks, 0);
        assert_int_equal(v->gaps, 0);
}

void fake_check_view_from(struct fake_client *c, const char *channel, uint64_t above, size_t n)
{
        struct fake_view *v = fake_view(c, channel);

        assert_int_equal(v->n_seqs, n);
        for (size_t i = 0; i < n; i++)
                assert_true(v->seqs[i] == above + 1 + i);
}

void fake_clients_free(struct fake *f)
{
        while (f->clients) {
                struct fake_client *c = f->clients;

                f->clients = c->next;
                for (size_t i = 0; i < c->n_frames; i++)
                        parley__v1__server_frame__free_unpacked(c->frames[i], NULL);
                for (size_t i = 0; i < c->n_views; i++)
                        free(c->views[i].seqs);
                free(c->frames);
                free(c->last_text);
                free(c);
        }
}
