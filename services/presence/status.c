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

/* Characters; SIZE_MAX where one has no place in a line. s is UTF-8. */
static size_t count_characters(const char *s)
{
        size_t n = 0;

        for (size_t left = strlen(s); left; n++) {
                size_t len = utf8_char_len(s, left);

                if (!len || utf8_is_control(s) || utf8_is_layout(s))
                        return SIZE_MAX;
                s += len;
                left -= len;
        }
        return n;
}

static uint32_t decode(const char *s, size_t len)
{
        static const unsigned char first[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
        uint32_t c = (unsigned char)*s & first[len];

        for (size_t i = 1; i < len; i++)
                c = c << 6 | ((unsigned char)s[i] & 0x3f);
        return c;
}

/* Blocks of pictures, and of symbols that are shown as such; no letters, but the few that are emoji */
static bool is_picture(uint32_t c)
{
        static const uint32_t ranges[][2] = {
                {0xa9, 0xa9},       {0xae, 0xae},       {0x203c, 0x203c},   {0x2049, 0x2049},   {0x2122, 0x2122},
                {0x2139, 0x2139},   {0x2190, 0x23ff},   {0x24c2, 0x24c2},   {0x25a0, 0x27bf},   {0x2900, 0x297f},
                {0x2b00, 0x2bff},   {0x3030, 0x3030},   {0x303d, 0x303d},   {0x3297, 0x3297},   {0x3299, 0x3299},
                {0x1f000, 0x1f0ff}, {0x1f170, 0x1f171}, {0x1f17e, 0x1f17f}, {0x1f18e, 0x1f18e}, {0x1f191, 0x1f19a},
                {0x1f1e6, 0x1faff}, {0x1fc00, 0x1fffd}};

        for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
                if (c >= ranges[i][0] && c <= ranges[i][1])
                        return true;
        }
        return false;
}

/* What stands behind a picture and makes it another one: joiner, variation, keycap, tags (of flags) */
static bool is_modifier(uint32_t c)
{
        return c == 0x200d || c == 0xfe0e || c == 0xfe0f || c == 0x20e3 || (c >= 0xe0020 && c <= 0xe007f);
}

/* 1️⃣, #️⃣: the only ones with something of ASCII */
static bool is_keycap(const char *s)
{
        return strchr("0123456789#*", *s) && (strcmp(s + 1, "\uFE0F\u20E3") == 0 || strcmp(s + 1, "\u20E3") == 0);
}

static bool is_short_name(const char *s)
{
        size_t n = strspn(s + 1, "abcdefghijklmnopqrstuvwxyz0123456789_+-");

        return *s == ':' && n && strcmp(s + 1 + n, ":") == 0;
}

/* No word, which would stand beside the name like a title. Several pictures are taken for one: which make one changes with each Unicode. */
static bool is_emoji(const char *s)
{
        bool first = true;

        if (!*s || is_short_name(s) || is_keycap(s))
                return true;
        for (size_t left = strlen(s), len; left; s += len, left -= len, first = false) {
                uint32_t c;

                len = utf8_char_len(s, left);
                c = len ? decode(s, len) : 0;
                if (!is_picture(c) && (first || !is_modifier(c)))
                        return false;
        }
        return true;
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
                return bad(
                        ret_error, n_error,
                        n_text == SIZE_MAX
                                ? "text must be one line without control characters, or such that change its direction"
                                : "text must have at most 140 characters");
        if (n_emoji > STATUS_EMOJI_MAX || !is_emoji(status->emoji))
                return bad(ret_error, n_error,
                           "emoji must be one emoji, or a :name: of a-z 0-9 _ + -, at most 32 bytes");
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
