#include "presence/status.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static int bad(char *ret_error, size_t n_error, const char *text)
{
        (void)snprintf(ret_error, n_error, "%s", text);
        return -EINVAL;
}

/* Characters; SIZE_MAX where there is a control character. s is UTF-8. */
static size_t count_characters(const char *s)
{
        size_t n = 0;

        for (size_t left = strlen(s); left; n++) {
                size_t len = utf8_char_len(s, left);

                if (!len || (unsigned char)*s < 0x20 || *s == 0x7f)
                        return SIZE_MAX;
                s += len;
                left -= len;
        }
        return n;
}

static bool is_past(const Google__Protobuf__Timestamp *t, int64_t now_s)
{
        return t && t->seconds <= now_s;
}

int status_check(const Parley__V1__Status *status, int64_t now_s, char *ret_error, size_t n_error)
{
        size_t n_text = count_characters(status->text), n_emoji = strlen(status->emoji);

        switch (status->mode) {
        case PARLEY__V1__STATUS__MODE__automatic:
        case PARLEY__V1__STATUS__MODE__away:
        case PARLEY__V1__STATUS__MODE__dnd:
        case PARLEY__V1__STATUS__MODE__invisible:
                break;
        default:
                return bad(ret_error, n_error, "mode must be automatic, away, dnd or invisible");
        }
        if (n_text > STATUS_TEXT_MAX)
                return bad(ret_error, n_error,
                           n_text == SIZE_MAX ? "text must be one line without control characters"
                                              : "text must have at most 140 characters");
        if (n_emoji > STATUS_EMOJI_MAX || count_characters(status->emoji) == SIZE_MAX || strchr(status->emoji, ' '))
                return bad(ret_error, n_error, "emoji must be one emoji or a :name:, at most 32 bytes");
        if (is_past(status->mode_until, now_s))
                return bad(ret_error, n_error, "modeUntil must lie in the future");
        if (is_past(status->text_until, now_s))
                return bad(ret_error, n_error, "textUntil must lie in the future");
        return 0;
}

struct status *status_new(const Parley__V1__Status *status)
{
        /* 4 bytes a character, RFC 3629 */
        size_t n_text = strnlen(status->text, (size_t)STATUS_TEXT_MAX * 4),
               n_emoji = strnlen(status->emoji, STATUS_EMOJI_MAX);
        struct status *s = calloc(1, sizeof(*s) + n_text + n_emoji + 2);

        if (!s)
                return NULL;
        s->mode = (uint8_t)status->mode;
        s->hide_last_seen = status->hide_last_seen;
        s->mode_until_s = status->mode_until ? status->mode_until->seconds : 0;
        s->text_until_s = status->text_until ? status->text_until->seconds : 0;
        memcpy(s->text, status->text, n_text);
        s->emoji = s->text + n_text + 1;
        memcpy(s->emoji, status->emoji, n_emoji);
        return s;
}

void status_free(struct status *s)
{
        if (!s)
                return;
        wheel_disarm(&s->expiry);
        free(s);
}

bool status_expire(struct status *s, int64_t now_s)
{
        bool ended = false;

        if (s->mode_until_s && s->mode_until_s <= now_s) {
                s->mode = PARLEY__V1__STATUS__MODE__automatic;
                s->mode_until_s = 0;
                ended = true;
        }
        if (s->text_until_s && s->text_until_s <= now_s) {
                *s->text = *s->emoji = '\0';
                s->text_until_s = 0;
                ended = true;
        }
        return ended;
}

int64_t status_next_end(const struct status *s)
{
        if (!s->mode_until_s || (s->text_until_s && s->text_until_s < s->mode_until_s))
                return s->text_until_s;
        return s->mode_until_s;
}

bool status_empty(const struct status *s)
{
        return !s || (s->mode == PARLEY__V1__STATUS__MODE__automatic && !*s->text && !*s->emoji && !s->hide_last_seen);
}

Parley__V1__UserPresence__Availability status_availability(const struct status *s, bool connected, bool active)
{
        if (!connected || (s && s->mode == PARLEY__V1__STATUS__MODE__invisible))
                return PARLEY__V1__USER_PRESENCE__AVAILABILITY__offline;
        if (s && s->mode == PARLEY__V1__STATUS__MODE__dnd)
                return PARLEY__V1__USER_PRESENCE__AVAILABILITY__dnd;
        if ((s && s->mode == PARLEY__V1__STATUS__MODE__away) || !active)
                return PARLEY__V1__USER_PRESENCE__AVAILABILITY__away;
        return PARLEY__V1__USER_PRESENCE__AVAILABILITY__online;
}
