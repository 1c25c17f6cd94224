/* Events as they are stored and compared. The only file that includes OpenSSL. */
#include "wire/event.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <string.h>

#include "base/cleanup.h"

const char *event_kind(const Parley__V1__Event *event)
{
        const ProtobufCFieldDescriptor *field;

        if (event->body_case == PARLEY__V1__EVENT__BODY__NOT_SET)
                return "none";
        field = protobuf_c_message_descriptor_get_field(event->base.descriptor, (unsigned)event->body_case);
        return field ? field->name : "none";
}

/* The packed fields that the author gave. A shallow copy without the others is packed: protobuf-c writes fields in the
 * schema's order and leaves out zero values, so that the bytes depend on nothing else. */
static int pack_canonical(const Parley__V1__Event *event, struct buf *out)
{
        switch (event->body_case) {
        case PARLEY__V1__EVENT__BODY_MESSAGE: {
                const Parley__V1__Message *m = event->message;
                Parley__V1__Message copy = PARLEY__V1__MESSAGE__INIT;

                copy.content = m->content;
                copy.type = m->type;
                copy.thread_id = m->thread_id;
                copy.reply_to = m->reply_to;
                copy.n_mentions = m->n_mentions;
                copy.mentions = m->mentions;
                copy.n_attachments =
                        m->n_attachments; /* where there are none, the bytes are those of before there were any */
                copy.attachments = m->attachments;
                return wire_proto_encode(&copy.base, out);
        }
        case PARLEY__V1__EVENT__BODY_MESSAGE_EDITED: {
                const Parley__V1__MessageEdited *m = event->message_edited;
                Parley__V1__MessageEdited copy = PARLEY__V1__MESSAGE_EDITED__INIT;

                copy.target_seq = m->target_seq;
                copy.content = m->content;
                copy.n_mentions = m->n_mentions;
                copy.mentions = m->mentions;
                return wire_proto_encode(&copy.base, out);
        }
        case PARLEY__V1__EVENT__BODY_MESSAGE_DELETED: {
                Parley__V1__MessageDeleted copy = PARLEY__V1__MESSAGE_DELETED__INIT;

                copy.target_seq = event->message_deleted->target_seq;
                return wire_proto_encode(&copy.base, out);
        }
        case PARLEY__V1__EVENT__BODY__NOT_SET:
                return 0;
        default:
                /* All members of the oneof are messages; which one, the kind says */
                return wire_proto_encode((const ProtobufCMessage *)event->message, out);
        }
}

/* Found once: EVP_sha256() is looked up again for each digest, which costs as much as the digest. Kept to the end of the process. */
static const EVP_MD *digest_type(void)
{
        static _Atomic(EVP_MD *) found;
        EVP_MD *type = atomic_load(&found), *before = NULL;

        if (type)
                return type;
        type = EVP_MD_fetch(NULL, "SHA256", NULL);
        if (!type)
                return EVP_sha256();
        if (atomic_compare_exchange_strong(&found, &before, type))
                return type;
        EVP_MD_free(type); /* another thread was first */
        return before;
}

int event_fingerprint(const Parley__V1__Event *event, uint8_t ret[FINGERPRINT_LEN])
{
        const char *kind = event_kind(event);
        struct buf bytes = BUF_INIT(SIZE_MAX);
        uint8_t digest[EVP_MAX_MD_SIZE];
        int r;

        /* With its terminator, so that a kind and the bytes behind it cannot be mistaken for another kind */
        r = buf_append(&bytes, kind, strlen(kind) + 1);
        if (r == 0)
                r = pack_canonical(event, &bytes);
        if (r == 0 && EVP_Digest(bytes.data, bytes.len, digest, NULL, digest_type(), NULL) != 1)
                r = -ENOMEM;
        if (r == 0)
                memcpy(ret, digest, FINGERPRINT_LEN);
        buf_done(&bytes);
        return r == 0 ? 0 : -ENOMEM;
}

int event_decode(const uint8_t *data, size_t n, uint64_t seq, uint64_t prev, Parley__V1__Event **ret_event,
                 struct wire_error *ret_error)
{
        ProtobufCMessage *message;
        Parley__V1__Event *event;
        int e;

        e = wire_proto_decode(&parley__v1__event__descriptor, data, n, &wire_limits_internal, &message, ret_error);
        if (e != 0)
                return e;
        event = (Parley__V1__Event *)message;
        event->seq = seq;
        event->prev = prev;
        *ret_event = event;
        return 0;
}
