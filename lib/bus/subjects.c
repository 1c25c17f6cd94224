#include "bus/subjects.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/ident.h"

/* The parts are valid idents (64 bytes) and a message id (36 bytes): the longest subject stays far below SUBJECT_MAX. */
static void _printf_(2, 3) fill(char *ret, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        int n = vsnprintf(ret, SUBJECT_MAX, format, ap);
        va_end(ap);
        assert(n > 0 && n < SUBJECT_MAX);
}

/* As fill, of strings alone: those that every message needs, some of them several times. vsnprintf takes ten times as long. */
static char *put(char *at, const char *s)
{
        size_t n = strlen(s);

        memcpy(at, s, n + 1);
        return at + n;
}

static char *put_u32(char *at, uint32_t value)
{
        char digits[11], *p = digits + sizeof(digits) - 1;

        *p = '\0';
        do
                *--p = (char)('0' + value % 10);
        while ((value /= 10) > 0);
        return put(at, p);
}

uint32_t subject_shard(const char *channel_id, uint32_t n_shards)
{
        uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a offset basis and prime, 64 bits */

        for (const char *c = channel_id; *c != '\0'; c++) {
                hash ^= (uint8_t)*c;
                hash *= UINT64_C(0x100000001b3);
        }
        return n_shards > 1 ? (uint32_t)(hash % n_shards) : 0;
}

void subject_chat(char *ret, uint32_t shard, const char *channel_id)
{
        assert(strlen(channel_id) <= IDENT_MAX);
        put(put(put_u32(put(ret, "chat."), shard), "."), channel_id);
}

void subject_live(char *ret, uint32_t shard, const char *channel_id)
{
        fill(ret, "live.%" PRIu32 ".%s", shard, channel_id);
}

void subject_typing(char *ret, uint32_t shard, const char *channel_id)
{
        fill(ret, "typing.%" PRIu32 ".%s", shard, channel_id);
}

void subject_chat_stream(char *ret, uint32_t shard)
{
        fill(ret, "CHAT_%" PRIu32, shard);
}

void subject_chat_all(char *ret, uint32_t shard)
{
        fill(ret, "chat.%" PRIu32 ".>", shard);
}

void subject_live_all(char *ret, uint32_t shard)
{
        fill(ret, "live.%" PRIu32 ".>", shard);
}

void subject_user(char *ret, const char *user_id)
{
        fill(ret, "live.user.%s", user_id);
}

void subject_presence_gateway(char *ret, const char *gateway_id)
{
        fill(ret, "presence.gw.%s", gateway_id);
}

void subject_presence_user(char *ret, const char *user_id)
{
        fill(ret, "presence.user.%s", user_id);
}

void subject_digest(char *ret, uint32_t shard)
{
        fill(ret, "digest.%" PRIu32, shard);
}

void subject_dlq(char *ret, const char *service)
{
        fill(ret, "dlq.%s", service);
}

const char *subject_channel(const char *subject)
{
        if (strncmp(subject, "chat.", 5) != 0 && strncmp(subject, "live.", 5) != 0)
                return NULL;
        const char *shard = subject + 5;
        size_t n_digits = strspn(shard, "0123456789"); /* live.user.<user> has none */
        if (n_digits == 0 || shard[n_digits] != '.')
                return NULL;
        const char *channel = shard + n_digits + 1;
        if (*channel == '\0' || strchr(channel, '.') != NULL)
                return NULL;
        return channel;
}

void subject_msg_id(char *ret, const char *channel_id, const char *actor_id, const char *id)
{
        assert(strlen(channel_id) <= IDENT_MAX && strlen(actor_id) <= IDENT_MAX && strlen(id) <= UUID_LEN);
        put(put(put(put(put(ret, channel_id), ":"), actor_id), ":"), id);
}
