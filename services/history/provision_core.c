#include "history/provision_core.h"

uint64_t provision_first_seq(const struct log_cursor *cursor)
{
        return cursor->exists ? cursor->last_seq + PROVISION_JUMP : 1;
}

enum provision_verdict provision_resume(const struct log_cursor *cursor, const struct log_state *log,
                                        struct log_cursor *ret)
{
        uint64_t before_first = log->first_seq ? log->first_seq - 1 : 0;

        if (!cursor->exists) {
                *ret = (struct log_cursor){.exists = true, .epoch = log->epoch, .last_seq = before_first};
                return PROVISION_BEGIN;
        }
        if (cursor->epoch == log->epoch) {
                /* JetStream lost what Postgres has: the power failed before it had written it down. */
                if (log->last_seq < cursor->last_seq)
                        return PROVISION_LOST_END;
                *ret = *cursor;
                return PROVISION_CONTINUE;
        }
        if (before_first < cursor->last_seq)
                return PROVISION_REPEATS;
        *ret = (struct log_cursor){.exists = true, .epoch = log->epoch, .last_seq = before_first};
        return PROVISION_NEW_EPOCH;
}
