#include "auth/jwks.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>
#include <uv.h>

#include "auth/auth.h"
#include "base/buf.h"
#include "base/cleanup.h"

#define PACE_MS 10000 /* between two tries, at least */
#define TIMEOUT_MS 5000L

struct jwks {
        uv_loop_t *loop;
        struct auth *auth;
        char *url;
        const char *scheme;
        uint64_t interval_ms;
        uint64_t pace_ms;
        void (*on_result)(int error, const char *text, void *userdata);
        void *userdata;

        uv_timer_t timer;
        uint64_t began_ms; /* the last try */
        bool running;
        bool timer_closed;
        atomic_bool closing; /* read by the worker */

        /* the worker's while it runs */
        uv_work_t work;
        struct buf body;
        int result;
        char text[160];
};

static void jwks_free(struct jwks *j)
{
        if (!j)
                return;
        buf_done(&j->body);
        free(j->url);
        free(j);
}
DEFINE_FREEP(struct jwks, jwks_free)

/* --- in the worker --- */

static size_t on_data(char *data, size_t size, size_t n, void *userdata)
{
        struct jwks *j = userdata;

        return buf_append(&j->body, data, size * n) == 0 ? n : 0; /* 0 ends the transfer */
}

static int on_progress(void *userdata, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal, curl_off_t ulnow)
{
        struct jwks *j = userdata;

        (void)dltotal;
        (void)dlnow;
        (void)ultotal;
        (void)ulnow;
        return atomic_load(&j->closing);
}

static CURLcode configure(struct jwks *j, CURL *curl)
{
        CURLcode c = curl_easy_setopt(curl, CURLOPT_URL, j->url);

        c = c ? c : curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, j->scheme);
        c = c ? c : curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
        c = c ? c : curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
        c = c ? c : curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
        c = c ? c : curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
        c = c ? c : curl_easy_setopt(curl, CURLOPT_MAXFILESIZE, (long)AUTH_JWKS_MAX);
        c = c ? c : curl_easy_setopt(curl, CURLOPT_USERAGENT, "parley");
        c = c ? c : curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
        c = c ? c : curl_easy_setopt(curl, CURLOPT_WRITEDATA, j);
        c = c ? c : curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
        c = c ? c : curl_easy_setopt(curl, CURLOPT_XFERINFODATA, j);
        return c ? c : curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
}

static void describe(struct jwks *j, CURL *curl, CURLcode c)
{
        long status = 0;

        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        if (c == CURLE_OK && (status == 0 || status == 200)) {
                j->result = 0;
                return;
        }
        j->result = -EIO;
        if (c == CURLE_FILESIZE_EXCEEDED || c == CURLE_WRITE_ERROR)
                snprintf(j->text, sizeof(j->text), "the key set is too large");
        else if (c == CURLE_OK || c == CURLE_HTTP_RETURNED_ERROR)
                snprintf(j->text, sizeof(j->text), "the key set's server answered %ld", status);
        else
                snprintf(j->text, sizeof(j->text), "%s", curl_easy_strerror(c));
}

static void fetch(uv_work_t *work)
{
        struct jwks *j = work->data;
        CURL *curl = curl_easy_init();
        CURLcode c;

        if (!curl) {
                j->result = -ENOMEM;
                snprintf(j->text, sizeof(j->text), "out of memory");
                return;
        }
        c = configure(j, curl);
        c = c ? c : curl_easy_perform(curl);
        describe(j, curl, c);
        curl_easy_cleanup(curl);
}

/* --- on the loop --- */

static void on_timer(uv_timer_t *timer);

static void maybe_free(struct jwks *j)
{
        if (j->timer_closed && !j->running)
                jwks_free(j);
}

/* When the next try is due: 0 with no interval and nothing wrong */
static void schedule(struct jwks *j)
{
        uint64_t wait = j->result == 0 ? j->interval_ms : j->pace_ms;

        if (wait > 0)
                uv_timer_start(&j->timer, on_timer, wait < j->pace_ms ? j->pace_ms : wait, 0);
}

static void on_fetched(uv_work_t *work, int status)
{
        struct jwks *j = work->data;

        j->running = false;
        if (atomic_load(&j->closing)) {
                maybe_free(j);
                return;
        }
        if (status < 0) {
                j->result = status;
                snprintf(j->text, sizeof(j->text), "%s", uv_strerror(status));
        } else if (j->result == 0) {
                snprintf(j->text, sizeof(j->text), "the key set is there");
                j->result = auth_set_jwks(j->auth, j->body.data ? (const char *)j->body.data : "", j->body.len, j->text,
                                          sizeof(j->text));
                if (j->result == -ENOMEM)
                        snprintf(j->text, sizeof(j->text), "out of memory");
        }
        buf_reset(&j->body, 0);
        schedule(j);
        if (j->on_result)
                j->on_result(j->result, j->text, j->userdata); /* may close it */
}

static void start(struct jwks *j)
{
        int r;

        j->began_ms = uv_now(j->loop);
        j->running = true;
        r = uv_queue_work(j->loop, &j->work, fetch, on_fetched);
        if (r < 0)
                j->running = false; /* only a wrong argument can do that */
}

static void on_timer(uv_timer_t *timer)
{
        struct jwks *j = timer->data;

        if (!j->running)
                start(j);
}

static const char *scheme_of(const char *url)
{
        static const char *const schemes[] = {"https", "http", "file"};

        for (unsigned i = 0; i < ARRAY_SIZE(schemes); i++) {
                size_t n = strlen(schemes[i]);

                if (strncasecmp(url, schemes[i], n) == 0 && strncmp(url + n, "://", 3) == 0)
                        return schemes[i];
        }
        return NULL;
}

int jwks_new(struct jwks **ret_jwks, uv_loop_t *loop, struct auth *auth, const char *url, uint32_t interval_s,
             void (*on_result)(int error, const char *text, void *userdata), void *userdata)
{
        _cleanup_(jwks_freep) struct jwks *j = NULL;
        const char *scheme = scheme_of(url);

        if (!scheme)
                return -EINVAL;
        if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
                return -ENOMEM;
        j = calloc(1, sizeof(*j));
        if (!j)
                return -ENOMEM;
        j->url = strdup(url);
        if (!j->url)
                return -ENOMEM;
        j->loop = loop;
        j->auth = auth;
        j->scheme = scheme;
        j->interval_ms = (uint64_t)interval_s * 1000;
        j->pace_ms = PACE_MS;
        j->on_result = on_result;
        j->userdata = userdata;
        j->work.data = j;
        buf_init(&j->body, AUTH_JWKS_MAX);
        uv_timer_init(loop, &j->timer);
        j->timer.data = j;
        auth_expect_jwks(auth);
        start(j);
        *ret_jwks = j;
        j = NULL;
        return 0;
}

void jwks_refresh(struct jwks *j)
{
        uint64_t since = uv_now(j->loop) - j->began_ms;

        if (j->running || atomic_load(&j->closing))
                return;
        if (since >= j->pace_ms)
                start(j);
        else if (!uv_is_active((uv_handle_t *)&j->timer) || uv_timer_get_due_in(&j->timer) > j->pace_ms - since)
                uv_timer_start(&j->timer, on_timer, j->pace_ms - since, 0);
}

void jwks_set_pace(struct jwks *j, uint32_t ms)
{
        j->pace_ms = ms;
}

static void on_timer_closed(uv_handle_t *handle)
{
        struct jwks *j = handle->data;

        j->timer_closed = true;
        maybe_free(j);
}

void jwks_close(struct jwks *j)
{
        if (!j)
                return;
        atomic_store(&j->closing, true);
        if (j->running)
                (void)uv_cancel((uv_req_t *)&j->work); /* when it runs already, on_progress ends it */
        uv_close((uv_handle_t *)&j->timer, on_timer_closed);
}
