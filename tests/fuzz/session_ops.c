/* The steps of the byte code that clients take. */
#include "session_ops.h"

enum { CONTENT_MAX = 3000 };

static struct client *take_client(struct world *w)
{
        return &w->clients[take_byte(w) % N_CLIENTS];
}

static bool speaks(const struct client *c)
{
        return c->session && !c->close_code && c->n_asked < N_ASKED;
}

/* Mostly one that is in the log; also one that never was */
uint64_t take_seq(struct world *w)
{
        uint8_t b = take_byte(w);

        if (b >= 0xf0)
                return b == 0xff ? UINT64_MAX : w->f->next_seq + b - 0xf0;
        return w->f->n_log ? w->f->log[w->f->n_log - 1 - b % w->f->n_log].seq : b;
}

/* --- clients --- */

void op_connect(struct world *w)
{
        struct client *c = take_client(w);
        uint8_t b = take_byte(w);

        world_announce(w);
        if (!c->session)
                client_connect(w, c, (b & 0xf) % N_USERS, b >> 4);
}

void op_drop(struct world *w)
{
        client_gone(take_client(w));
}

void op_stuck(struct world *w)
{
        struct client *c = take_client(w);

        c->stuck = !c->stuck;
}

void op_pack(struct world *w)
{
        struct client *c = take_client(w);

        if (c->packing)
                client_unpack(c);
        else
                c->packing = true;
}

static unsigned take_cursors(struct world *w, struct client *c, struct asked *a, Parley__V1__Cursor *cursors,
                             Parley__V1__Cursor **list)
{
        unsigned n = take_byte(w) % (N_CURSORS + 1);

        a->n_cursors = (uint8_t)n;
        for (unsigned i = 0; i < n; i++) {
                uint8_t b = take_byte(w);
                unsigned channel = b % N_CHANNELS;

                a->cursors[i].channel = (uint8_t)channel;
                a->cursors[i].epoch = b & 0x80 ? (b & 0x40 ? 0 : w->f->epoch - 1) : w->f->epoch;
                a->cursors[i].seq = b & 0x20 ? c->views[channel].cursor : b & 0x10 ? 0 : take_seq(w);
                a->cursors[i].ahead = a->cursors[i].seq >= w->f->next_seq;
                parley__v1__cursor__init(&cursors[i]);
                cursors[i].channel_id = (char *)world_channels[channel];
                cursors[i].epoch = a->cursors[i].epoch;
                cursors[i].seq = a->cursors[i].seq;
                list[i] = &cursors[i];
        }
        return n;
}

void op_hello(struct world *w)
{
        struct client *c = take_client(w);
        uint8_t how = take_byte(w);
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Hello hello = PARLEY__V1__HELLO__INIT;
        Parley__V1__Cursor cursors[N_CURSORS], *list[N_CURSORS];
        char *token;
        struct asked *a;

        if (!speaks(c))
                return;
        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_HELLO;
        frame.hello = &hello;
        a = client_ask(c, &frame);
        token = fake_token(w->f, world_users[c->user]);
        if (how == 1)
                token[strlen(token) / 2] ^= 1;
        if (how != 2)
                hello.token = token;
        hello.n_cursors = take_cursors(w, c, a, cursors, list);
        hello.cursors = list;
        client_send(c, &frame);
        free(token);
}

void op_resume(struct world *w)
{
        struct client *c = take_client(w);
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Resume resume = PARLEY__V1__RESUME__INIT;
        Parley__V1__Cursor cursors[N_CURSORS], *list[N_CURSORS];
        struct asked *a;

        if (!speaks(c))
                return;
        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_RESUME;
        frame.resume = &resume;
        a = client_ask(c, &frame);
        resume.n_cursors = take_cursors(w, c, a, cursors, list);
        resume.cursors = list;
        client_send(c, &frame);
}

void op_auth(struct world *w)
{
        struct client *c = take_client(w);
        uint8_t how = take_byte(w);
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Auth auth = PARLEY__V1__AUTH__INIT;
        Parley__V1__Ping ping = PARLEY__V1__PING__INIT;
        char *token;

        if (!speaks(c))
                return;
        token = fake_token(w->f, world_users[how % N_USERS]);
        auth.token = token;
        frame.body_case = how & 0x80 ? PARLEY__V1__CLIENT_FRAME__BODY_PING : PARLEY__V1__CLIENT_FRAME__BODY_AUTH;
        if (how & 0x80)
                frame.ping = &ping;
        else
                frame.auth = &auth;
        client_ask(c, &frame);
        client_send(c, &frame);
        free(token);
}

/* One that was used before, as a retry, or a new one */
static struct sent_id *take_id(struct world *w, const struct client *c, unsigned channel, uint8_t how, bool *ret_retry)
{
        struct sent_id *id;

        *ret_retry = false;
        if (how & 0x80 || w->n_ids == N_IDS) {
                for (int i = 0; i < w->n_ids; i++) {
                        id = &w->ids[((how & 0x1f) + i) % w->n_ids];
                        if (id->user != c->user)
                                continue;
                        *ret_retry = true;
                        return id;
                }
        }
        if (w->n_ids == N_IDS)
                return NULL;
        id = &w->ids[w->n_ids++];
        *id = (struct sent_id){.user = c->user, .channel = channel, .content = how & 0x7f, .sent_ns = w->f->now_ns};
        fake_uuid(w->f, id->id);
        return id;
}

void op_send(struct world *w)
{
        struct client *c = take_client(w);
        unsigned channel = take_byte(w) % N_CHANNELS;
        uint8_t how = take_byte(w);
        static char content[CONTENT_MAX + 1];
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Send send = PARLEY__V1__SEND__INIT;
        Parley__V1__OutgoingMessage message = PARLEY__V1__OUTGOING_MESSAGE__INIT;
        struct sent_id *id;
        struct asked *a;
        bool retry;
        size_t n;

        if (!speaks(c) || !(id = take_id(w, c, channel, how, &retry)))
                return;
        n = (id->content & 0x3f) == 0x3f ? CONTENT_MAX : 1 + (id->content & 0x3f);
        memset(content, 'x', n);
        content[n] = 0;
        message.id = id->id;
        message.content = content;
        send.channel_id = (char *)world_channels[id->channel];
        send.message = &message;
        send.retry = retry;
        if (retry && how & 0x20)
                send.retry_age_ms = 1 + (uint32_t)((w->f->now_ns - id->sent_ns) / 1000000);
        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_SEND;
        frame.send = &send;
        a = client_ask(c, &frame);
        a->id = (int)(id - w->ids);
        client_send(c, &frame);
}

void op_change(struct world *w)
{
        struct client *c = take_client(w);
        uint8_t how = take_byte(w);
        char id[37];
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Edit edit = PARLEY__V1__EDIT__INIT;
        Parley__V1__Delete delete = PARLEY__V1__DELETE__INIT;

        if (!speaks(c))
                return;
        fake_uuid(w->f, id);
        edit.id = delete.id = id;
        edit.channel_id = delete.channel_id = (char *)world_channels[how % N_CHANNELS];
        edit.target_seq = delete.target_seq = take_seq(w);
        edit.retry = delete.retry = how & 0x40;
        edit.content = (char *)"changed";
        frame.body_case = how & 0x80 ? PARLEY__V1__CLIENT_FRAME__BODY_DELETE : PARLEY__V1__CLIENT_FRAME__BODY_EDIT;
        if (how & 0x80)
                frame.delete_ = &delete;
        else
                frame.edit = &edit;
        client_ask(c, &frame);
        client_send(c, &frame);
}

/* Bytes that nobody who follows the protocol would send: answers cannot be counted any more */
void op_garbage(struct world *w)
{
        struct client *c = take_client(w);
        size_t n = take_byte(w) % 64;

        if (n > (size_t)(w->end - w->input))
                n = (size_t)(w->end - w->input);
        if (speaks(c)) {
                c->garbled = true;
                session_receive(c->session, w->input, n, n & 1 ? c->encoding == ENCODING_PROTO : true);
        }
        w->input += n;
}

void op_pong(struct world *w)
{
        struct client *c = take_client(w);

        if (c->session)
                session_pong(c->session);
}

/* --- whom one looks at --- */

void op_watch(struct world *w)
{
        struct client *c = take_client(w);
        uint8_t set = take_byte(w);
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Watch watch = PARLEY__V1__WATCH__INIT;
        char *ids[N_WATCHED + 1];
        struct asked *a;

        if (!speaks(c))
                return;
        for (unsigned i = 0; i < N_WATCHED; i++)
                if (set & (1U << i))
                        ids[watch.n_user_ids++] = (char *)world_watched[i];
        if (set & 0x80)
                ids[watch.n_user_ids++] = (char *)(set & 0x40 ? "no id" : world_watched[0]);
        watch.user_ids = ids;
        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_WATCH;
        frame.watch = &watch;
        a = client_ask(c, &frame);
        a->cursors[0].channel = (uint8_t)((set & ((1U << N_WATCHED) - 1)) | ((set & 0xc0) == 0x80));
        client_send(c, &frame);
}

void op_focus(struct world *w)
{
        struct client *c = take_client(w);
        uint8_t set = take_byte(w);
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Focus focus = PARLEY__V1__FOCUS__INIT;
        char *ids[N_CHANNELS + 1];

        if (!speaks(c))
                return;
        for (unsigned i = 0; i < N_CHANNELS; i++)
                if (set & (1U << i))
                        ids[focus.n_channel_ids++] = (char *)world_channels[i];
        if (set & 0x80)
                ids[focus.n_channel_ids++] = (char *)(set & 0x40 ? "no id" : world_channels[2]);
        focus.channel_ids = ids;
        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_FOCUS;
        frame.focus = &focus;
        c->focused |= focus.n_channel_ids > 0;
        client_ask(c, &frame);
        client_send(c, &frame);
}

void op_typing(struct world *w)
{
        struct client *c = take_client(w);
        uint8_t how = take_byte(w);
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Typing typing = PARLEY__V1__TYPING__INIT;
        static const char *const threads[] = {"", "019b7c00-1111-7222-8333-444455556666", "no id"};

        if (!speaks(c))
                return;
        typing.channel_id = (char *)world_channels[how % N_CHANNELS];
        typing.thread_id = (char *)threads[(how >> 2) % 3];
        typing.stopped = how & 0x40;
        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_TYPING;
        frame.typing = &typing;
        client_ask(c, &frame);
        client_send(c, &frame);
}

/* What the service does, and what is lost of it */
void op_presence(struct world *w)
{
        struct fake_presence *p = w->f->presence;
        uint8_t b = take_byte(w);
        unsigned who = b % N_WATCHED;

        switch (b >> 4) {
        case 0:
                p->down = !p->down;
                break;
        case 1:
                p->counter++;
                break;
        case 2:
                p->source[0] = (char)('a' + b % 16);
                break;
        case 3:
                p->counted = b & 1 ? 300 : 0;
                break;
        case 4:
                p->n_hidden = b & 1 ? N_USERS : N_USERS + 1;
                strcpy(p->hidden[N_USERS][0], world_users[0]);
                strcpy(p->hidden[N_USERS][1], world_users[1]);
                break;
        case 5:
        case 6:
                fake_presence_speak(p, world_watched[who]);
                break;
        case 7:
                fake_presence_count(p, world_channels[b % N_CHANNELS], 300, b);
                break;
        default:
                if (who != N_USERS + 1)
                        fake_presence_set(p, world_watched[who], (Parley__V1__UserPresence__Availability)(b >> 4) % 4,
                                          !(b & 8));
        }
}
