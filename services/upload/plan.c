#include "upload/plan.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

void plan_parts(uint64_t size, uint32_t *ret_n_parts, uint64_t *ret_part_size)
{
        uint64_t part = PLAN_PART_BYTES;

        if (size <= PLAN_PART_BYTES) {
                *ret_n_parts = 1;
                *ret_part_size = size;
                return;
        }
        while ((size + part - 1) / part > PLAN_PARTS_MAX)
                part *= 2;
        *ret_part_size = part;
        *ret_n_parts = (uint32_t)((size + part - 1) / part);
}

uint64_t plan_part_bytes(uint64_t size, uint64_t part_size, uint32_t part)
{
        uint64_t before = (uint64_t)(part - 1) * part_size;

        return size - before < part_size ? size - before : part_size;
}

const char *plan_name_wrong(const char *name)
{
        size_t n = strlen(name);

        if (n == 0)
                return "is empty";
        if (n > PLAN_NAME_MAX)
                return "is longer than 255 bytes";
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strpbrk(name, "/\\"))
                return "is a path: only the last part of it is a name";
        for (const char *s = name; *s; s++) { /* no byte inside of a character looks like one of these */
                if (utf8_is_control(s))
                        return "has a control character";
                if (utf8_is_layout(s))
                        return "has a character that changes the direction of text";
        }
        return NULL;
}

static size_t token_len(const char *s)
{
        return strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789!#$&^_.+-");
}

bool plan_type_valid(const char *type)
{
        size_t first = token_len(type), second;

        if (first == 0 || type[first] != '/')
                return false;
        second = token_len(type + first + 1);
        return second > 0 && type[first + 1 + second] == '\0' && first + 1 + second <= PLAN_TYPE_MAX;
}

static bool pattern_matches(const char *pattern, size_t n, const char *type)
{
        if (n == 1 && *pattern == '*')
                return true;
        if (n >= 2 && pattern[n - 1] == '*')
                return strncmp(pattern, type, n - 1) == 0;
        return strlen(type) == n && memcmp(pattern, type, n) == 0;
}

bool plan_type_allowed(const char *allowed, const char *type)
{
        for (const char *s = allowed; *s; s += strspn(s, ", ")) {
                size_t n = strcspn(s, ", ");

                if (n && pattern_matches(s, n, type))
                        return true;
                s += n;
        }
        return false;
}

bool plan_types_valid(const char *allowed)
{
        unsigned n_patterns = 0;

        for (const char *s = allowed; *s; s += strspn(s, ", ")) {
                size_t n = strcspn(s, ", "), first = token_len(s);

                if (n && !(n == 1 && *s == '*')) {
                        if (first == 0 || s[first] != '/')
                                return false;
                        if (!(first + 2 == n && s[first + 1] == '*') &&
                            (first + 1 == n || first + 1 + token_len(s + first + 1) != n))
                                return false;
                }
                n_patterns += n > 0;
                s += n;
        }
        return n_patterns > 0;
}

bool plan_thumbnail_type(const char *type)
{
        return strcmp(type, "image/jpeg") == 0 || strcmp(type, "image/png") == 0 || strcmp(type, "image/webp") == 0;
}

/* One digit tells how many components there are across and down, one the largest of them, four the first; then two for each */
bool plan_blurhash_valid(const char *hash)
{
        static const char digits[] =
                "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~";
        const char *first = *hash ? strchr(digits, *hash) : NULL;
        size_t number = first ? (size_t)(first - digits) : 0, n = strspn(hash, digits);

        return first && number < 81 && hash[n] == '\0' && n == 4 + 2 * (number / 9 + 1) * (number % 9 + 1);
}

/* Not SVG, which runs scripts; not PDF, whose viewers do. */
static const char *const inline_types[] = {
        "audio/aac",  "audio/flac",  "audio/mp4",   "audio/mpeg", "audio/ogg",  "audio/wav",
        "audio/webm", "audio/x-m4a", "audio/x-wav", "image/avif", "image/gif",  "image/jpeg",
        "image/png",  "image/webp",  "video/mp4",   "video/ogg",  "video/webm",
};

bool plan_type_inline(const char *type)
{
        for (unsigned i = 0; i < ARRAY_SIZE(inline_types); i++)
                if (strcmp(inline_types[i], type) == 0)
                        return true;
        return false;
}

/* What libmagic calls the types that are shown, where it has other names for them; and containers that hold sound or film, by what is in them, which the
 * first bytes do not show: there what was announced decides. */
static const struct {
        const char *found, *type;
        bool announced; /* only where it was announced as this type */
} type_names[] = {
        {"audio/x-hx-aac-adts", "audio/aac", false},
        {"audio/x-hx-aac-adif", "audio/aac", false},
        {"audio/x-flac", "audio/flac", false},
        {"audio/x-m4a", "audio/mp4", false},
        {"audio/x-wav", "audio/wav", false},
        {"audio/vnd.wave", "audio/wav", false},
        {"application/ogg", "audio/ogg", true},
        {"application/ogg", "video/ogg", true},
        {"video/ogg", "audio/ogg", true},
        {"audio/ogg", "video/ogg", true},
        {"video/webm", "audio/webm", true},
        {"audio/webm", "video/webm", true},
        {"video/mp4", "audio/mp4", true},
        {"audio/mp4", "video/mp4", true},
};

const char *plan_type_named(const char *declared, const char *found)
{
        for (unsigned i = 0; i < ARRAY_SIZE(type_names); i++)
                if (strcmp(type_names[i].found, found) == 0 &&
                    (!type_names[i].announced || strcmp(type_names[i].type, declared) == 0))
                        return type_names[i].type;
        return found;
}

bool plan_type_fits(const char *declared, const char *found)
{
        const char *name = plan_type_named("", declared);

        return !plan_type_inline(declared) || strcmp(name, plan_type_named(name, found)) == 0;
}
