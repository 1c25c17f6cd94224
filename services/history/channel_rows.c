#include "history/channel_rows.h"

void time_from_ns(int64_t ns, Google__Protobuf__Timestamp *ret)
{
        const int64_t second = 1000000000;

        google__protobuf__timestamp__init(ret);
        ret->seconds = ns / second - (ns % second < 0);
        ret->nanos = (int32_t)(ns - ret->seconds * second);
}

void channel_read(const struct pg_results *r, unsigned stmt, unsigned row, unsigned col,
                  Parley__V1__Channel *ret_channel, Google__Protobuf__Timestamp *ret_at)
{
        Parley__V1__Channel *c = ret_channel;

        parley__v1__channel__init(c);
        c->id = (char *)pg_text(r, stmt, row, col);
        c->kind = (Parley__V1__Channel__Kind)pg_i64(r, stmt, row, col + 1);
        c->name = (char *)pg_text(r, stmt, row, col + 2);
        c->topic = (char *)pg_text(r, stmt, row, col + 3);
        c->everyone = pg_bool(r, stmt, row, col + 4);
        c->history_visibility = (Parley__V1__Channel__HistoryVisibility)pg_i64(r, stmt, row, col + 5);
        c->archived = pg_bool(r, stmt, row, col + 6);
        c->version = (uint64_t)pg_i64(r, stmt, row, col + 7);
        time_from_ns(pg_i64(r, stmt, row, col + 8), ret_at);
        c->created_at = ret_at;
        c->created_by = (char *)pg_text(r, stmt, row, col + 9);
}

void membership_read(const struct pg_results *r, unsigned stmt, unsigned row, unsigned col,
                     Parley__V1__Membership *ret_membership)
{
        Parley__V1__Membership *m = ret_membership;
        uint64_t since = (uint64_t)pg_i64(r, stmt, row, col + 3), left = (uint64_t)pg_i64(r, stmt, row, col + 4);

        parley__v1__membership__init(m);
        m->channel_id = (char *)pg_text(r, stmt, row, col);
        m->role = (Parley__V1__Role)pg_i64(r, stmt, row, col + 1);
        m->version = (uint64_t)pg_i64(r, stmt, row, col + 2);
        if (m->role != PARLEY__V1__ROLE__none)
                m->since_seq = since > left ? since : 0;
        else
                m->left_seq = left > since ? left : 0;
        m->had_absence = pg_bool(r, stmt, row, col + 5);
}
