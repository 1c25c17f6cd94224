#include "wire/path.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A name that a client sent is shown up to here */
#define NAME_SHOWN 40

/* Twice the largest message that nats-server carries by default (1 MiB); an element takes at least two bytes */
const struct wire_limits wire_limits_internal = {
        .max_bytes = 2 * 1024 * 1024, .max_depth = 16, .max_elements = 1024 * 1024};

static bool utf8_is_continuation(char c)
{
        return ((unsigned char)c & 0xc0) == 0x80;
}

static void path_append(char *out, size_t n_out, const char *text, size_t n)
{
        size_t at = strlen(out);

        if (n > n_out - 1 - at)
                n = n_out - 1 - at;
        memcpy(out + at, text, n);
        out[at + n] = '\0';
}

/* Control characters and quotes could mislead a reader of logs and of terminals */
static void path_append_name(char *out, size_t n_out, const char *name, size_t n)
{
        char shown[NAME_SHOWN + 1] = "";
        size_t len = n > NAME_SHOWN ? NAME_SHOWN : n;

        while (len < n && len > 0 && utf8_is_continuation(name[len]))
                len--;
        for (size_t i = 0; i < len; i++)
                shown[i] = (unsigned char)name[i] < ' ' || name[i] == '"' || name[i] == '\x7f' ? '?' : name[i];
        path_append(out, n_out, shown, len);
        if (len < n)
                path_append(out, n_out, "...", 3);
}

static void path_write(const struct wire_path *path, char *out, size_t n_out)
{
        char index[24];

        if (!path)
                return;
        path_write(path->up, out, n_out);
        if (path->n_name > 0) {
                if (out[0])
                        path_append(out, n_out, ".", 1);
                path_append_name(out, n_out, path->name, path->n_name);
        }
        if (path->index != WIRE_PATH_NO_INDEX) {
                int n = snprintf(index, sizeof(index), "[%zu]", path->index);
                path_append(out, n_out, index, (size_t)n);
        }
}

/* The text may have been cut inside of a character */
static void trim_partial_utf8(char *s)
{
        size_t len = strlen(s), lead = len;

        while (lead > 0 && len - lead < 4 && utf8_is_continuation(s[lead - 1]))
                lead--;
        if (lead == 0)
                return;
        lead--;
        unsigned char c = (unsigned char)s[lead];
        size_t want = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        if (len - lead < want)
                s[lead] = '\0';
}

int wire_fail(struct wire_error *error, int code, const struct wire_path *path, const char *format, ...)
{
        char text[sizeof(error->detail)];
        va_list args;

        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);

        error->detail[0] = '\0';
        path_write(path, error->detail, sizeof(error->detail) - 60); /* the text is worth more than a long path */
        trim_partial_utf8(error->detail);
        if (error->detail[0])
                path_append(error->detail, sizeof(error->detail), ": ", 2);
        path_append(error->detail, sizeof(error->detail), text, strlen(text));
        trim_partial_utf8(error->detail);
        return code;
}

int wire_fail_enum(struct wire_error *error, const struct wire_path *path, const ProtobufCEnumDescriptor *type)
{
        char names[128] = "";
        size_t at = 0;

        for (unsigned i = 0; i < type->n_values && at < sizeof(names); i++)
                at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%s", i ? ", " : "", type->values[i].name);
        return wire_fail(error, WIRE_E_FIELD, path, "expected one of %s", names);
}

struct wire_limits wire_limits_effective(const struct wire_limits *limits)
{
        struct wire_limits l = limits ? *limits : (struct wire_limits){0};

        if (l.max_bytes == 0)
                l.max_bytes = 1024 * 1024;
        if (l.max_depth == 0)
                l.max_depth = 8;
        if (l.max_elements == 0)
                l.max_elements = 10000;
        return l;
}

int wire_check_size(size_t n, const struct wire_limits *limits, struct wire_error *error)
{
        if (n <= limits->max_bytes)
                return 0;
        return wire_fail(error, WIRE_E_LIMIT, NULL, "%zu bytes are too many: at most %zu are taken", n,
                         limits->max_bytes);
}
