/* Channels and memberships as they come from the database. Only accessors of pg.h: no libpq. */
#pragma once

#include "history/pg.h"
#include "parley/v1/event.pb-c.h"

/* The columns that channel_read takes, of a table or alias c */
#define CHANNEL_COLUMNS                                                                                                \
        "c.id, c.kind, c.name, c.topic, c.everyone, c.history_visibility, c.archived, c.version, c.created_ns, c.created_by"
enum { CHANNEL_N_COLUMNS = 10 };
/* Borrows the texts from r; created_at points to ret_at */
void channel_read(const struct pg_results *r, unsigned stmt, unsigned row, unsigned col,
                  Parley__V1__Channel *ret_channel, Google__Protobuf__Timestamp *ret_at);

/* The columns that membership_read takes, of a table or alias m */
#define MEMBERSHIP_COLUMNS "m.channel_id, m.role, m.version, m.since_seq, m.left_seq, m.had_absence"
enum { MEMBERSHIP_N_COLUMNS = 6 };
/* since_seq and left_seq as the schema has them: 0 while this stay's, or this leaving's, is not known */
void membership_read(const struct pg_results *r, unsigned stmt, unsigned row, unsigned col,
                     Parley__V1__Membership *ret_membership);

void time_from_ns(int64_t ns, Google__Protobuf__Timestamp *ret);
