#include "auth/claims.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "auth/json.h"
#include "base/cleanup.h"

/* NumericDate (RFC 7519 section 2) may have a fraction. ret_given: whether it is there at all.
 * Far times become the ends of int64_t. 0 or AUTH_E_MALFORMED. */
static int numeric_date(yyjson_val *root, const char *name, bool *ret_given, int64_t *ret_seconds)
{
        yyjson_val *v = yyjson_obj_get(root, name);
        double seconds;

        *ret_given = v != NULL;
        if (!v)
                return 0;
        if (!yyjson_is_num(v))
                return AUTH_E_MALFORMED;
        seconds = floor(yyjson_get_num(v));
        if (yyjson_is_sint(v))
                *ret_seconds = yyjson_get_sint(v);
        else if (seconds >= 0x1p63 || (yyjson_is_uint(v) && yyjson_get_uint(v) > INT64_MAX))
                *ret_seconds = INT64_MAX;
        else if (seconds < -0x1p63)
                *ret_seconds = INT64_MIN;
        else
                *ret_seconds = yyjson_is_uint(v) ? (int64_t)yyjson_get_uint(v) : (int64_t)seconds;
        return 0;
}

static int64_t add_saturated(int64_t a, int64_t b)
{
        int64_t sum;

        return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static int check_times(yyjson_val *root, const struct auth_policy *policy, int64_t now_s, struct auth_claims *claims)
{
        int64_t exp = INT64_MAX, nbf = INT64_MIN;
        bool has_exp, has_nbf;

        if (numeric_date(root, "exp", &has_exp, &exp) != 0 || numeric_date(root, "nbf", &has_nbf, &nbf) != 0)
                return AUTH_E_MALFORMED;
        if (!has_exp && policy->require_exp)
                return AUTH_E_MALFORMED;
        if (has_exp && now_s >= add_saturated(exp, policy->leeway_s))
                return AUTH_E_EXPIRED;
        if (has_nbf && add_saturated(now_s, policy->leeway_s) < nbf)
                return AUTH_E_NOT_YET;
        claims->expires_at = exp;
        return 0;
}

static bool audience_has(yyjson_val *aud, const char *wanted)
{
        yyjson_val *v;
        size_t i, n;

        if (yyjson_equals_str(aud, wanted))
                return true;
        yyjson_arr_foreach(aud, i, n, v)
        {
                if (yyjson_equals_str(v, wanted))
                        return true;
        }
        return false;
}

static int read_subject(yyjson_val *root, struct auth_claims *claims)
{
        const char *sub = auth_json_str(root, "sub"), *workspace = "main";
        int r;

        if (auth_json_has(root, "workspace"))
                workspace = auth_json_str(root, "workspace");
        if (!sub || strlen(sub) > AUTH_EXTERNAL_MAX || !workspace || !*workspace)
                return AUTH_E_MALFORMED;
        r = auth_user_id(workspace, sub, claims->user_id);
        if (r < 0)
                return r == -EINVAL ? AUTH_E_MALFORMED : r;
        snprintf(claims->external_id, sizeof(claims->external_id), "%s", sub);
        return 0;
}

/* The length up to n at which valid UTF-8 can be cut */
static size_t cut_utf8(const char *s, size_t n)
{
        if (strlen(s) <= n)
                return strlen(s);
        while (n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
                n--;
        return n;
}

/* Names are shown and logged: control characters become spaces, and spaces around are dropped. Whether anything is
 * left. */
static bool read_name(yyjson_val *root, const char *claim, char ret[AUTH_NAME_MAX + 1])
{
        const char *s = auth_json_str(root, claim);
        size_t n;

        if (!s)
                return false;
        while (*s && (unsigned char)*s <= ' ')
                s++;
        n = cut_utf8(s, AUTH_NAME_MAX);
        for (size_t i = 0; i < n; i++)
                ret[i] = (unsigned char)s[i] < ' ' || s[i] == 0x7f ? ' ' : s[i];
        while (n > 0 && ret[n - 1] == ' ')
                n--;
        ret[n] = 0;
        return n > 0;
}

int auth_claims_read(const char *json, size_t n, const struct auth_policy *policy, int64_t now_s,
                     struct auth_claims *ret_claims)
{
        _cleanup_(auth_json_freep) yyjson_doc *doc = NULL;
        struct auth_claims claims = {0};
        yyjson_val *root;
        int r;

        r = auth_json_read(json, n, &doc);
        if (r < 0)
                return r == -EINVAL ? AUTH_E_MALFORMED : r;
        root = yyjson_doc_get_root(doc);
        r = check_times(root, policy, now_s, &claims);
        if (r != 0)
                return r;
        if (policy->issuer && !yyjson_equals_str(yyjson_obj_get(root, "iss"), policy->issuer))
                return AUTH_E_ISSUER;
        if (policy->audience && !audience_has(yyjson_obj_get(root, "aud"), policy->audience))
                return AUTH_E_AUDIENCE;
        r = read_subject(root, &claims);
        if (r != 0)
                return r;
        if (!read_name(root, "name", claims.name) && !read_name(root, "preferred_username", claims.name))
                snprintf(claims.name, sizeof(claims.name), "%s", claims.user_id);
        claims.admin = yyjson_is_true(yyjson_obj_get(root, "admin"));
        claims.scanner = yyjson_is_true(yyjson_obj_get(root, "scan"));
        *ret_claims = claims;
        return 0;
}
