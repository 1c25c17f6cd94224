#include "upload/store_s3_http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>
#include <uv.h>

#include "upload/upload_metrics.h"

struct s3_http {
        uv_loop_t *loop;
        CURLM *multi;
        uv_timer_t timer;
        struct s3_http_options options;
        unsigned n_running, n_waiting;
        struct s3_exchange *first, **last; /* waiting */
        void (*closed)(void *userdata);
        void *userdata;
};

/* One connection, while libcurl wants to know about it */
struct sock {
        uv_poll_t poll;
        struct s3_http *http;
        curl_socket_t fd;
};

static void pump(struct s3_http *h);

/* --- the end of an exchange --- */

static int error_of(CURLcode code)
{
        switch (code) {
        case CURLE_OK:
                return 0;
        case CURLE_OPERATION_TIMEDOUT:
                return -ETIMEDOUT;
        case CURLE_WRITE_ERROR:
                return -EMSGSIZE;
        case CURLE_COULDNT_CONNECT:
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_SSL_CONNECT_ERROR:
        case CURLE_PEER_FAILED_VERIFICATION:
                return -ECONNREFUSED;
        default:
                return -EIO;
        }
}

static void take_head(struct s3_exchange *x)
{
        struct curl_header *header;
        curl_off_t length = -1;
        long status = 0;

        (void)curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
        (void)curl_easy_getinfo(x->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
        x->status = (unsigned)status;
        x->length = length < 0 ? UINT64_MAX : (uint64_t)length;
        *x->sha256 = '\0';
        if (curl_easy_header(x->easy, "x-amz-checksum-sha256", 0, CURLH_HEADER, -1, &header) == CURLHE_OK &&
            strlen(header->value) < sizeof(x->sha256))
                memcpy(x->sha256, header->value, strlen(header->value) + 1);
}

static void count(const struct s3_http *h)
{
        metric_set(&metric_s3_running, h->n_running);
        metric_set(&metric_s3_waiting, h->n_waiting);
}

static void count_end(const struct s3_exchange *x, int error)
{
        unsigned outcome = error == 0 && x->status != 429 && x->status < 500 ? 0 : error == 0 ? 1 : 2;

        metric_add(&metric_s3[outcome], 1);
}

static void drop(struct s3_exchange *x)
{
        curl_easy_cleanup(x->easy);
        curl_slist_free_all(x->lines);
        x->easy = x->lines = NULL;
}

static void finish(struct s3_http *h, CURL *easy, CURLcode code)
{
        struct s3_exchange *x = NULL;
        int error;

        (void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&x);
        take_head(x);
        error = error_of(code);
        if (error == -EMSGSIZE && x->cut && x->answer.len == x->answer.max)
                error = 0; /* that was all we wanted */
        x->text = curl_easy_strerror(code);
        (void)curl_multi_remove_handle(h->multi, easy);
        drop(x);
        h->n_running--;
        count_end(x, error);
        x->done(x, error);
}

static void look_for_ends(struct s3_http *h)
{
        CURLMsg *msg;
        int left;

        while ((msg = curl_multi_info_read(h->multi, &left)))
                if (msg->msg == CURLMSG_DONE)
                        finish(h, msg->easy_handle, msg->data.result);
        pump(h);
}

/* --- libcurl on the loop --- */

static void on_timer(uv_timer_t *timer)
{
        struct s3_http *h = timer->data;
        int running;

        (void)curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        look_for_ends(h);
}

static int on_timeout_wanted(CURLM *multi, long ms, void *userdata)
{
        struct s3_http *h = userdata;

        (void)multi;
        if (ms < 0)
                (void)uv_timer_stop(&h->timer);
        else
                (void)uv_timer_start(&h->timer, on_timer, (uint64_t)ms, 0);
        return 0;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
        struct sock *s = poll->data;
        struct s3_http *h = s->http;
        int flags = status < 0 ? CURL_CSELECT_ERR : 0, running;

        if (events & UV_READABLE)
                flags |= CURL_CSELECT_IN;
        if (events & UV_WRITABLE)
                flags |= CURL_CSELECT_OUT;
        (void)curl_multi_socket_action(h->multi, s->fd, flags, &running);
        look_for_ends(h); /* s may be gone */
}

static void on_sock_closed(uv_handle_t *handle)
{
        free(handle->data);
}

static struct sock *sock_new(struct s3_http *h, curl_socket_t fd)
{
        struct sock *s = calloc(1, sizeof(*s));

        if (!s)
                return NULL;
        s->http = h;
        s->fd = fd;
        if (uv_poll_init_socket(h->loop, &s->poll, fd) < 0) {
                free(s);
                return NULL;
        }
        s->poll.data = s;
        (void)curl_multi_assign(h->multi, fd, s);
        return s;
}

static int on_socket_wanted(CURL *easy, curl_socket_t fd, int what, void *userdata, void *known)
{
        struct s3_http *h = userdata;
        struct sock *s = known;
        int events = 0;

        (void)easy;
        if (what == CURL_POLL_REMOVE) {
                if (s) {
                        (void)curl_multi_assign(h->multi, fd, NULL);
                        uv_close((uv_handle_t *)&s->poll, on_sock_closed);
                }
                return 0;
        }
        if (!s)
                s = sock_new(h, fd);
        if (!s)
                return -1;
        if (what & CURL_POLL_IN)
                events |= UV_READABLE;
        if (what & CURL_POLL_OUT)
                events |= UV_WRITABLE;
        return uv_poll_start(&s->poll, events, on_poll) < 0 ? -1 : 0;
}

/* --- one exchange --- */

static bool well(const struct s3_exchange *x)
{
        long status = 0;

        (void)curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
        return status / 100 == 2;
}

/* What it returns other than wanted ends the exchange. An answer that ends where there is no more room is whole: its connection stays. */
static size_t on_data(char *data, size_t size, size_t n, void *userdata)
{
        struct s3_exchange *x = userdata;
        size_t room = x->answer.max - x->answer.len, wanted = size * n;

        if (x->piece && well(x))
                return x->piece(x, data, wanted) == 0 ? wanted : 0;
        if (buf_append(&x->answer, data, wanted < room ? wanted : room) != 0)
                return 0;
        return wanted <= room ? wanted : 0;
}

static int add_line(struct s3_exchange *x, const char *line)
{
        struct curl_slist *all = curl_slist_append(x->lines, line);

        if (!all)
                return -ENOMEM;
        x->lines = all;
        return 0;
}

/* What is signed, and without what libcurl would add */
static int make_lines(struct s3_exchange *x)
{
        const char *end = (const char *)x->headers->data + x->headers->len;
        bool typed = false;
        int r = 0;

        for (const char *s = (const char *)x->headers->data; r == 0 && s < end; s += strlen(s) + 1) {
                typed = typed || strncmp(s, "content-type:", 13) == 0;
                r = add_line(x, s);
        }
        if (r == 0 && !typed)
                r = add_line(x, "content-type:");
        if (r == 0)
                r = add_line(x, "expect:");
        return r == 0 ? add_line(x, "accept:") : r;
}

static CURLcode set_request(const struct s3_exchange *x)
{
        CURLcode c = curl_easy_setopt(x->easy, CURLOPT_URL, x->url);
        bool head = strcmp(x->method, "HEAD") == 0;

        c = c ? c : curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, x->lines);
        if (head)
                return c ? c : curl_easy_setopt(x->easy, CURLOPT_NOBODY, 1L);
        c = c ? c : curl_easy_setopt(x->easy, CURLOPT_CUSTOMREQUEST, x->method);
        if (strcmp(x->method, "PUT") == 0 || strcmp(x->method, "POST") == 0) {
                c = c ? c : curl_easy_setopt(x->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)x->n_body);
                c = c ? c : curl_easy_setopt(x->easy, CURLOPT_POSTFIELDS, x->n_body ? x->body : "");
        }
        return c;
}

static CURLcode set_terms(struct s3_http *h, struct s3_exchange *x, long timeout_ms)
{
        bool tls = strncmp(x->url, "https:", 6) == 0;
        CURLcode c = curl_easy_setopt(x->easy, CURLOPT_PRIVATE, x);

        c = c ? c : curl_easy_setopt(x->easy, CURLOPT_PROTOCOLS_STR, tls ? "https" : "http");
        c = c ? c : curl_easy_setopt(x->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
        c = c ? c : curl_easy_setopt(x->easy, CURLOPT_PATH_AS_IS, 1L); /* as it was signed */
        c = c ? c : curl_easy_setopt(x->easy, CURLOPT_NOSIGNAL, 1L);
        c = c ? c
              : curl_easy_setopt(x->easy, CURLOPT_QUICK_EXIT,
                                 1L); /* or a timeout would wait for the thread that looks up a name */
        c = c ? c : curl_easy_setopt(x->easy, CURLOPT_TIMEOUT_MS, timeout_ms);
        c = c ? c : curl_easy_setopt(x->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)h->options.connect_timeout_ms);
        c = c ? c : curl_easy_setopt(x->easy, CURLOPT_USERAGENT, "parley");
        c = c ? c : curl_easy_setopt(x->easy, CURLOPT_WRITEFUNCTION, on_data);
        c = c ? c : curl_easy_setopt(x->easy, CURLOPT_WRITEDATA, x);
        if (*h->options.ca)
                c = c ? c : curl_easy_setopt(x->easy, CURLOPT_CAINFO, h->options.ca);
        return c;
}

/* 0, or how it failed at once */
static int begin(struct s3_http *h, struct s3_exchange *x)
{
        uint64_t now = uv_now(h->loop);
        CURLcode c;

        x->text = "no time is left";
        if (x->deadline_ms <= now)
                return -ETIMEDOUT;
        x->text = "out of memory";
        x->easy = curl_easy_init();
        if (!x->easy || make_lines(x) < 0)
                return -ENOMEM;
        c = set_request(x);
        c = c ? c : set_terms(h, x, (long)(x->deadline_ms - now));
        if (c != CURLE_OK || curl_multi_add_handle(h->multi, x->easy) != CURLM_OK) {
                x->text = curl_easy_strerror(c);
                return -EIO;
        }
        h->n_running++;
        return 0;
}

static void pump(struct s3_http *h)
{
        while (h->first && h->n_running < h->options.max_requests) {
                struct s3_exchange *x = h->first;
                int r;

                h->first = x->next;
                if (!h->first)
                        h->last = &h->first;
                h->n_waiting--;
                r = begin(h, x);
                if (r < 0) {
                        drop(x);
                        count_end(x, r);
                        x->done(x, r);
                }
        }
        count(h);
}

int s3_http_start(struct s3_http *h, struct s3_exchange *x)
{
        if (h->n_running >= h->options.max_requests && h->n_waiting >= h->options.max_waiting) {
                metric_add(&metric_s3_full, 1);
                return -EAGAIN;
        }
        x->http = h;
        x->next = NULL;
        x->status = 0;
        x->easy = x->lines = NULL;
        x->answer.len = 0;
        *h->last = x;
        h->last = &x->next;
        h->n_waiting++;
        count(h);
        /* From the timer, so that done is never called from here */
        if (h->n_running < h->options.max_requests)
                (void)uv_timer_start(&h->timer, on_timer, 0, 0);
        return 0;
}

/* --- from birth to death --- */

int s3_http_new(struct s3_http **ret_http, const struct s3_http_options *options)
{
        const curl_version_info_data *version = curl_version_info(CURLVERSION_NOW);
        struct s3_http *h;

        if (!(version->features & CURL_VERSION_ASYNCHDNS))
                return -ENOTSUP;
        if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
                return -ENOMEM;
        h = calloc(1, sizeof(*h));
        if (!h)
                return -ENOMEM;
        h->multi = curl_multi_init();
        if (!h->multi) {
                free(h);
                return -ENOMEM;
        }
        h->loop = options->loop;
        h->options = *options;
        h->last = &h->first;
        (void)uv_timer_init(h->loop, &h->timer);
        h->timer.data = h;
        (void)curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wanted);
        (void)curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
        (void)curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_timeout_wanted);
        (void)curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
        (void)curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)options->max_requests);
        *ret_http = h;
        return 0;
}

static void on_closed(uv_handle_t *handle)
{
        struct s3_http *h = handle->data;

        h->closed(h->userdata);
        free(h);
}

void s3_http_close(struct s3_http *h, void (*done)(void *userdata), void *userdata)
{
        h->closed = done;
        h->userdata = userdata;
        (void)curl_multi_cleanup(h->multi);
        uv_close((uv_handle_t *)&h->timer, on_closed);
}
