#include "presence/rest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auth/auth.h"
#include "auth/jwks.h"
#include "base/cleanup.h"
#include "parley/v1/rest.pb-c.h"
#include "presence/roster.h"
#include "presence/voice.h"
#include "wire/wire.h"

/* STATUS_ELEMENTS: of the JSON of a status, which has six fields. LIST_MAX, LIST_ELEMENTS: of a list of 500 users, whose ids have up to 64 characters;
 * so many more elements are read that one who asks for more is told how many there may be. USERS_A_PRICE: whose presence a request of a unit of the user's rate may ask
 * for; each takes as many steps as they have channels, thousands at most. */
enum { RETRY_MS = 1000, BODY_MAX = 8 << 10, JSON_MAX = 1 << 20, STATUS_ELEMENTS = 100, USERS_A_PRICE = 50 };
enum { LIST_MAX = 64 << 10, LIST_ELEMENTS = 2 * ROSTER_QUERY_MAX };

/* --- who asks --- */

static bool within_rate(struct http_request *rq, struct rest *rest, struct ratetable *table, const char *name,
                        uint32_t cost)
{
        return http_within_rate(rq, table, name, rest->roster->now_ms, cost);
}

static void refuse(struct http_request *rq, struct rest *rest, const char *token, int r)
{
        if (!within_rate(rq, rest, rest->by_address, http_counted_as(rq), 1))
                return;
        if (r == AUTH_E_UNKNOWN_KEY && rest->jwks)
                jwks_refresh(rest->jwks);
        if (r < 0)
                http_problem(rq, PARLEY_INTERNAL, 0, "the token cannot be checked");
        else
                http_refuse_token(rq, token != NULL, r == AUTH_E_EXPIRED, auth_error_text(r));
}

/* Who it is, within the limits of rate, and that there is something to answer. False: it was answered. */
static bool begin(struct http_request *rq, struct rest *rest, struct auth_claims *ret)
{
        const char *token = http_bearer(rq);
        int r;

        rest->before(rest->userdata);
        r = token ? auth_verify(rest->auth, token, strlen(token), rest->roster->wall_s, ret) : AUTH_E_MALFORMED;
        if (r != 0) {
                refuse(rq, rest, token, r);
                return false;
        }
        if (!within_rate(rq, rest, rest->by_user, ret->user_id, 1))
                return false;
        if (rest->ready(rest->userdata))
                return true;
        http_problem(rq, PARLEY_UNAVAILABLE, RETRY_MS, "presence is being collected; try again");
        return false;
}

static void respond(struct http_request *rq, const ProtobufCMessage *m)
{
        struct buf b = BUF_INIT(JSON_MAX);

        if (wire_json_encode(m, &b) == 0)
                http_respond_json(rq, 200, &b);
        else
                http_problem(rq, PARLEY_INTERNAL, 0, "the answer cannot be written as JSON");
        buf_done(&b);
}

/* --- presence of users --- */

/* The parts of a list that is separated by commas; cuts it up. Returns how many, or max + 1 */
static size_t split(char *list, char **ret, size_t max)
{
        size_t n = 0;
        char *rest = list, *part;

        while ((part = strsep(&rest, ","))) {
                if (n == max)
                        return max + 1;
                ret[n++] = part;
        }
        return n;
}

/* What a client is told of a change: about himself he knows more than others */
static Parley__V1__UserPresence *as_seen_by(const char *viewer_id, Parley__V1__PresenceChange *change)
{
        if (change->invisible && strcmp(change->user->user_id, viewer_id) == 0)
                change->user->availability = PARLEY__V1__USER_PRESENCE__AVAILABILITY__invisible;
        return change->user;
}

static void answer_users(struct http_request *rq, const struct auth_claims *claims, struct answer *a)
{
        Parley__V1__PresenceList m = PARLEY__V1__PRESENCE_LIST__INIT;
        Parley__V1__UserPresence **users = calloc(a->message.n_users + 1, sizeof(*users));

        if (!users) {
                http_problem(rq, PARLEY_UNAVAILABLE, RETRY_MS, "out of memory");
                return;
        }
        for (size_t i = 0; i < a->message.n_users; i++)
                users[i] = as_seen_by(claims->user_id, a->users[i]);
        m.users = users;
        m.n_users = a->message.n_users;
        m.hidden_user_ids = a->hidden;
        m.n_hidden_user_ids = a->message.n_hidden_user_ids;
        respond(rq, &m.base);
        free((void *)users);
}

static void run_query(struct http_request *rq, struct rest *rest, const struct auth_claims *claims,
                      Parley__V1__PresenceQuery *q,
                      void (*then)(struct http_request *rq, const struct auth_claims *claims, struct answer *a))
{
        struct answer answer;
        const char *why = NULL;
        enum parley_code code;

        q->viewer_id = claims->admin ? (char *)"" : (char *)claims->user_id;
        code = roster_query(rest->roster, q, &answer, &why);
        if (code == PARLEY_OK)
                then(rq, claims, &answer);
        else
                http_problem(rq, code, code == PARLEY_UNAVAILABLE ? RETRY_MS : 0, "%s", why);
        answer_done(&answer);
}

/* The body, to be freed; NULL: it was answered */
static ProtobufCMessage *read_body(struct http_request *rq, const ProtobufCMessageDescriptor *type, size_t max_elements)
{
        struct wire_limits limits = {.max_elements = max_elements};
        struct wire_error error = {0};
        ProtobufCMessage *m = NULL;
        const uint8_t *body;
        size_t n;
        int r;

        body = http_body(rq, &n);
        limits.max_bytes = n; /* within its route's limit */
        r = wire_json_decode(type, (const char *)body, n, &limits, &m, &error);
        if (r < 0)
                http_problem(rq, PARLEY_INTERNAL, 0, "the body cannot be read");
        else if (r > 0)
                http_problem(rq, PARLEY_BAD_REQUEST, 0, "%s", *error.detail ? error.detail : "the body is not valid");
        return r ? NULL : m;
}

/* name: what the list is called */
static void list_users(struct http_request *rq, struct rest *rest, const struct auth_claims *claims,
                       Parley__V1__PresenceQuery *q, const char *name)
{
        if (q->n_user_ids > ROSTER_QUERY_MAX)
                http_problem(rq, PARLEY_TOO_LARGE, 0, "%s must name at most %d users", name, ROSTER_QUERY_MAX);
        else if (within_rate(rq, rest, rest->by_user, claims->user_id, (uint32_t)q->n_user_ids / USERS_A_PRICE))
                run_query(rq, rest, claims, q, answer_users);
}

/* GET /api/presence?users=a,b */
static void rest_users(struct http_request *rq, void *userdata)
{
        Parley__V1__PresenceQuery q = PARLEY__V1__PRESENCE_QUERY__INIT;
        const char *list = http_query(rq, "users");
        char *ids[ROSTER_QUERY_MAX];
        _cleanup_free_ char *copy = NULL;
        struct rest *rest = userdata;
        struct auth_claims claims;

        if (!begin(rq, rest, &claims))
                return;
        if (!list || !*list) {
                http_problem(rq, PARLEY_BAD_REQUEST, 0, "users must name 1 to %d users, separated by commas",
                             ROSTER_QUERY_MAX);
                return;
        }
        copy = strdup(list);
        q.user_ids = ids;
        q.n_user_ids = copy ? split(copy, ids, ROSTER_QUERY_MAX) : 0;
        if (copy)
                list_users(rq, rest, &claims, &q, "users");
        else
                http_problem(rq, PARLEY_UNAVAILABLE, RETRY_MS, "out of memory");
}

/* POST /api/presence/query, for longer lists than a target takes */
static void rest_query(struct http_request *rq, void *userdata)
{
        Parley__V1__PresenceQuery q = PARLEY__V1__PRESENCE_QUERY__INIT;
        Parley__V1__PresenceRequest *m;
        struct auth_claims claims;

        if (!begin(rq, userdata, &claims))
                return;
        m = (Parley__V1__PresenceRequest *)read_body(rq, &parley__v1__presence_request__descriptor, LIST_ELEMENTS);
        if (!m)
                return;
        q.user_ids = m->user_ids;
        q.n_user_ids = m->n_user_ids;
        if (q.n_user_ids)
                list_users(rq, userdata, &claims, &q, "userIds");
        else
                http_problem(rq, PARLEY_BAD_REQUEST, 0, "userIds must name 1 to %d users", ROSTER_QUERY_MAX);
        parley__v1__presence_request__free_unpacked(m, NULL);
}

/* --- presence of a channel --- */

static void answer_channel(struct http_request *rq, const struct auth_claims *claims, struct answer *a)
{
        Parley__V1__ChannelPresence m = PARLEY__V1__CHANNEL_PRESENCE__INIT;
        Parley__V1__UserPresence **users = calloc(a->message.n_users + 1, sizeof(*users));

        if (!users) {
                http_problem(rq, PARLEY_UNAVAILABLE, RETRY_MS, "out of memory");
                return;
        }
        m.channel_id = (char *)http_param(rq, "id");
        m.members = a->message.members;
        m.online = a->message.online;
        m.counted = a->message.counted;
        m.users = users;
        for (size_t i = 0; i < a->message.n_users; i++) {
                Parley__V1__UserPresence *u = as_seen_by(claims->user_id, a->users[i]);

                if (u->availability != PARLEY__V1__USER_PRESENCE__AVAILABILITY__offline)
                        users[m.n_users++] = u;
        }
        respond(rq, &m.base);
        free((void *)users);
}

/* GET /api/channels/{id}/presence */
static void rest_channel(struct http_request *rq, void *userdata)
{
        Parley__V1__PresenceQuery q = PARLEY__V1__PRESENCE_QUERY__INIT;
        struct auth_claims claims;

        if (!begin(rq, userdata, &claims))
                return;
        q.channel_id = (char *)http_param(rq, "id");
        run_query(rq, userdata, &claims, &q, answer_channel);
}

/* --- one's own status --- */

static void respond_own(struct http_request *rq, struct rest *rest, const char *user_id)
{
        struct record record;

        roster_to_record(rest->roster, user_id, &record);
        respond(rq, &record.status.base);
}

/* GET /api/presence/status */
static void rest_get_status(struct http_request *rq, void *userdata)
{
        struct auth_claims claims;

        if (begin(rq, userdata, &claims))
                respond_own(rq, userdata, claims.user_id);
}

/* A request that waits for JetStream */
struct setting {
        struct rest *rest;
        struct http_request *rq;
        char user_id[IDENT_MAX + 1];
};

static void on_set(int code, const char *why, uint32_t retry_ms, void *userdata)
{
        struct setting *s = userdata;

        if (code == PARLEY_OK)
                respond_own(s->rq, s->rest, s->user_id);
        else
                http_problem(s->rq, (enum parley_code)code, retry_ms, "%s", why);
        free(s);
}

/* PUT /api/presence/status */
static void rest_put_status(struct http_request *rq, void *userdata)
{
        struct rest *rest = userdata;
        struct auth_claims claims;
        ProtobufCMessage *m;
        struct setting *s;

        if (!begin(rq, rest, &claims))
                return;
        m = read_body(rq, &parley__v1__status__descriptor, STATUS_ELEMENTS);
        if (!m)
                return;
        s = calloc(1, sizeof(*s));
        if (s) {
                *s = (struct setting){.rest = rest, .rq = rq};
                memcpy(s->user_id, claims.user_id, strlen(claims.user_id) + 1);
                voice_set_status(rest->voice, claims.user_id, (const Parley__V1__Status *)m, on_set, s);
        } else {
                http_problem(rq, PARLEY_UNAVAILABLE, RETRY_MS, "out of memory");
        }
        protobuf_c_message_free_unpacked(m, NULL);
}

static const struct http_route routes[] = {
        {.method = "GET", .path = "/api/presence", .handler = rest_users, .max_body = 0},
        {.method = "POST", .path = "/api/presence/query", .handler = rest_query, .max_body = LIST_MAX},
        {.method = "GET", .path = "/api/presence/status", .handler = rest_get_status, .max_body = 0},
        {.method = "PUT", .path = "/api/presence/status", .handler = rest_put_status, .max_body = BODY_MAX},
        {.method = "GET", .path = "/api/channels/{id}/presence", .handler = rest_channel, .max_body = 0},
};
_Static_assert(ARRAY_SIZE(routes) == REST_ROUTES, "rest.h says how many there are");

void rest_routes(struct http_route ret_routes[REST_ROUTES])
{
        memcpy(ret_routes, routes, sizeof(routes));
}
