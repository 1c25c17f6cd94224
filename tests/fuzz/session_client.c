/* Clients that follow docs/protocol.md, and compare each thing they are told with what is true. */
#include "session_world.h"

#include "bus/subjects.h"
#include "gateway/backlog.h"
#include "wire/wire.h"

/* --- what comes --- */

static struct asked *asked_find(struct client *c, uint32_t ref)
{
        for (unsigned i = 0; i < c->n_asked; i++)
                if (c->asked[i].ref == ref)
                        return &c->asked[i];
        return NULL;
}

/* Of several cursors of a channel the last one counts. At `ready` one that stands where the channel stands is not answered. */
static void cursors_apply(struct client *c, struct asked *a, bool *done, const uint64_t *heads, const uint64_t *epochs)
{
        if (a->applied)
                return;
        a->applied = true;
        for (unsigned i = a->n_cursors; i-- > 0;) {
                unsigned channel = a->cursors[i].channel;
                struct view *v = &c->views[channel];

                if (done[channel] || !v->announced)
                        continue;
                done[channel] = true;
                if (heads && a->cursors[i].seq == heads[channel] && a->cursors[i].epoch == epochs[channel])
                        continue;
                v->cursor = a->cursors[i].seq;
                v->asked_epoch = a->cursors[i].epoch;
                v->ahead = a->cursors[i].ahead;
                v->awaiting = true;
        }
}

static void view_announce(struct client *c, const Parley__V1__ChannelState *state, bool again)
{
        int i = world_channel(state->channel->id);
        struct view *v;

        REQUIRE(i >= 0);
        v = &c->views[i];
        REQUIRE(again || !v->announced);
        if (v->announced)
                return;
        *v = (struct view){
                .announced = true, .cursor = state->head_seq, .live = state->head_seq, .epoch = state->epoch};
        /* no head: the stream begins behind all that the channel ever had */
        v->past = state->head_seq ? state->head_seq : c->w->f->first_seq - 1;
}

static void on_ready(struct client *c, uint32_t ref, const Parley__V1__Ready *ready)
{
        uint64_t heads[N_CHANNELS] = {0}, epochs[N_CHANNELS] = {0};
        bool done[N_CHANNELS] = {false};
        struct asked *a = asked_find(c, ref);

        REQUIRE(strcmp(ready->user_id, world_users[c->user]) == 0);
        for (size_t i = 0; i < ready->n_channels; i++) {
                int channel = world_channel(ready->channels[i]->channel->id);

                view_announce(c, ready->channels[i], c->ready);
                heads[channel] = ready->channels[i]->head_seq;
                epochs[channel] = ready->channels[i]->epoch;
        }
        c->ready = true;
        if (a)
                a->accepted = true;
        for (unsigned i = c->n_asked; i-- > 0;)
                if (c->asked[i].accepted)
                        cursors_apply(c, &c->asked[i], done, heads, epochs);
}

/* It is in the log, of this channel, and this user may see it */
static const struct fake_event *check_event(const struct client *c, int channel, const Parley__V1__Event *e)
{
        const struct fake_event *stored = world_event(c->w, e->seq);

        REQUIRE(stored && strcmp(stored->channel, world_channels[channel]) == 0);
        REQUIRE(world_sees(c->w, c->user, (unsigned)channel, e->seq));
        if (e->id[0] && stored->msg_id[0]) {
                size_t n = strlen(stored->msg_id);

                REQUIRE(n > 36 && strcmp(stored->msg_id + n - 36, e->id) == 0);
        }
        return stored;
}

/* Nothing that this client should have lies between, both excluded */
static void check_nothing_between(const struct client *c, int channel, uint64_t from, uint64_t to)
{
        const struct fake *f = c->w->f;

        if (from < c->views[channel].past)
                from = c->views[channel].past;
        for (size_t i = 0; i < f->n_log; i++)
                REQUIRE(f->log[i].seq <= from || f->log[i].seq >= to ||
                        strcmp(f->log[i].channel, world_channels[channel]) != 0 ||
                        !world_sees(c->w, c->user, (unsigned)channel, f->log[i].seq) ||
                        world_is_hole(c->w, f->log[i].seq));
}

static struct view *view_get(struct client *c, const char *id, int *ret_channel)
{
        *ret_channel = world_channel(id);
        REQUIRE(*ret_channel >= 0);
        REQUIRE(c->ready && c->views[*ret_channel].announced);
        return &c->views[*ret_channel];
}

static void on_event(struct client *c, const Parley__V1__Event *e)
{
        int channel;
        struct view *v = view_get(c, e->channel_id, &channel);

        check_event(c, channel, e);
        REQUIRE(!v->awaiting);
        /* a gateway sends each one once; only whose cursor is of another gateway, which was further, knows it before */
        REQUIRE(e->seq > v->live);
        v->live = e->seq;
        if (e->seq <= v->cursor)
                return;
        /* a prev of 0 may be a break to the client, who then resumes; that nothing is missing is known here */
        REQUIRE(e->prev <= v->cursor);
        check_nothing_between(c, channel, v->cursor, e->seq);
        v->cursor = e->seq;
}

static void on_replay(struct client *c, const Parley__V1__Replay *r)
{
        int channel;
        struct view *v = view_get(c, r->channel_id, &channel);
        uint64_t at = r->from_seq;

        REQUIRE(r->from_seq <= v->cursor && r->through_seq >= r->from_seq);
        for (size_t i = 0; i < r->n_events; i++) {
                REQUIRE(r->events[i]->seq > at && r->events[i]->seq <= r->through_seq);
                check_event(c, channel, r->events[i]);
                check_nothing_between(c, channel, at, r->events[i]->seq);
                at = r->events[i]->seq;
        }
        check_nothing_between(c, channel, at, r->through_seq + 1);
        if (r->through_seq > v->cursor)
                v->cursor = r->through_seq;
        /* one that stands still may be of a cursor above what the gateway has */
        if (r->through_seq > r->from_seq && r->through_seq > v->live)
                v->live = r->through_seq;
        v->epoch = r->epoch;
        if (!r->more)
                v->awaiting = false;
}

static void on_gap(struct client *c, const Parley__V1__Gap *g)
{
        int channel;
        struct view *v = view_get(c, g->channel_id, &channel);

        check_gap(c, v, g);
        v->cursor = v->live = g->head_seq;
        v->epoch = g->epoch;
        v->awaiting = false;
}

static void on_ack(struct client *c, struct asked *a, const Parley__V1__Ack *ack)
{
        bool done[N_CHANNELS] = {false};
        const struct fake_event *stored;
        char msg_id[SUBJECT_MAX];

        if (!a)
                return;
        if (a->kind == PARLEY__V1__CLIENT_FRAME__BODY_WATCH) {
                c->watched = a->cursors[0].channel;
                return;
        }
        if (a->kind == PARLEY__V1__CLIENT_FRAME__BODY_FOCUS || a->kind == PARLEY__V1__CLIENT_FRAME__BODY_TYPING)
                return;
        if (a->kind == PARLEY__V1__CLIENT_FRAME__BODY_RESUME) {
                a->accepted = true;
                if (c->ready)
                        cursors_apply(c, a, done, NULL, NULL);
                return;
        }
        /* acknowledged is stored, as this and as nothing else */
        stored = world_event(c->w, ack->seq);
        subject_msg_id(msg_id, ack->channel_id, world_users[c->user], ack->id);
        REQUIRE(stored && strcmp(stored->channel, ack->channel_id) == 0 && strcmp(stored->msg_id, msg_id) == 0);
        if (a->id < 0)
                return;
        struct sent_id *id = &c->w->ids[a->id];
        REQUIRE(id->acked_seq == 0 || id->acked_seq == ack->seq);
        REQUIRE(strcmp(id->id, ack->id) == 0);
        id->acked_seq = ack->seq;
}

/* --- whom it looks at --- */

static void shown_set(struct client *c, const char *user, uint8_t shown)
{
        for (unsigned i = 0; i < N_WATCHED; i++)
                if (strcmp(world_watched[i], user) == 0)
                        c->shown[i] = shown;
}

static void on_presence(struct client *c, const Parley__V1__Presence *p)
{
        REQUIRE(p->snapshot || p->n_users + p->n_hidden_user_ids > 0);
        if (p->snapshot) {
                memset(c->shown, 0, sizeof(c->shown));
                REQUIRE(c->garbled || p->n_users + p->n_hidden_user_ids == (unsigned)__builtin_popcount(c->watched));
        }
        for (size_t i = 0; i < p->n_users; i++) {
                REQUIRE(p->users[i]->availability <= PARLEY__V1__USER_PRESENCE__AVAILABILITY__dnd);
                shown_set(c, p->users[i]->user_id, (uint8_t)(p->users[i]->availability + 2));
        }
        for (size_t i = 0; i < p->n_hidden_user_ids; i++)
                shown_set(c, p->hidden_user_ids[i], 1);
}

static void on_typing(const struct client *c, const Parley__V1__TypingUsers *t)
{
        REQUIRE(world_channel(t->channel_id) >= 0 && t->n_user_ids <= 20 && (!t->more || t->n_user_ids == 20));
        for (size_t i = 0; i < t->n_user_ids; i++)
                REQUIRE(strcmp(t->user_ids[i], world_users[c->user]) != 0);
}

/* What it was told of those whom it watches is what presence knows */
static void check_shown(const struct client *c)
{
        const struct fake_presence *p = c->w->f->presence;

        for (unsigned i = 0; i < N_WATCHED && !c->garbled; i++) {
                uint8_t is = 1;

                if (!(c->watched & (1U << i)))
                        continue;
                for (size_t k = 0; k < p->n_users; k++)
                        if (strcmp(p->users[k].id, world_watched[i]) == 0)
                                is = (uint8_t)(p->users[k].availability + 2);
                for (size_t k = 0; k < p->n_hidden; k++)
                        if (strcmp(p->hidden[k][0], world_users[c->user]) == 0 &&
                            strcmp(p->hidden[k][1], world_watched[i]) == 0)
                                is = 1;
                /* the fake service can say of two that they share no channel, and list both in one that is in focus */
                REQUIRE(c->shown[i] == is || (is == 1 && c->focused));
        }
}

static void trace_frame(const struct client *c, const Parley__V1__ServerFrame *frame)
{
        struct buf text = BUF_INIT(1 << 20);

        if (wire_frame_json_encode(&frame->base, &text) == 0)
                fprintf(stderr, "   %s/%u < %.*s\n", world_users[c->user], (unsigned)(c - c->w->clients),
                        text.len < 400 ? (int)text.len : 400, (const char *)text.data);
        buf_done(&text);
}

static void client_take(struct client *c, const Parley__V1__ServerFrame *frame)
{
        struct asked *a = frame->ref ? asked_find(c, frame->ref) : NULL;
        int channel;

        if (world_trace)
                trace_frame(c, frame);
        if (c->close_code)
                REQUIRE(c->may_come-- > 0);
        if (a && !c->garbled)
                REQUIRE(++a->answers == 1);
        switch (frame->body_case) {
        case PARLEY__V1__SERVER_FRAME__BODY_READY:
                on_ready(c, frame->ref, frame->ready);
                break;
        case PARLEY__V1__SERVER_FRAME__BODY_CHANNEL_ADDED:
                REQUIRE(c->ready);
                view_announce(c, frame->channel_added->state, false);
                break;
        case PARLEY__V1__SERVER_FRAME__BODY_CHANNEL_REMOVED:
                view_get(c, frame->channel_removed->channel_id, &channel)->announced = false;
                break;
        case PARLEY__V1__SERVER_FRAME__BODY_EVENT:
                on_event(c, frame->event);
                break;
        case PARLEY__V1__SERVER_FRAME__BODY_REPLAY:
                on_replay(c, frame->replay);
                break;
        case PARLEY__V1__SERVER_FRAME__BODY_GAP:
                on_gap(c, frame->gap);
                break;
        case PARLEY__V1__SERVER_FRAME__BODY_ACK:
                on_ack(c, a, frame->ack);
                break;
        case PARLEY__V1__SERVER_FRAME__BODY_PRESENCE:
                on_presence(c, frame->presence);
                break;
        case PARLEY__V1__SERVER_FRAME__BODY_CHANNEL_PRESENCE:
                REQUIRE(world_channel(frame->channel_presence->channel_id) >= 0);
                break;
        case PARLEY__V1__SERVER_FRAME__BODY_TYPING:
                on_typing(c, frame->typing);
                break;
        default:
                break;
        }
}

static void client_decode(struct client *c, const uint8_t *data, size_t n)
{
        static const struct wire_limits wide = {.max_bytes = 1 << 24};
        const ProtobufCMessageDescriptor *type = &parley__v1__server_frame__descriptor;
        ProtobufCMessage *message = NULL;
        struct wire_error error;
        int r = c->encoding == ENCODING_PROTO
                        ? wire_proto_decode(type, data, n, &wide, &message, &error)
                        : wire_frame_json_decode(type, (const char *)data, n, &wide, &message, &error);

        REQUIRE(r == 0);
        c->read_bytes += n + QUEUE_FRAME_COST;
        client_take(c, (const Parley__V1__ServerFrame *)message);
        protobuf_c_message_free_unpacked(message, NULL);
}

static int client_write(void *connection, uint8_t *data, size_t n, bool binary, size_t *ret_kept)
{
        struct client *c = connection;
        size_t at = 0, len;
        const uint8_t *bytes;
        const char *line;

        if (c->stuck)
                return TRANSPORT_E_BUSY;
        *ret_kept = 0;
        memset(data - TRANSPORT_ROOM, 0xee, TRANSPORT_ROOM);
        REQUIRE(binary == (c->encoding == ENCODING_PROTO));
        if (binary)
                while (wire_next_delimited(data, n, &at, &bytes, &len) > 0)
                        client_decode(c, bytes, len);
        else if (c->plain)
                client_decode(c, data, n);
        else
                while (wire_next_line((const char *)data, n, &at, &line, &len) > 0)
                        client_decode(c, (const uint8_t *)line, len);
        return 0;
}

static void client_ping(void *connection)
{
        REQUIRE(((struct client *)connection)->session);
}

static void client_close(void *connection, unsigned code, const char *reason)
{
        struct client *c = connection;

        REQUIRE(c->close_code == 0 && code >= 1000 && strlen(reason) > 0 && strlen(reason) <= 123);
        c->close_code = code;
        /* while it is being made the session is not known here yet, and nothing was queued */
        c->may_come = c->session ? c->session->n_queue : 0;
}

const struct transport client_transport = {.write = client_write, .ping = client_ping, .close = client_close};

/* --- what leaves --- */

void client_connect(struct world *w, struct client *c, unsigned user, unsigned how)
{
        struct session_options options = {.connection = c};
        char *token;

        buf_done(&c->out);
        memset(c, 0, sizeof(*c));
        buf_init(&c->out, 1 << 20);
        c->w = w;
        c->user = user;
        c->encoding = how & 1 ? ENCODING_JSON : ENCODING_PROTO;
        c->plain = how & 1 && how & 2;
        c->next_ref = 0x40000000;
        options.encoding = c->encoding;
        options.plain = c->plain;
        REQUIRE(session_new(&c->session, w->f->core, &options) == 0);
        if (how & 4)
                return; /* hello comes, or does not */
        token = fake_token(w->f, world_users[user]);
        session_authenticate(c->session, token, 0);
        free(token);
}

void client_gone(struct client *c)
{
        if (c->session)
                session_gone(c->session);
        c->session = NULL;
}

void client_turn(struct client *c)
{
        if (!c->session)
                return;
        if (c->close_code && (c->stuck || session_writable(c->session)))
                client_gone(c);
        else if (c->session->blocked && !c->stuck)
                session_writable(c->session);
}

struct asked *client_ask(struct client *c, Parley__V1__ClientFrame *frame)
{
        struct asked *a;

        if (c->n_asked == N_ASKED)
                return NULL;
        a = &c->asked[c->n_asked++];
        *a = (struct asked){.ref = ++c->next_ref, .kind = (uint8_t)frame->body_case, .id = -1};
        frame->ref = a->ref;
        return a;
}

void client_unpack(struct client *c)
{
        c->packing = false;
        if (c->session && !c->close_code && c->out.len)
                session_receive(c->session, c->out.data, c->out.len, c->encoding == ENCODING_PROTO);
        c->out.len = 0;
}

void client_send(struct client *c, const Parley__V1__ClientFrame *frame)
{
        if (c->encoding == ENCODING_PROTO) {
                REQUIRE(wire_proto_encode_delimited(&frame->base, &c->out) == 0);
        } else {
                REQUIRE(wire_frame_json_encode(&frame->base, &c->out) == 0);
                if (!c->plain)
                        REQUIRE(buf_append(&c->out, "\n", 1) == 0);
        }
        if (!c->packing || c->plain || c->out.len > 8192)
                client_unpack(c);
}

/* All is healed and quiet: everything was answered, and nothing is missing */
void client_check_end(const struct client *c)
{
        if (!c->session || c->close_code || !c->ready)
                return;
        for (unsigned i = 0; i < c->n_asked && !c->garbled; i++)
                REQUIRE(c->asked[i].answers == 1);
        REQUIRE(c->session->n_queue == 0 && c->session->n_pending == 0);
        check_shown(c);
        for (unsigned i = 0; i < N_CHANNELS; i++) {
                const struct view *v = &c->views[i];

                REQUIRE(v->announced == world_is_member(c->w, c->user, i));
                REQUIRE(!v->announced || !v->awaiting);
                if (v->announced)
                        check_nothing_between(c, (int)i, v->cursor, UINT64_MAX);
        }
}
