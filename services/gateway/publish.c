/* From a mutation to the log, and back as its acknowledgement. */
#include <stdlib.h>
#include <string.h>

#include "auth/attachment.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "bus/subjects.h"
#include "gateway/digest.h"
#include "gateway/mutation.h"
#include "gateway/shard.h"
#include "gateway/user.h"
#include "gateway/wiretime.h"
#include "policy/retry.h"

#define RETRY_MS 1000
/* A live copy follows its ack within this time, or it is fetched */
#define LIVE_COPY_MS 500

static void publish_send(struct mutation *m);

/* --- an identity that is stored already --- */

void publish_answer_stored(struct mutation *m, const Parley__V1__Event *stored, const uint8_t *content_hash,
                           size_t n_hash)
{
        uint8_t fingerprint[FINGERPRINT_LEN], asked_for[FINGERPRINT_LEN];
        int r = mutation_fingerprint(m, asked_for);

        if (n_hash == FINGERPRINT_LEN)
                memcpy(fingerprint, content_hash, FINGERPRINT_LEN);
        else if (r == 0)
                r = event_fingerprint(stored, fingerprint);
        if (r) {
                mutation_fail(m, PARLEY_INTERNAL, RETRY_MS, "no memory");
                return;
        }
        if (strcmp(stored->channel_id, m->channel->id) != 0 || strcmp(stored->actor_id, m->actor_id) != 0 ||
            strcmp(stored->id, m->id) != 0 || memcmp(fingerprint, asked_for, FINGERPRINT_LEN) != 0) {
                mutation_fail(m, PARLEY_ID_CONFLICT, 0, "the id was used before, for something else");
                return;
        }
        chain_expect(m->channel, stored->seq, LIVE_COPY_MS);
        mutation_ack(m, stored->seq, stored->created_at, true);
}

/* Since when what was published is known to the log */
static int64_t known_since_ms(const struct mutation *m)
{
        const struct core *core = m->core;

        return dedupe_since_ms(core->config->dedupe_window_ms, m->channel->shard->epoch, core->wall_ns / 1000000);
}

static void retry_on_epoch(struct shard *shard, int error, uint64_t last_seq, void *userdata)
{
        struct mutation *m = userdata;

        (void)shard;
        (void)last_seq;
        if (error)
                mutation_fail(m, PARLEY_UNAVAILABLE, RETRY_MS, "whether the log knows this id cannot be known now: %s",
                              bus_error_text(error));
        else if (m->unstored_ms >= known_since_ms(m))
                publish_send(m);
        else if (!m->looked_up)
                publish_lookup(m);
        else
                mutation_fail(m, PARLEY_UNAVAILABLE, RETRY_MS, "history is too far behind to know this id");
}

/* Until unstored_ms it was not stored; from then on the log would know it, unless it was made anew meanwhile: the epoch that is known here
 * may be of before. */
static void publish_retry(struct mutation *m, int64_t unstored_ms)
{
        m->unstored_ms = unstored_ms;
        shard_ask(m->channel->shard, retry_on_epoch, m);
}

/* It is not among what history has ingested through this time, and may not be stored any more */
static void refuse_expired(struct mutation *m, int64_t through_ms)
{
        if (retry_unstored(through_ms, wiretime_ns(&m->created_at) / 1000000))
                mutation_fail(m, PARLEY_BAD_REQUEST, 0, "message.attachments[%zu] %s", m->expired - 1,
                              attachment_error_text(ATTACHMENT_E_EXPIRED));
        else
                mutation_fail(m, PARLEY_UNAVAILABLE, RETRY_MS, "history is too far behind to know this id");
}

static void lookup_on_answer(int error, const struct bus_msg *msg, void *userdata)
{
        struct mutation *m = userdata;
        Parley__V1__LookupResponse *answer = NULL;

        if (!error)
                answer = parley__v1__lookup_response__unpack(NULL, msg->len, msg->data);
        if (!answer || answer->error) {
                mutation_fail(m, PARLEY_UNAVAILABLE, RETRY_MS, "whether this id was stored cannot be known now");
        } else if (answer->event) {
                publish_answer_stored(m, answer->event, answer->content_hash.data, answer->content_hash.len);
        } else if (m->stored_seq) {
                /* the log still knows the id, and neither has the event: published again it would be a duplicate again */
                mutation_fail(m, PARLEY_UNAVAILABLE, RETRY_MS, "what is stored under this id cannot be read now");
        } else if (m->target_error && answer->ingested_seq < channel_position(m->channel)) {
                /* what changed the target may be this very mutation */
                mutation_fail(m, PARLEY_UNAVAILABLE, RETRY_MS, "history is too far behind to know this id");
        } else if (m->target_error) {
                mutation_fail(m, m->target_error, 0, "the target of this %s cannot be changed (any more)",
                              m->action == POLICY_EDIT_OWN ? "edit" : "deletion");
        } else if (m->expired) {
                refuse_expired(m, wiretime_ns(answer->ingested_through) / 1000000);
        } else if (wiretime_ns(answer->ingested_through) / 1000000 >= known_since_ms(m)) {
                publish_retry(m, wiretime_ns(answer->ingested_through) / 1000000);
        } else {
                mutation_fail(m, PARLEY_UNAVAILABLE, RETRY_MS, "history is too far behind to know this id");
        }
        if (answer)
                parley__v1__lookup_response__free_unpacked(answer, NULL);
}

void publish_lookup(struct mutation *m)
{
        Parley__V1__LookupRequest request = PARLEY__V1__LOOKUP_REQUEST__INIT;
        uint8_t data[512];

        _Static_assert(sizeof(data) > 2 * IDENT_MAX + UUID_LEN + 64, "the request fits");
        m->looked_up = true;
        request.channel_id = m->channel->id;
        request.actor_id = m->actor_id;
        request.id = m->id;
        up_request(&m->core->up, RPC_HISTORY_LOOKUP, data, parley__v1__lookup_request__pack(&request, data),
                   lookup_on_answer, m);
}

/* JetStream said "duplicate": what is stored there under this identity? */
static void duplicate_on_event(int error, const struct bus_msg *msg, void *userdata)
{
        struct mutation *m = userdata;
        char stream[SUBJECT_MAX];
        Parley__V1__Event *stored = NULL;
        struct wire_error detail;

        if (error == BUS_E_NOT_FOUND && !m->target_leader) {
                m->target_leader = true; /* the replica may be behind */
                subject_chat_stream(stream, m->channel->shard->number);
                up_stream_get(&m->core->up, stream, m->stored_seq, false, duplicate_on_event, m);
                return;
        }
        if (error == BUS_E_NOT_FOUND) {
                publish_lookup(m); /* deleted meanwhile */
                return;
        }
        if (error || event_decode(msg->data, msg->len, msg->seq, 0, &stored, &detail)) {
                mutation_fail(m, PARLEY_UNAVAILABLE, RETRY_MS, "what is stored under this id cannot be read now");
                return;
        }
        publish_answer_stored(m, stored, NULL, 0);
        parley__v1__event__free_unpacked(stored, NULL);
}

static void publish_duplicate(struct mutation *m, uint64_t seq)
{
        char stream[SUBJECT_MAX];

        m->stored_seq = seq;
        m->target_leader = false;
        subject_chat_stream(stream, m->channel->shard->number);
        up_stream_get(&m->core->up, stream, seq, true, duplicate_on_event, m);
}

/* --- publishing --- */

/* The log has it: only from here is a mutation acknowledged. */
static void publish_on_puback(int error, const struct bus_ack *ack, const char *text, void *userdata)
{
        struct mutation *m = userdata;

        core_time(m->core);
        if (error) {
                if (error == BUS_E_REFUSED)
                        log_error("the log refuses", LOG_S("error", text), LOG_S("trace_id", m->trace_id));
                mutation_fail(m, PARLEY_UNAVAILABLE, RETRY_MS, "not stored, or not known to be: %s; retry it",
                              bus_error_text(error));
                return;
        }
        if (FAILPOINT("gateway.after_puback")) {
                mutation_fail(m, PARLEY_UNAVAILABLE, RETRY_MS, "failpoint");
                return;
        }
        if (ack->duplicate) {
                publish_duplicate(m, ack->seq);
                return;
        }
        chain_expect(m->channel, ack->seq, LIVE_COPY_MS);
        digest_note(m->channel, ack->seq);
        mutation_ack(m, ack->seq, &m->created_at, false);
}

/* Since its frame a look-up may have taken a while: a removal that was confirmed meanwhile counts */
static enum parley_code publish_allowed(const struct mutation *m)
{
        struct user *u = user_find(m->core, m->actor_id);

        if (!u || !m->channel->doc)
                return PARLEY_NOT_A_MEMBER;
        return policy_check(m->channel->doc, user_role(u, m->channel), m->admin, m->action);
}

/* What the log gets. NULL: no memory */
static const uint8_t *publish_pack(struct mutation *m, size_t *ret_n)
{
        struct buf *scratch = &m->core->scratch;

        if (!m->event) {
                *ret_n = m->n_packed;
                return m->packed;
        }
        buf_reset(scratch, 65536);
        if (wire_proto_encode(&m->event->base, scratch))
                return NULL;
        *ret_n = scratch->len;
        return scratch->data;
}

static void publish_send(struct mutation *m)
{
        struct core *core = m->core;
        enum parley_code code = publish_allowed(m);
        char subject[SUBJECT_MAX], msg_id[SUBJECT_MAX];
        const uint8_t *packed;
        size_t n;

        if (code != PARLEY_OK) {
                mutation_fail(m, code, 0, "not allowed in %s any more", m->channel->id);
                return;
        }
        packed = publish_pack(m, &n);
        if (!packed) {
                mutation_fail(m, PARLEY_INTERNAL, RETRY_MS, "no memory");
                return;
        }
        /* history would not take it: then it must not be acknowledged */
        if (n > core->config->max_event_bytes) {
                mutation_fail(m, PARLEY_TOO_LARGE, 0, "the event has %zu bytes; at most %llu are taken", n,
                              (unsigned long long)core->config->max_event_bytes);
                return;
        }
        m->published = true;
        if (FAILPOINT("gateway.before_publish")) {
                mutation_fail(m, PARLEY_UNAVAILABLE, RETRY_MS, "failpoint");
                return;
        }
        subject_chat(subject, m->channel->shard->number, m->channel->id);
        subject_msg_id(msg_id, m->channel->id, m->actor_id, m->id);
        up_publish_stream(&core->up, subject, msg_id, packed, n, m->trace_id, publish_on_puback, m);
}

void publish_start(struct mutation *m)
{
        int64_t sent_ms = m->core->wall_ns / 1000000 - (int64_t)m->retry_age_ms;

        if (!m->retry)
                publish_send(m);
        else if (!m->expired && m->retry_age_ms && sent_ms >= known_since_ms(m))
                publish_retry(m, sent_ms); /* the log's own memory covers it: history is not needed */
        else
                publish_lookup(m);
}
