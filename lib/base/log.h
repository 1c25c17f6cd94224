/* JSON log lines on stderr: {"ts":"…","level":"info","service":"gateway","msg":"…","peer":"…",…}.
 *
 * Libraries do not log; they return errors and their callers log once. Never put a token or the content of a message
 * in a field.
 * Thread-safe: each line is one write(2) of at most 8 KiB; fields that do not fit are left out. */
#pragma once

#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_field {
        const char *key;
        enum { LOG_FIELD_STR, LOG_FIELD_U64, LOG_FIELD_I64 } type;
        union {
                const char *str; /* NULL is written as null; escaped, bad UTF-8 as U+FFFD; cut at 512 bytes */
                uint64_t u64;
                int64_t i64;
        };
};

#define LOG_S(k, v) ((struct log_field){.key = (k), .type = LOG_FIELD_STR, .str = (v)})
#define LOG_U(k, v) ((struct log_field){.key = (k), .type = LOG_FIELD_U64, .u64 = (uint64_t)(v)})
#define LOG_I(k, v) ((struct log_field){.key = (k), .type = LOG_FIELD_I64, .i64 = (int64_t)(v)})

/* Names the service in every later line; level: the lowest that is written. service must outlive all calls. */
void log_init(const char *service, enum log_level level);
/* "debug", "info", "warn", "error". Returns 0, or -EINVAL. */
int log_level_parse(const char *text, enum log_level *ret_level);
void log_write(enum log_level level, const char *msg, const struct log_field *fields, unsigned n_fields);

#define log_at(level, msg, ...)                                                                                        \
        log_write((level), (msg), (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}},                           \
                  sizeof((const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}}) / sizeof(struct log_field) - 1)
#define log_debug(msg, ...) log_at(LOG_DEBUG, msg __VA_OPT__(, ) __VA_ARGS__)
#define log_info(msg, ...) log_at(LOG_INFO, msg __VA_OPT__(, ) __VA_ARGS__)
#define log_warn(msg, ...) log_at(LOG_WARN, msg __VA_OPT__(, ) __VA_ARGS__)
#define log_error(msg, ...) log_at(LOG_ERROR, msg __VA_OPT__(, ) __VA_ARGS__)
