/* History of the fake world: what it would answer over rpc. */
#include "gateway_fake_impl.h"

#include "bus/subjects.h"

/* Membership of this user after the event, when it was `member` before */
static bool member_after(const Parley__V1__Event *e, const char *user, bool member)
{
        if (e->body_case == PARLEY__V1__EVENT__BODY_MEMBER_JOINED && strcmp(e->member_joined->user_id, user) == 0)
                return true;
        if (e->body_case == PARLEY__V1__EVENT__BODY_MEMBER_LEFT && strcmp(e->member_left->user_id, user) == 0)
                return false;
        return member;
}

/* Who did not join by an event, or left first, was a member from the beginning */
static bool member_at_first(const struct fake *f, const char *user, const char *channel)
{
        for (size_t i = 0; i < f->n_log; i++) {
                Parley__V1__Event *e = strcmp(f->log[i].channel, channel)
                                               ? NULL
                                               : parley__v1__event__unpack(NULL, f->log[i].len, f->log[i].data);
                bool joined = e && member_after(e, user, false), left = e && !member_after(e, user, true);

                if (e)
                        parley__v1__event__free_unpacked(e, NULL);
                if (joined || left)
                        return left;
        }
        return true;
}

/* historyVisibility joined: what happened while he was no member */
static bool history_hides(const struct fake *f, const char *user, const char *channel, uint64_t seq)
{
        const struct fake_key *key = fake_key_find(f, BUCKET_CHANNELS, channel);
        Parley__V1__Channel *doc = key ? parley__v1__channel__unpack(NULL, key->len, key->data) : NULL;
        bool joined_only = doc && doc->history_visibility == PARLEY__V1__CHANNEL__HISTORY_VISIBILITY__joined;
        bool visible = !joined_only || member_at_first(f, user, channel);

        if (doc)
                parley__v1__channel__free_unpacked(doc, NULL);
        for (size_t i = 0; joined_only && *user && i < f->n_log && f->log[i].seq <= seq; i++) {
                Parley__V1__Event *e = strcmp(f->log[i].channel, channel)
                                               ? NULL
                                               : parley__v1__event__unpack(NULL, f->log[i].len, f->log[i].data);
                bool member;

                if (!e)
                        continue;
                member = member_after(e, user, visible);
                visible = f->log[i].seq == seq ? visible || member : member;
                parley__v1__event__free_unpacked(e, NULL);
        }
        return !visible;
}

/* What could not be ingested has a placeholder */
static Parley__V1__Event *history_event_of(const struct fake_event *e)
{
        Parley__V1__Event *event = parley__v1__event__unpack(NULL, e->len, e->data);
        Parley__V1__Event rejected = PARLEY__V1__EVENT__INIT;
        Parley__V1__EventRemoved removed = PARLEY__V1__EVENT_REMOVED__INIT;
        uint8_t data[256];

        if (!event) {
                rejected.channel_id = (char *)e->channel;
                rejected.body_case = PARLEY__V1__EVENT__BODY_REMOVED;
                rejected.removed = &removed;
                removed.reason = PARLEY__V1__EVENT_REMOVED__REASON__rejected;
                event = parley__v1__event__unpack(NULL, parley__v1__event__pack(&rejected, data), data);
        }
        assert_non_null(event);
        event->seq = e->seq;
        return event;
}

static void history_events(struct fake *f, const void *data, size_t len, bus_reply_handler handler, void *userdata)
{
        Parley__V1__EventsRequest *q = parley__v1__events_request__unpack(NULL, len, data);
        Parley__V1__EventsResponse a = PARLEY__V1__EVENTS_RESPONSE__INIT;
        uint64_t through = f->ingested_seq < f->next_seq - 1 ? f->ingested_seq : f->next_seq - 1;
        uint8_t *out;

        assert_non_null(q);
        f->n_history++;
        assert_in_range(q->limit, 1, 500);
        if (q->through_seq && q->through_seq < through)
                through = q->through_seq;
        a.events = calloc(q->limit + 1, sizeof(Parley__V1__Event *));
        a.through_seq = through;
        for (size_t i = 0; i < f->n_log; i++) {
                const struct fake_event *e = &f->log[i];

                if (e->seq <= q->after_seq || e->seq > through || strcmp(e->channel, q->channel_id) != 0 ||
                    history_hides(f, q->user_id, q->channel_id, e->seq))
                        continue;
                if (a.n_events > 0 && a.n_events == q->limit) {
                        a.more = true;
                        a.through_seq = a.events[a.n_events - 1]->seq;
                        break;
                }
                a.events[a.n_events++] = history_event_of(e);
        }
        out = malloc(parley__v1__events_response__get_packed_size(&a) + 1);
        fake_reply(f, 0, handler, userdata, out, parley__v1__events_response__pack(&a, out));
        free(out);
        for (size_t i = 0; i < a.n_events; i++)
                parley__v1__event__free_unpacked(a.events[i], NULL);
        free(a.events);
        parley__v1__events_request__free_unpacked(q, NULL);
}

static void history_lookup(struct fake *f, const void *data, size_t len, bus_reply_handler handler, void *userdata)
{
        Parley__V1__LookupRequest *q = parley__v1__lookup_request__unpack(NULL, len, data);
        Parley__V1__LookupResponse a = PARLEY__V1__LOOKUP_RESPONSE__INIT;
        Google__Protobuf__Timestamp through = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        char msg_id[SUBJECT_MAX];
        uint8_t *out;

        f->n_lookups++;
        subject_msg_id(msg_id, q->channel_id, q->actor_id, q->id);
        for (size_t i = 0; !f->history_empty && i < f->n_log && !a.event; i++) {
                if (f->log[i].seq <= f->ingested_seq && strcmp(f->log[i].msg_id, msg_id) == 0) {
                        a.event = parley__v1__event__unpack(NULL, f->log[i].len, f->log[i].data);
                        a.event->seq = f->log[i].seq;
                }
        }
        through.seconds = f->ingested_seq >= f->next_seq - 1 ? f->wall_ns / 1000000000 : 1;
        a.ingested_through = &through;
        out = malloc(parley__v1__lookup_response__get_packed_size(&a) + 1);
        fake_reply(f, 0, handler, userdata, out, parley__v1__lookup_response__pack(&a, out));
        free(out);
        if (a.event)
                parley__v1__event__free_unpacked(a.event, NULL);
        parley__v1__lookup_request__free_unpacked(q, NULL);
}

static void history_event(struct fake *f, const void *data, size_t len, bus_reply_handler handler, void *userdata)
{
        Parley__V1__EventRequest *q = parley__v1__event_request__unpack(NULL, len, data);
        Parley__V1__EventResponse a = PARLEY__V1__EVENT_RESPONSE__INIT;
        Parley__V1__RpcError missing = PARLEY__V1__RPC_ERROR__INIT;
        uint8_t *out;

        for (size_t i = 0; i < f->n_log; i++) {
                if (f->log[i].seq == q->seq && strcmp(f->log[i].channel, q->channel_id) == 0) {
                        a.event = history_event_of(&f->log[i]);
                }
        }
        missing.code = (char *)"not_found";
        if (!a.event)
                a.error = &missing;
        out = malloc(parley__v1__event_response__get_packed_size(&a) + 1);
        fake_reply(f, 0, handler, userdata, out, parley__v1__event_response__pack(&a, out));
        free(out);
        if (a.event)
                parley__v1__event__free_unpacked(a.event, NULL);
        parley__v1__event_request__free_unpacked(q, NULL);
}

int fake_request(void *self, const char *subject, const void *data, size_t len, bus_reply_handler handler,
                 void *userdata)
{
        struct fake *f = self;

        if (!f->connected)
                return BUS_E_DISCONNECTED;
        if (strcmp(subject, RPC_PRESENCE_QUERY) == 0)
                fake_presence_query(f, data, len, handler, userdata);
        else if (f->history_down)
                fake_reply(f, BUS_E_NO_RESPONDERS, handler, userdata, NULL, 0);
        else if (strcmp(subject, RPC_HISTORY_EVENTS) == 0)
                history_events(f, data, len, handler, userdata);
        else if (strcmp(subject, RPC_HISTORY_LOOKUP) == 0)
                history_lookup(f, data, len, handler, userdata);
        else
                history_event(f, data, len, handler, userdata);
        return 0;
}
