/* Events and messages as they come from the database. Only accessors of pg.h: no libpq. */
#pragma once

#include <stddef.h>

#include "history/pg.h"
#include "wire/event.h"

/* The columns that event_rows_read takes, FROM EVENT_TABLES */
#define EVENT_COLUMNS                                                                                                  \
        "e.channel_id, e.seq, e.prev, e.kind, e.removed, e.actor_id, e.id, e.created_ns, e.payload, e.fingerprint, "   \
        "m.sender_name, CASE WHEN m.edited_seq IS NULL THEN m.content ELSE m.first_content END, m.type, m.thread_id, " \
        "m.reply_to, array_to_string(CASE WHEN m.edited_seq IS NULL THEN m.mentions ELSE m.first_mentions END, ',')"
#define EVENT_TABLES                                                                                                   \
        "events e LEFT JOIN messages m ON m.channel_id = e.channel_id AND m.seq = e.seq AND e.payload IS NULL"
enum { EVENT_N_COLUMNS = 16, EVENT_COLUMN_FINGERPRINT = 9 };

/* Events or messages that borrow from results and own the rest */
struct event_rows {
        Parley__V1__Event **events;
        size_t n;
        struct row_slot *slots;
};
/* Rows [first, first + n) of a statement; rows without a sequence (an outer join's) are passed over. 0, -ENOMEM, or -EBADMSG for stored
 * bytes that cannot be read. ret is initialised in any case. */
int event_rows_read(const struct pg_results *r, unsigned stmt, unsigned first, unsigned n, unsigned col,
                    struct event_rows *ret);
void event_rows_done(struct event_rows *rows);

/* The columns that message_rows_read takes, of messages m */
#define MESSAGE_COLUMNS                                                                                                \
        "m.channel_id, m.seq, m.id, m.sender_id, m.sender_name, m.content, m.type, m.thread_id, m.reply_to, "          \
        "array_to_string(m.mentions, ','), m.created_ns, m.updated_ns, m.deleted_seq, m.attachments"
enum { MESSAGE_N_COLUMNS = 14 };
struct message_rows {
        Parley__V1__Message **messages;
        size_t n;
        struct message_slot *slots;
};
int message_rows_read(const struct pg_results *r, unsigned stmt, unsigned first, unsigned n, unsigned col,
                      struct message_rows *ret);
void message_rows_done(struct message_rows *rows);
