#include "bus/codec.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"

#define ACK_PREFIX "$JS.ACK."
#define NAME_MAX_LEN 64
#define KEY_MAX_LEN 128
#define SUBJECT_MAX_LEN 255

static bool is_alnum(char c)
{
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool codec_is_delivery(const char *reply)
{
        return reply != NULL && strncmp(reply, ACK_PREFIX, sizeof(ACK_PREFIX) - 1) == 0;
}

static int token_u64(const char *s, size_t n, uint64_t *ret)
{
        uint64_t value = 0;

        if (n == 0 || n > 20)
                return -EBADMSG;
        for (size_t i = 0; i < n; i++) {
                if (s[i] < '0' || s[i] > '9')
                        return -EBADMSG;
                if (__builtin_mul_overflow(value, 10, &value) ||
                    __builtin_add_overflow(value, (uint64_t)(s[i] - '0'), &value))
                        return -EBADMSG;
        }
        *ret = value;
        return 0;
}

int codec_delivery(const char *reply, struct delivery *ret)
{
        struct {
                const char *s;
                size_t n;
        } tokens[12];
        size_t n_tokens = 0;
        uint64_t numbers[5];

        if (!codec_is_delivery(reply))
                return -EBADMSG;
        for (const char *s = reply + sizeof(ACK_PREFIX) - 1;; n_tokens++) {
                size_t n = strcspn(s, ".");

                if (n_tokens == 12)
                        return -EBADMSG;
                tokens[n_tokens].s = s;
                tokens[n_tokens].n = n;
                if (s[n] == '\0') {
                        n_tokens++;
                        break;
                }
                s += n + 1;
        }
        /* Seven tokens behind the prefix; with a domain two more before them, and perhaps more behind them */
        if (n_tokens != 7 && n_tokens < 9)
                return -EBADMSG;
        size_t first = n_tokens == 7 ? 0 : 2;
        for (size_t i = 0; i < 5; i++)
                if (token_u64(tokens[first + 2 + i].s, tokens[first + 2 + i].n, &numbers[i]) < 0)
                        return -EBADMSG;
        *ret = (struct delivery){
                .consumer = tokens[first + 1].s,
                .n_consumer = tokens[first + 1].n,
                .seq = numbers[1],
                .consumer_seq = numbers[2],
                .time_ns = (int64_t)numbers[3],
                .pending = numbers[4],
        };
        return 0;
}

uint64_t codec_header_u64(const char *value)
{
        uint64_t n;

        if (value == NULL || token_u64(value, strlen(value), &n) < 0)
                return 0;
        return n;
}

int64_t codec_time_ns(const char *value)
{
        int64_t seconds, ns;
        int32_t nanos;

        if (value == NULL || rfc3339_parse(value, &seconds, &nanos) < 0)
                return 0;
        if (__builtin_mul_overflow(seconds, INT64_C(1000000000), &ns) ||
            __builtin_add_overflow(ns, (int64_t)nanos, &ns))
                return 0;
        return ns;
}

bool codec_raw_header(const char *block, size_t n, const char *name, char *ret, size_t n_ret)
{
        const char *end = block + n;
        size_t n_name = strlen(name);

        for (const char *line = block; line < end;) {
                const char *eol = memmem(line, (size_t)(end - line), "\r\n", 2);
                if (eol == NULL)
                        return false;
                if ((size_t)(eol - line) > n_name && memcmp(line, name, n_name) == 0 && line[n_name] == ':') {
                        const char *value = line + n_name + 1;

                        while (value < eol && *value == ' ')
                                value++;
                        size_t n_value = (size_t)(eol - value);
                        if (n_value >= n_ret)
                                return false;
                        memcpy(ret, value, n_value);
                        ret[n_value] = '\0';
                        return true;
                }
                line = eol + 2;
        }
        return false;
}

bool codec_name_valid(const char *s)
{
        size_t n = 0;

        for (; s[n] != '\0'; n++)
                if (n >= NAME_MAX_LEN || (!is_alnum(s[n]) && s[n] != '_' && s[n] != '-'))
                        return false;
        return n > 0;
}

bool codec_key_valid(const char *s)
{
        char before = '.';
        size_t n = 0;

        for (; s[n] != '\0'; n++) {
                if (n >= KEY_MAX_LEN)
                        return false;
                if (s[n] == '.' ? before == '.' : !is_alnum(s[n]) && strchr("-/_=", s[n]) == NULL)
                        return false;
                before = s[n];
        }
        return before != '.';
}

bool codec_subject_valid(const char *s, bool wildcards)
{
        size_t total = strlen(s);

        if (total == 0 || total > SUBJECT_MAX_LEN)
                return false;
        for (;;) {
                size_t n = strcspn(s, ".");
                bool last = s[n] == '\0';

                if (n == 0)
                        return false;
                if (n == 1 && (*s == '*' || *s == '>')) {
                        if (!wildcards || (*s == '>' && !last))
                                return false;
                } else {
                        for (size_t i = 0; i < n; i++)
                                if ((uint8_t)s[i] <= ' ' || s[i] == 0x7f || s[i] == '*' || s[i] == '>')
                                        return false;
                }
                if (last)
                        return true;
                s += n + 1;
        }
}

int codec_next_subject(const char **cursor, char *ret)
{
        const char *s = *cursor;
        size_t n = strcspn(s, ",");

        if (*s == '\0')
                return 0;
        if (n > SUBJECT_MAX_LEN || (s[n] == ',' && s[n + 1] == '\0'))
                return -EINVAL;
        memcpy(ret, s, n);
        ret[n] = '\0';
        if (!codec_subject_valid(ret, true))
                return -EINVAL;
        *cursor = s[n] == ',' ? s + n + 1 : s + n;
        return 1;
}
