/* NATS for an actor: everything is asynchronous and every callback runs on the loop's thread.
 *
 * The only code that includes nats.h lies in this folder. nats.c delivers on its own threads; the handlers here are reached through
 * an inbox (lib/base/inbox.h), in the order in which the server sent the messages of one subscription. `turn_end` of the options is
 * called once after each batch, so that a service can flush what it collected.
 *
 * Returns: 0; BUS_E_* positive; negative errno fatal (-EINVAL: a name, key or subject that is not one). A function that takes a callback
 * and returns 0 calls it exactly once, later, never from within itself; when it returns anything else it never calls it.
 *
 * Nothing waits inside a call. What is published goes to the server once a loop turn. Nothing is kept for a later connection: what was not
 * sent when the connection broke never is. With TLS one limit of nats.c remains: against a server that stopped reading, one write may wait
 * up to 250 ms before the connection is given up. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct uv_loop_s uv_loop_t;
struct bus_config;

#define BUS_ERROR_MAP(X)                                                                                               \
        X(TIMEOUT, 1, "no answer in time")                                                                             \
        X(NO_RESPONDERS, 2, "nobody answers this subject")                                                             \
        X(NOT_FOUND, 3, "no such message, key, stream or consumer")                                                    \
        X(REFUSED, 4, "the server refused")                                                                            \
        X(DISCONNECTED, 5, "not connected")                                                                            \
        X(FULL, 6, "too much is waiting to be sent")                                                                   \
        X(CONFLICT, 7, "another revision is there")                                                                    \
        X(BAD_REPLY, 8, "the answer cannot be read")

enum bus_error {
#define X(name, value, text) BUS_E_##name = (value),
        BUS_ERROR_MAP(X)
#undef X
};
const char *bus_error_text(int error);

struct bus;
struct bus_sub;

/* A message that arrived; valid only during the callback. */
struct bus_msg {
        const char *subject;
        const char *reply; /* NULL: none */
        const uint8_t *data;
        size_t len;
        const char *trace_id; /* NULL: none */
        const char *msg_id;   /* Nats-Msg-Id; NULL: none */
        uint64_t seq;         /* stream sequence of a republished, fetched or read message; else 0 */
        uint64_t prev;        /* Nats-Last-Sequence of a republished message; else 0 */
        int64_t time_ns;      /* when it was stored, unix nanoseconds; 0: unknown */
        uint64_t pending;     /* of a reader: how many more the stream holds behind it */
        bool deleted;         /* of a bucket: the mark that the key was deleted; it has no data */
};

struct bus_options {
        uv_loop_t *loop;
        const char *url;  /* "nats://host:port[,nats://…]", at most 16 */
        const char *name; /* of the connection, for the server's lists */
        /* NULL: none. Answers go to "_INBOX.<user>.>", the user as one token (names.c). Where the environment names a file with the password
         * (bus_config.h) it is read again for each connection. */
        const char *user, *password;
        const char *tls_ca;    /* path; NULL: no TLS */
        size_t max_send_bytes; /* what may wait for a stalled server, 0: 8 MiB; beyond it BUS_E_FULL */
        size_t max_inbox_bytes; /* what may wait for the loop, 0: 64 MiB; beyond it messages are dropped and on_loss is called */
        uint32_t request_timeout_ms; /* 0: 5000; also how long a stream publish waits for its ack */
        /* All may be NULL. Called on the loop. */
        void (*on_connected)(
                void *userdata); /* first time, and after each reconnect: live messages may have been missed */
        void (*on_disconnected)(void *userdata);
        void (*on_loss)(void *userdata); /* messages were dropped: slow consumer, or the inbox was full */
        void (*on_error)(const char *text,
                         void *userdata); /* for the log: a try to connect failed, the server refused a subject */
        void (*turn_end)(void *userdata);
        void *userdata;
};

/* What the settings say of it; the strings stay theirs. Name and callbacks are still missing. */
struct bus_options bus_options_of(const struct bus_config *config, uv_loop_t *loop);
/* Connects in the background and for ever; until on_connected, and after on_disconnected, calls that send answer BUS_E_DISCONNECTED.
 * On the loop's thread. A server that does not answer is noticed after 10 to 15 s. Where url names several, so is one that answers but is cut off
 * from JetStream's leaders, 6 s after it has noticed that itself (which takes a former leader up to 20 s): the next one is tried. */
int bus_new(struct bus **ret_bus, const struct bus_options *options);
/* Stops deliveries, closes, runs remaining callbacks with BUS_E_DISCONNECTED (stream publishes: BUS_E_TIMEOUT), later. What waits to be sent is
 * sent if the server takes it within 500 ms. Subscriptions and readers that are left are freed with it. done is called on the loop when nothing
 * is left; it may take the 2 s of a try to connect. Once, and also from within a callback. bus may be NULL (done is called at once). */
void bus_close(struct bus *bus, void (*done)(void *userdata), void *userdata);
bool bus_connected(const struct bus *bus);
/* Bytes that wait to be sent to the server */
size_t bus_send_backlog(const struct bus *bus);

/* --- core --- */
typedef void (*bus_handler)(const struct bus_msg *msg, void *userdata);
/* queue: NULL, or the queue group. Fine without a connection too; it is made again on each one. */
int bus_subscribe(struct bus *bus, const char *subject, const char *queue, bus_handler handler, void *userdata,
                  struct bus_sub **ret_sub);
/* The same without a queue group and without another thread between: less than half the cost of a message, and one look at each such
 * subscription after every read. For few and busy subjects, as live.<p>.>. */
int bus_subscribe_direct(struct bus *bus, const char *subject, bus_handler handler, void *userdata,
                         struct bus_sub **ret_sub);
/* No callback comes after this returns; fine from within one. NULL is fine. */
void bus_unsubscribe(struct bus_sub *sub);
/* 0: on its way, no more. BUS_E_DISCONNECTED, BUS_E_FULL, BUS_E_REFUSED (larger than the server takes). */
int bus_publish(struct bus *bus, const char *subject, const void *data, size_t len, const char *trace_id);
/* Calls done once the server has handled all that was sent before (PING/PONG): earlier subscriptions are in force there */
int bus_flush(struct bus *bus, void (*done)(int error, void *userdata), void *userdata);

/* msg is NULL when error is not 0. When the connection breaks the error is BUS_E_DISCONNECTED, at once. */
typedef void (*bus_reply_handler)(int error, const struct bus_msg *msg, void *userdata);
/* timeout_ms 0: the default */
int bus_request(struct bus *bus, const char *subject, const void *data, size_t len, uint32_t timeout_ms,
                const char *trace_id, bus_reply_handler handler, void *userdata);
/* One request, several answers: handler for each, at last once with BUS_E_TIMEOUT (or NO_RESPONDERS). bus_request_end stops it sooner,
 * after which handler is not called again; not after the last call. */
struct bus_gather;
int bus_request_many(struct bus *bus, const char *subject, const void *data, size_t len, uint32_t timeout_ms,
                     bus_reply_handler handler, void *userdata, struct bus_gather **ret_gather);
void bus_request_end(struct bus_gather *gather);

/* --- streams --- */
struct bus_ack {
        uint64_t seq;
        bool duplicate; /* Nats-Msg-Id was known: seq is that of then, and nothing was stored now */
};
/* error: BUS_E_TIMEOUT (may be stored or not; at once when the connection broke before the ack, or the server knows the id and not its sequence),
 * BUS_E_REFUSED (not stored: full, too large; text says), BUS_E_NO_RESPONDERS (not stored: no stream, no leader), BUS_E_CONFLICT (not stored:
 * buckets) */
typedef void (*bus_ack_handler)(int error, const struct bus_ack *ack, const char *text, void *userdata);
/* msg_id: the deduplication id, or NULL. Besides the errors of bus_publish: BUS_E_FULL when 262,144 answers are waited for. */
int bus_publish_stream(struct bus *bus, const char *subject, const char *msg_id, const void *data, size_t len,
                       const char *trace_id, bus_ack_handler handler, void *userdata);

struct bus_stream_config {
        const char *name;
        const char *subject;        /* "chat.0.>"; several, up to 16, are separated by commas */
        const char *republish_from; /* NULL: none; "chat.0.>" */
        const char *republish_to;   /* "live.0.>" */
        uint64_t first_seq;         /* used at creation only; 0: 1 */
        uint64_t epoch;             /* kept in the stream's metadata at creation */
        uint64_t max_bytes;         /* 0: no limit */
        uint64_t max_per_subject;   /* 0: no limit */
        uint64_t dedupe_window_ms;
        uint64_t max_age_ms; /* 0: for ever */
        uint32_t replicas;
        bool discard_new;
        bool allow_direct;
        bool kv; /* a bucket: allow rollup, deny delete, discard new */
};
struct bus_stream_info {
        uint64_t first_seq, last_seq, messages, bytes;
        uint64_t max_bytes; /* what the server keeps to; 0: no limit */
        uint64_t epoch;     /* from the metadata; 0: not one of ours */
        bool created;       /* by this call */
};
typedef void (*bus_stream_handler)(int error, const struct bus_stream_info *info, const char *text, void *userdata);
/* Creates it, or updates what may change of an existing one (not first_seq, not the epoch) */
int bus_stream_ensure(struct bus *bus, const struct bus_stream_config *config, bus_stream_handler handler,
                      void *userdata);
int bus_stream_info(struct bus *bus, const char *stream, bus_stream_handler handler, void *userdata);

/* The newest message of a subject, from the leader. BUS_E_NOT_FOUND: none. */
int bus_stream_last(struct bus *bus, const char *stream, const char *subject, bus_reply_handler handler,
                    void *userdata);
/* By sequence: from any replica with `direct`, else from the leader. A direct get from a stream that is not there, or has no allow_direct, is not
 * answered: BUS_E_TIMEOUT. */
int bus_stream_get(struct bus *bus, const char *stream, uint64_t seq, bool direct, bus_reply_handler handler,
                   void *userdata);
/* The first message of a subject at or above min_seq, from the leader: another copy may lack some. BUS_E_NOT_FOUND: none. */
int bus_stream_next(struct bus *bus, const char *stream, const char *subject, uint64_t min_seq,
                    bus_reply_handler handler, void *userdata);
typedef void (*bus_done_handler)(int error, const char *text, void *userdata);
/* Removes everything below seq. Not above the stream's last sequence + 1: the server would go on counting from there. */
int bus_stream_trim(struct bus *bus, const char *stream, uint64_t below_seq, bus_done_handler handler, void *userdata);
/* Removes one message; secure: overwrites it. BUS_E_NOT_FOUND when it is not there (any more). */
int bus_stream_delete(struct bus *bus, const char *stream, uint64_t seq, bool secure, bus_done_handler handler,
                      void *userdata);

/* A reader gives the messages of a stream in order, from a sequence on, each once, and goes on with what is stored later. It survives
 * reconnects and the loss of its consumer by starting again behind the last message it gave. Removed messages are skipped. */
struct bus_reader;
/* Messages for one batch arrive, then `batch_end` is called (also after a quiet time, with n = 0): the reader fetches no more until
 * bus_reader_next is called. The first batch begins by itself. error: the stream is not there, or the server makes no consumer; n messages
 * were given all the same; the reader tries again with bus_reader_next (not more often than every 250 ms). BUS_E_DISCONNECTED or
 * BUS_E_TIMEOUT (n = 0): nothing came, and it is not known that nothing is there; bus_reader_next just goes on. */
struct bus_reader_options {
        const char *stream;
        const char *filter; /* subject filter; NULL: all */
        uint64_t start_seq;
        uint32_t batch;     /* messages, 1 to 4096 */
        size_t batch_bytes; /* 0: no limit */
        uint32_t
                linger_ms; /* how long an unfilled batch waits for more after its first message; an empty one waits 5 s. Above 0 what is stored
                                    * meanwhile is fetched together, at the end of that time. */
        bool last_per_subject; /* buckets: begin with the newest of each key (start_seq is ignored), in the order of their sequences; the one with
                                    * pending 0 is the last of those that were there. An empty bucket ends the first batch at once. After a break
                                    * all is given again: the bucket may be another one by then. */
        bool whole; /* all of a stream, without filter: what a consumer leaves out, and whether more is there when nothing comes, is asked of the
                     * stream's leader before anything behind it is given. A hole in a copy of the stream is no hole here. */
        bus_handler handler;
        void (*batch_end)(int error, unsigned n, void *userdata);
        void *userdata;
};
int bus_reader_new(struct bus_reader **ret_reader, struct bus *bus, const struct bus_reader_options *options);
void bus_reader_next(struct bus_reader *reader); /* while a batch is being filled: nothing */
void bus_reader_free(struct bus_reader *reader); /* no callback comes after this */

/* --- buckets: subject $KV.<bucket>.<key>, stream KV_<bucket> --- */
/* From the leader. msg.seq is the revision; a deleted key is BUS_E_NOT_FOUND. */
int bus_kv_get(struct bus *bus, const char *bucket, const char *key, bus_reply_handler handler, void *userdata);
/* expected: the revision that must be there (0: the key must not exist), BUS_KV_NEVER (it must not have existed before, either: a deletion
 * that the bucket still knows counts), or BUS_KV_ANY. BUS_E_CONFLICT otherwise. ack.seq is the new revision. */
#define BUS_KV_ANY UINT64_MAX
#define BUS_KV_NEVER (UINT64_MAX - 1)
int bus_kv_put(struct bus *bus, const char *bucket, const char *key, const void *data, size_t len, uint64_t expected,
               bus_ack_handler handler, void *userdata);
/* expected: the revision that must be there, BUS_KV_NEVER (nothing, also no deletion: marks the key for those who put with it), or BUS_KV_ANY.
 * BUS_E_CONFLICT otherwise. */
int bus_kv_delete(struct bus *bus, const char *bucket, const char *key, uint64_t expected, bus_ack_handler handler,
                  void *userdata);
/* Removes what the bucket has of this key up to and including this revision, marks of deletions as well: afterwards it is a key that never was. What is newer
 * stays. revision: from 1 on */
int bus_kv_purge(struct bus *bus, const char *bucket, const char *key, uint64_t revision, bus_done_handler handler,
                 void *userdata);
