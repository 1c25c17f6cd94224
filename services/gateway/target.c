/* What an edit or a deletion changes: from the tail, else from the log, else from history. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "bus/subjects.h"
#include "gateway/mutation.h"

#define RETRY_MS 1000

static const char *target_verb(const struct mutation *m)
{
        return m->event->body_case == PARLEY__V1__EVENT__BODY_MESSAGE_EDITED ? "edit" : "delete";
}

/* It cannot be done; but perhaps just because it was done already: an identity that is stored is acked */
static void target_refuse(struct mutation *m, enum parley_code code, const char *text)
{
        if (code != PARLEY_FORBIDDEN && m->retry && !m->looked_up) {
                m->target_error = code;
                publish_lookup(m);
                return;
        }
        mutation_fail(m, code, 0, "cannot %s the target: %s", target_verb(m), text);
}

static bool target_set_id(struct mutation *m, const char *id)
{
        char **field = m->event->body_case == PARLEY__V1__EVENT__BODY_MESSAGE_EDITED
                               ? &m->event->message_edited->target_id
                               : &m->event->message_deleted->target_id;
        char *copy = strdup(id);

        if (!copy)
                return false;
        if (*field != (char *)protobuf_c_empty_string)
                free(*field);
        *field = copy;
        return true;
}

static void target_found(struct mutation *m, const Parley__V1__Event *target)
{
        if (strcmp(target->actor_id, m->actor_id) != 0)
                m->action = POLICY_DELETE_ANY;
        publish_start(m);
}

/* The target was found: may it be changed by this user? */
static void target_check(struct mutation *m, const Parley__V1__Event *target)
{
        const Parley__V1__Message *message = target->body_case == PARLEY__V1__EVENT__BODY_MESSAGE ? target->message
                                                                                                  : NULL;

        if (strcmp(target->channel_id, m->channel->id) != 0)
                target_refuse(m, PARLEY_NOT_FOUND, "targetSeq is no message of this channel");
        else if (target->body_case == PARLEY__V1__EVENT__BODY_REMOVED || (message && message->deleted) ||
                 (message && tail_deletes(m->channel, m->target_seq)))
                target_refuse(m, PARLEY_CONFLICT, "it is deleted already");
        else if (!message)
                target_refuse(m, PARLEY_BAD_REQUEST, "targetSeq is no message");
        else if (strcmp(target->actor_id, m->actor_id) != 0 && !m->target_may_any)
                target_refuse(m, PARLEY_FORBIDDEN, "somebody else wrote it");
        else if (message->type == PARLEY__V1__MESSAGE__TYPE__system)
                target_refuse(m, PARLEY_FORBIDDEN, "it is a message of the system");
        else if (!target_set_id(m, message->id))
                mutation_fail(m, PARLEY_INTERNAL, RETRY_MS, "no memory");
        else
                target_found(m, target);
}

static void target_on_history(int error, const struct bus_msg *msg, void *userdata)
{
        struct mutation *m = userdata;
        Parley__V1__EventResponse *answer = error ? NULL
                                                  : parley__v1__event_response__unpack(NULL, msg->len, msg->data);

        if (answer && answer->event)
                target_check(m, answer->event);
        else if (answer && (!answer->error || parley_code_parse(answer->error->code) == PARLEY_NOT_FOUND))
                target_refuse(m, PARLEY_NOT_FOUND, "targetSeq is no message of this channel");
        else
                mutation_fail(m, PARLEY_UNAVAILABLE, RETRY_MS, "the target cannot be read now");
        if (answer)
                parley__v1__event_response__free_unpacked(answer, NULL);
}

static void target_ask_history(struct mutation *m)
{
        Parley__V1__EventRequest request = PARLEY__V1__EVENT_REQUEST__INIT;
        uint8_t data[IDENT_MAX + 64];

        request.channel_id = m->channel->id;
        request.seq = m->target_seq;
        up_request(&m->core->up, RPC_HISTORY_EVENT, data, parley__v1__event_request__pack(&request, data),
                   target_on_history, m);
}

static void target_check_raw(struct mutation *m, uint64_t seq, const uint8_t *data, size_t len)
{
        Parley__V1__Event *target = NULL;
        struct wire_error error;

        if (event_decode(data, len, seq, 0, &target, &error)) {
                target_refuse(m, PARLEY_NOT_FOUND, "targetSeq is no message");
                return;
        }
        target_check(m, target);
        parley__v1__event__free_unpacked(target, NULL);
}

static void target_on_stream(int error, const struct bus_msg *msg, void *userdata)
{
        struct mutation *m = userdata;
        char stream[SUBJECT_MAX];

        if (error == BUS_E_NOT_FOUND && !m->target_leader) {
                m->target_leader = true; /* a replica may be behind */
                subject_chat_stream(stream, m->channel->shard->number);
                up_stream_get(&m->core->up, stream, m->target_seq, false, target_on_stream, m);
        } else if (error) {
                target_ask_history(m);
        } else {
                target_check_raw(m, msg->seq, msg->data, msg->len);
        }
}

void target_find(struct mutation *m)
{
        struct tail_entry *e = tail_find(m->channel, m->target_seq);
        char stream[SUBJECT_MAX];

        /* the same words as for a message that is not there: neither its being nor its author is told */
        if (m->target_seq < m->visible_from) {
                target_refuse(m, PARLEY_NOT_FOUND, "targetSeq is no message of this channel");
                return;
        }
        if (e) {
                target_check_raw(m, e->event.seq, e->event.data, e->event.len);
                return;
        }
        subject_chat_stream(stream, m->channel->shard->number);
        up_stream_get(&m->core->up, stream, m->target_seq, true, target_on_stream, m);
}
