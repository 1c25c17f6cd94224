#include "gateway_fake_look.h"

#include "bus/subjects.h"

struct fake *fake_look_new(struct fake_presence **ret_presence)
{
        const char *const names[] = {"ada", "bob", "carla"};
        struct fake *f = fake_new();

        fake_start(f);
        fake_put_channel(f, "general", true, false);
        fake_put_channel(f, "news", true, false);
        *ret_presence = fake_presence_new(f);
        for (unsigned i = 0; i < 3; i++) {
                strcpy((*ret_presence)->members[(*ret_presence)->n_members++], names[i]);
                fake_presence_set(*ret_presence, names[i], ONLINE, false);
        }
        return f;
}

void fake_look_free(struct fake *f)
{
        fake_presence_free(f->presence);
        fake_free(f);
}

void fake_watch_list(struct fake_client *c, const char *const *ids, size_t n)
{
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Watch body = PARLEY__V1__WATCH__INIT;

        body.user_ids = (char **)ids;
        body.n_user_ids = n;
        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_WATCH;
        frame.watch = &body;
        fake_client_send(c, &frame);
        fake_run(c->f);
}

void fake_focus(struct fake_client *c, const char *channel)
{
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Focus body = PARLEY__V1__FOCUS__INIT;

        body.channel_ids = (char **)&channel;
        body.n_channel_ids = 1;
        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_FOCUS;
        frame.focus = &body;
        fake_client_send(c, &frame);
        fake_run(c->f);
}

void fake_ping(struct fake_client *c)
{
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Ping body = PARLEY__V1__PING__INIT;

        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_PING;
        frame.ping = &body;
        fake_client_send(c, &frame);
        fake_run(c->f);
}

const Parley__V1__Presence *fake_told(const struct fake_client *c)
{
        const Parley__V1__ServerFrame *frame = fake_last(c, PRESENCE);

        assert_non_null(frame);
        return frame->presence;
}

bool fake_hides(const struct fake_client *c, const char *user)
{
        const Parley__V1__Presence *p = fake_told(c);
        bool hidden = false;

        for (size_t i = 0; i < p->n_hidden_user_ids; i++)
                hidden |= strcmp(p->hidden_user_ids[i], user) == 0;
        for (size_t i = 0; i < p->n_users; i++)
                hidden &= strcmp(p->users[i]->user_id, user) != 0;
        return hidden;
}

int fake_sees(const struct fake_client *c, const char *user)
{
        int is = FAKE_UNTOLD;

        for (size_t i = 0; i < c->n_frames; i++) {
                const Parley__V1__Presence *p = c->frames[i]->body_case == PRESENCE ? c->frames[i]->presence : NULL;

                if (p && p->snapshot)
                        is = FAKE_UNTOLD;
                for (size_t k = 0; p && k < p->n_users; k++)
                        if (strcmp(p->users[k]->user_id, user) == 0)
                                is = (int)p->users[k]->availability;
                for (size_t k = 0; p && k < p->n_hidden_user_ids; k++)
                        if (strcmp(p->hidden_user_ids[k], user) == 0)
                                is = FAKE_HIDDEN;
        }
        return is;
}

/* --- who writes --- */

const Parley__V1__ServerFrame *fake_type(struct fake_client *c, const char *channel, const char *thread, bool stopped)
{
        Parley__V1__ClientFrame frame = PARLEY__V1__CLIENT_FRAME__INIT;
        Parley__V1__Typing body = PARLEY__V1__TYPING__INIT;

        body.channel_id = (char *)channel;
        body.thread_id = (char *)thread;
        body.stopped = stopped;
        frame.ref = ++c->next_ref;
        frame.body_case = PARLEY__V1__CLIENT_FRAME__BODY_TYPING;
        frame.typing = &body;
        fake_client_send(c, &frame);
        fake_run(c->f);
        return fake_answer(c, frame.ref);
}

void fake_signal(struct fake *f, const char *channel, const char *user, const char *thread, bool stopped)
{
        Parley__V1__TypingSignal m = PARLEY__V1__TYPING_SIGNAL__INIT;
        uint8_t data[256];
        char subject[SUBJECT_MAX];

        m.user_id = (char *)user;
        m.thread_id = (char *)thread;
        m.stopped = stopped;
        subject_typing(subject, 0, channel);
        f->core->up.publish(f->core->up.self, subject, data, parley__v1__typing_signal__pack(&m, data));
        fake_run(f);
}

const Parley__V1__TypingUsers *fake_typing(const struct fake_client *c)
{
        const Parley__V1__ServerFrame *frame = fake_last(c, TYPING);

        assert_non_null(frame);
        return frame->typing;
}
