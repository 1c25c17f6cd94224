#include "history/waiters.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

void waiters_add(struct waiters *ws, struct waiter *w)
{
        HASH_ADD_STR(ws->all, event_id, w);
        w->listed = w->hh.tbl != NULL;
}

void waiters_remove(struct waiters *ws, struct waiter *w)
{
        if (!w->listed)
                return;
        HASH_DEL(ws->all, w);
        w->listed = false;
}

bool waiters_done(struct waiters *ws, const char *event_id, uint64_t seq, bool confirmed)
{
        struct waiter *w;

        HASH_FIND_STR(ws->all, event_id, w);
        if (!w)
                return false;
        waiters_remove(ws, w);
        w->done(w, seq, confirmed);
        return true;
}

void waiters_format(char ret[WAITERS_TEXT_MAX], const char *event_id, uint64_t seq, bool confirmed)
{
        (void)snprintf(ret, WAITERS_TEXT_MAX, "%s %llu %d", event_id, (unsigned long long)seq, confirmed);
}

int waiters_parse(const char *text, char ret_event_id[UUID_LEN + 1], uint64_t *ret_seq, bool *ret_confirmed)
{
        char id[UUID_LEN + 1], number[24];
        uint64_t seq, confirmed;
        const char *space;
        size_t n;

        if (strlen(text) < UUID_LEN + 4 || text[UUID_LEN] != ' ')
                return -EINVAL;
        memcpy(id, text, UUID_LEN);
        id[UUID_LEN] = '\0';
        space = strrchr(text, ' ');
        n = (size_t)(space - text);
        if (!uuid_valid(id) || n <= UUID_LEN + 1 || n - UUID_LEN - 1 >= sizeof(number))
                return -EINVAL;
        memcpy(number, text + UUID_LEN + 1, n - UUID_LEN - 1);
        number[n - UUID_LEN - 1] = '\0';
        if (text_parse_u64(number, 0, INT64_MAX, &seq) < 0 || text_parse_u64(space + 1, 0, 1, &confirmed) < 0)
                return -EINVAL;
        memcpy(ret_event_id, id, sizeof(id));
        *ret_seq = seq;
        *ret_confirmed = confirmed != 0;
        return 0;
}
