#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

/* A line that would be longer loses its last fields, never its form */
#define LINE_MAX_BYTES 8192
#define STR_MAX_BYTES 512

static const char *const level_names[] = {
        [LOG_DEBUG] = "debug",
        [LOG_INFO] = "info",
        [LOG_WARN] = "warn",
        [LOG_ERROR] = "error",
};

static const char *log_service = "parley";
static atomic_int log_lowest = LOG_INFO;

void log_init(const char *service, enum log_level level)
{
        log_service = service;
        atomic_store(&log_lowest, (int)level);
}

int log_level_parse(const char *text, enum log_level *ret_level)
{
        if (!text)
                return -EINVAL;
        for (unsigned i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++)
                if (strcmp(text, level_names[i]) == 0) {
                        *ret_level = (enum log_level)i;
                        return 0;
                }
        return -EINVAL;
}

/* The line; `full` once something did not fit: then nothing more is taken until it is cut back */
struct line {
        char text[LINE_MAX_BYTES];
        size_t len;
        bool full;
};

/* Kept free for what ends every line: }\n */
#define LINE_TAIL 2

static void put(struct line *l, const char *s, size_t n)
{
        if (l->full || n > sizeof(l->text) - LINE_TAIL - l->len) {
                l->full = true;
                return;
        }
        memcpy(l->text + l->len, s, n);
        l->len += n;
}

static void put_str(struct line *l, const char *s)
{
        put(l, s, strlen(s));
}

static void put_escaped_char(struct line *l, const char *s, size_t n)
{
        char text[8];

        if (n == 1 && (*s == '"' || *s == '\\')) {
                put(l, "\\", 1);
                put(l, s, 1);
        } else if (n == 1 && ((unsigned char)*s < 0x20 || *s == 0x7f)) {
                snprintf(text, sizeof(text), "\\u%04x", (unsigned char)*s);
                put_str(l, text);
        } else {
                put(l, s, n);
        }
}

/* What is no UTF-8 becomes U+FFFD, byte by byte */
static void put_string(struct line *l, const char *s)
{
        size_t n, cut;

        if (!s) {
                put_str(l, "null");
                return;
        }
        n = strnlen(s, STR_MAX_BYTES + 1);
        cut = n > STR_MAX_BYTES ? STR_MAX_BYTES : n;
        put(l, "\"", 1);
        for (size_t i = 0; i < cut;) {
                /* Looks past the cut only to tell a whole character from a broken one */
                size_t len = utf8_char_len(s + i, strnlen(s + i, 4));

                if (len == 0) {
                        put_str(l, "\\ufffd");
                        i++;
                        continue;
                }
                if (i + len > cut)
                        break;
                put_escaped_char(l, s + i, len);
                i += len;
        }
        put(l, "\"", 1);
}

static void put_key(struct line *l, const char *key)
{
        put(l, ",", 1);
        put_string(l, key);
        put(l, ":", 1);
}

static void put_field(struct line *l, const struct log_field *f)
{
        char number[24];

        put_key(l, f->key);
        switch (f->type) {
        case LOG_FIELD_STR:
                put_string(l, f->str);
                break;
        case LOG_FIELD_U64:
                snprintf(number, sizeof(number), "%" PRIu64, f->u64);
                put_str(l, number);
                break;
        case LOG_FIELD_I64:
                snprintf(number, sizeof(number), "%" PRId64, f->i64);
                put_str(l, number);
                break;
        }
}

static void put_head(struct line *l, enum log_level level, const char *msg)
{
        char when[RFC3339_LEN + 1] = "";
        struct timespec now;

        /* Milliseconds; the clock of this machine may be anywhere, a log line is written all the same */
        clock_gettime(CLOCK_REALTIME, &now);
        (void)rfc3339_format(now.tv_sec, (int32_t)(now.tv_nsec / 1000000 * 1000000), when);
        put_str(l, "{\"ts\":\"");
        put_str(l, when);
        put_str(l, "\",\"level\":\"");
        put_str(l, level_names[level]);
        put(l, "\"", 1);
        put_key(l, "service");
        put_string(l, log_service);
        put_key(l, "msg");
        put_string(l, msg);
}

void log_write(enum log_level level, const char *msg, const struct log_field *fields, unsigned n_fields)
{
        struct line l;
        ssize_t n;

        if ((int)level < atomic_load_explicit(&log_lowest, memory_order_relaxed) || level > LOG_ERROR)
                return;
        l.len = 0;
        l.full = false;
        put_head(&l, level, msg);
        for (unsigned i = 0; i < n_fields && !l.full; i++) {
                size_t before = l.len;

                put_field(&l, &fields[i]);
                if (l.full)
                        l.len = before;
        }
        l.text[l.len++] = '}';
        l.text[l.len++] = '\n';
        /* Nobody can be told that the log cannot be written */
        do
                n = write(STDERR_FILENO, l.text, l.len);
        while (n < 0 && errno == EINTR);
}
