#include "history/trim_core.h"

static uint64_t share(uint64_t max, uint64_t percent)
{
        return max / 100 * percent + max % 100 * percent / 100;
}

/* At least one, at most all of them. In floating point: it is an estimate, and the product may pass 64 bits. */
static uint64_t messages_in(uint64_t bytes, const struct trim_log *log)
{
        uint64_t all = log->last_seq - log->first_seq + 1;
        double n = (double)all * ((double)bytes / (double)log->bytes);

        return n < 1 ? 1 : n >= (double)all ? all : (uint64_t)n;
}

struct trim_verdict trim_decide(const struct trim_log *log, const struct log_cursor *cursor, uint64_t percent,
                                bool full)
{
        struct trim_verdict verdict = {0};
        uint64_t low, through;

        if (percent == 0 || log->max_bytes == 0 || log->last_seq < log->first_seq)
                return verdict;
        low = share(log->max_bytes, percent - TRIM_STEP_PERCENT);
        if (log->bytes <= (full ? low : share(log->max_bytes, percent)))
                return verdict;
        verdict.full = true;
        if (!cursor->exists || cursor->epoch != log->epoch)
                return verdict;
        through = log->first_seq + messages_in(log->bytes - low, log) - 1;
        if (through > cursor->last_seq)
                through = cursor->last_seq;
        verdict.through_seq = through < log->first_seq ? 0 : through;
        return verdict;
}
