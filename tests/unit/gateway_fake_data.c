/* Buckets and log of the fake world, as others than the gateway write them. */
#include "gateway_fake_impl.h"

#include "bus/subjects.h"
#include "gateway/changes.h"
#include "gateway/everyone.h"

/* --- buckets --- */

const struct fake_key *fake_key_find(const struct fake *f, const char *bucket, const char *key)
{
        const struct fake_key *k = f->keys;

        while (k && (strcmp(k->bucket, bucket) != 0 || strcmp(k->key, key) != 0))
                k = k->next;
        return k;
}

static void key_put(struct fake *f, const char *bucket, const char *key, const uint8_t *data, size_t len)
{
        struct fake_key *k = (struct fake_key *)fake_key_find(f, bucket, key);

        if (!k) {
                k = calloc(1, sizeof(*k));
                strcpy(k->bucket, bucket);
                strcpy(k->key, key);
                k->next = f->keys;
                f->keys = k;
        }
        free(k->data);
        k->data = malloc(len + 1);
        memcpy(k->data, data, len);
        k->len = len;
}

void fake_put_mode(struct fake *f, const char *user, Parley__V1__Status__Mode mode, int64_t until_s)
{
        Parley__V1__PresenceRecord record = PARLEY__V1__PRESENCE_RECORD__INIT;
        Parley__V1__Status status = PARLEY__V1__STATUS__INIT;
        Google__Protobuf__Timestamp until = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        uint8_t data[64];

        until.seconds = until_s;
        status.mode = mode;
        status.mode_until = until_s ? &until : NULL;
        record.status = &status;
        key_put(f, BUCKET_PRESENCE, user, data, parley__v1__presence_record__pack(&record, data));
}

void fake_put_channel(struct fake *f, const char *id, bool everyone, bool joined_only)
{
        Parley__V1__Channel c = PARLEY__V1__CHANNEL__INIT;
        uint8_t data[256];
        size_t n;

        c.id = (char *)id;
        c.name = (char *)id;
        c.kind = everyone ? PARLEY__V1__CHANNEL__KIND__open : PARLEY__V1__CHANNEL__KIND__private;
        c.everyone = everyone;
        c.version = 1;
        if (joined_only)
                c.history_visibility = PARLEY__V1__CHANNEL__HISTORY_VISIBILITY__joined;
        n = parley__v1__channel__pack(&c, data);
        key_put(f, BUCKET_CHANNELS, id, data, n);
        if (everyone)
                everyone_put(f->core, id, data, n);
}

void fake_put_members(struct fake *f, const char *user, uint64_t version, const struct fake_membership *m, size_t n,
                      bool signal)
{
        Parley__V1__Memberships list = PARLEY__V1__MEMBERSHIPS__INIT;
        Parley__V1__Membership all[64], *pointers[64];
        Parley__V1__UserSignal message = PARLEY__V1__USER_SIGNAL__INIT;
        char subject[SUBJECT_MAX];
        uint8_t data[8192];

        for (size_t i = 0; i < n; i++) {
                parley__v1__membership__init(&all[i]);
                all[i].channel_id = (char *)m[i].channel;
                all[i].role = m[i].role;
                all[i].version = m[i].version;
                all[i].since_seq = m[i].since_seq;
                all[i].left_seq = m[i].left_seq;
                all[i].had_absence = m[i].had_absence;
                pointers[i] = &all[i];
        }
        list.user_id = (char *)user;
        list.version = version;
        list.memberships = pointers;
        list.n_memberships = n;
        key_put(f, BUCKET_MEMBERS, user, data, parley__v1__memberships__pack(&list, data));
        if (!signal)
                return;
        message.body_case = PARLEY__V1__USER_SIGNAL__BODY_MEMBERSHIPS_CHANGED;
        message.memberships_changed = &list;
        subject_user(subject, user);
        fake_live(f, subject, data, parley__v1__user_signal__pack(&message, data), 0, 0);
}

/* --- the log --- */

uint64_t fake_store(struct fake *f, const Parley__V1__Event *event)
{
        size_t n = parley__v1__event__get_packed_size(event);
        uint8_t *data = malloc(n + 1);
        char msg_id[SUBJECT_MAX];
        uint64_t seq;

        subject_msg_id(msg_id, event->channel_id, event->actor_id, event->id);
        seq = fake_log(f, event->channel_id, msg_id, data, parley__v1__event__pack(event, data));
        free(data);
        return seq;
}

uint64_t fake_message(struct fake *f, const char *channel, const char *actor, const char *content)
{
        Parley__V1__Event event = PARLEY__V1__EVENT__INIT;
        Parley__V1__Message message = PARLEY__V1__MESSAGE__INIT;
        Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        char id[37];

        fake_uuid(f, id);
        at.seconds = f->wall_ns / 1000000000;
        event.channel_id = message.channel_id = (char *)channel;
        event.id = message.id = id;
        event.actor_id = message.sender_id = (char *)actor;
        event.created_at = message.created_at = &at;
        message.content = (char *)content;
        event.body_case = PARLEY__V1__EVENT__BODY_MESSAGE;
        event.message = &message;
        return fake_store(f, &event);
}

uint64_t fake_left(struct fake *f, const char *channel, const char *user, uint64_t version)
{
        Parley__V1__Event event = PARLEY__V1__EVENT__INIT;
        Parley__V1__MemberLeft left = PARLEY__V1__MEMBER_LEFT__INIT;
        char id[37];

        fake_uuid(f, id);
        event.channel_id = (char *)channel;
        event.id = id;
        event.actor_id = (char *)"system";
        left.user_id = (char *)user;
        left.removed = true;
        left.version = version;
        event.body_case = PARLEY__V1__EVENT__BODY_MEMBER_LEFT;
        event.member_left = &left;
        return fake_store(f, &event);
}

uint64_t fake_joined(struct fake *f, const char *channel, const char *user, uint64_t version)
{
        Parley__V1__Event event = PARLEY__V1__EVENT__INIT;
        Parley__V1__MemberJoined joined = PARLEY__V1__MEMBER_JOINED__INIT;
        char id[37];

        fake_uuid(f, id);
        event.channel_id = (char *)channel;
        event.id = id;
        event.actor_id = (char *)"system";
        joined.user_id = (char *)user;
        joined.role = PARLEY__V1__ROLE__member;
        joined.version = version;
        event.body_case = PARLEY__V1__EVENT__BODY_MEMBER_JOINED;
        event.member_joined = &joined;
        return fake_store(f, &event);
}

void fake_announce(struct fake *f, const char *channel, const char *user, Parley__V1__Role role, uint64_t seq,
                   uint64_t version)
{
        Parley__V1__MembershipChange change = PARLEY__V1__MEMBERSHIP_CHANGE__INIT;

        change.channel_id = (char *)channel;
        change.user_id = (char *)user;
        change.role = role;
        change.seq = seq;
        change.version = version;
        core_time(f->core);
        changes_apply(f->core, &change);
}

void fake_new_stream(struct fake *f)
{
        fake_trim(f, f->next_seq + (UINT64_C(1) << 32));
        f->next_seq = f->first_seq;
        f->epoch = (uint64_t)(f->wall_ns / 1000000000);
        f->dedupe_from = f->n_log;
}

void fake_remove(struct fake *f, uint64_t seq)
{
        for (size_t i = 0; i < f->n_log; i++)
                if (f->log[i].seq == seq)
                        f->log[i].removed = true;
}

void fake_trim(struct fake *f, uint64_t below_seq)
{
        for (size_t i = 0; i < f->n_log; i++)
                if (f->log[i].seq < below_seq)
                        f->log[i].removed = true;
        f->first_seq = below_seq;
}
