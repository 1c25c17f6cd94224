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
