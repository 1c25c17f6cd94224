#include "upload/local_url.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "auth/mac.h"
#include "base/ident.h"

/* So that a signature of this secret for another purpose is none here */
#define PURPOSE "parley local store\n"
#define PURPOSE_OWNER "parley local store owner\n"
enum { SIGNED_MAX = 4096 };

int local_url_owner(const char *secret, const char *user_id, char ret[LOCAL_URL_OWNER_LEN + 1])
{
        char text[sizeof(PURPOSE_OWNER) + IDENT_MAX], hex[MAC_HEX_LEN + 1];
        int n = snprintf(text, sizeof(text), PURPOSE_OWNER "%s", user_id);
        uint8_t mac[MAC_LEN];
        int r = mac_hmac(secret, strlen(secret), text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1, mac);

        if (r < 0)
                return r;
        mac_hex(mac, hex);
        memcpy(ret, hex, LOCAL_URL_OWNER_LEN);
        ret[LOCAL_URL_OWNER_LEN] = '\0';
        return 0;
}

int local_url_escape(struct buf *out, const char *text)
{
        int r = 0;

        for (const unsigned char *s = (const unsigned char *)text; r == 0 && *s; s++) {
                char three[4] = {(char)*s};

                if (!((*s >= '0' && *s <= '9') || (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
                      strchr("-._~", *s)))
                        (void)snprintf(three, sizeof(three), "%%%02X", *s);
                r = buf_append_str(out, three);
        }
        return r;
}

/* The fields cannot hold a newline: names are ids, the rest is checked where it comes in, and what does not fit is not signed */
static bool sign(const char *secret, const char *text, int n, char ret_hex[MAC_HEX_LEN + 1])
{
        uint8_t mac[MAC_LEN];

        if (n < 0 || n >= SIGNED_MAX || mac_hmac(secret, strlen(secret), text, (size_t)n, mac) < 0)
                return false;
        mac_hex(mac, ret_hex);
        return true;
}

static bool sign_put(const char *secret, const struct local_put *p, char ret_hex[MAC_HEX_LEN + 1])
{
        char text[SIGNED_MAX];

        return sign(secret, text,
                    snprintf(text, sizeof(text),
                             PURPOSE "PUT\n%s\n%" PRIu32 "\n%" PRIu64 "\n%" PRIu64 "\n%s\n%s\n%s\n%" PRId64, p->name,
                             p->part, p->size, p->offset, p->sha256, p->content_type, p->owner, p->expires_at_s),
                    ret_hex);
}

static bool sign_get(const char *secret, const struct local_get *g, char ret_hex[MAC_HEX_LEN + 1])
{
        char text[SIGNED_MAX];

        return sign(secret, text,
                    snprintf(text, sizeof(text), PURPOSE "GET\n%s\n%s\n%s\n%s\n%" PRId64, g->name, g->content_type,
                             g->disposition, g->owner, g->expires_at_s),
                    ret_hex);
}

static int append_end(struct buf *out, const char *owner, int64_t expires_at_s, const char *hex)
{
        char text[160];

        (void)snprintf(text, sizeof(text), "&owner=%s&expires=%" PRId64 "&signature=%s", owner, expires_at_s, hex);
        return buf_append(out, text, strlen(text) + 1);
}

int local_url_put(const char *secret, const char *prefix, const struct local_put *put, struct buf *out)
{
        char hex[MAC_HEX_LEN + 1], text[512];
        int r;

        if (!sign_put(secret, put, hex))
                return BUF_E_FULL;
        (void)snprintf(text, sizeof(text),
                       LOCAL_URL_PATH "%s/%" PRIu32 "?size=%" PRIu64 "&offset=%" PRIu64 "&sha256=%s&type=", put->name,
                       put->part, put->size, put->offset, put->sha256);
        r = buf_append_str(out, prefix);
        if (r == 0)
                r = buf_append_str(out, text);
        if (r == 0)
                r = local_url_escape(out, put->content_type);
        return r ? r : append_end(out, put->owner, put->expires_at_s, hex);
}

int local_url_get(const char *secret, const char *prefix, const struct local_get *get, struct buf *out)
{
        const char *const parts[] = {LOCAL_URL_PATH, get->name, "?type=", NULL, "&disposition=", NULL};
        char hex[MAC_HEX_LEN + 1];
        int r;

        if (!sign_get(secret, get, hex))
                return BUF_E_FULL;
        r = buf_append_str(out, prefix);
        for (unsigned i = 0; r == 0 && i < sizeof(parts) / sizeof(parts[0]); i++) {
                if (parts[i])
                        r = buf_append_str(out, parts[i]);
                else
                        r = local_url_escape(out, i == 3 ? get->content_type : get->disposition);
        }
        return r ? r : append_end(out, get->owner, get->expires_at_s, hex);
}

static bool same(const char *hex, const char *signature)
{
        uint8_t want[MAC_LEN], given[MAC_LEN];

        return signature && mac_unhex(hex, want) == 0 && mac_unhex(signature, given) == 0 && mac_equal(want, given);
}

bool local_url_put_valid(const char *secret, const struct local_put *put, const char *signature, int64_t now_s)
{
        char hex[MAC_HEX_LEN + 1];

        return sign_put(secret, put, hex) && same(hex, signature) && now_s < put->expires_at_s;
}

bool local_url_get_valid(const char *secret, const struct local_get *get, const char *signature, int64_t now_s)
{
        char hex[MAC_HEX_LEN + 1];

        return sign_get(secret, get, hex) && same(hex, signature) && now_s < get->expires_at_s;
}
