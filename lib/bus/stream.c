/* Streams: JetStream's API by plain requests. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "bus/bus_impl.h"
#include "bus/codec.h"
#include "bus/jsapi.h"

static const char *result_text(int error, const struct jsapi_result *result)
{
        return error != 0 && result->text[0] != '\0' ? result->text : bus_error_text(error);
}

/* $JS.API.<call>.<stream>, with a body that may be NULL */
static int api(struct bus *bus, const char *call, const char *stream, const char *body, pending_func func,
               struct pending **ret)
{
        char subject[160];
        struct request r = {
                .subject = subject, .data = body != NULL ? body : "", .len = body != NULL ? strlen(body) : 0};

        if (!codec_name_valid(stream))
                return -EINVAL;
        snprintf(subject, sizeof(subject), "$JS.API.%s.%s", call, stream);
        return request_send(bus, &r, func, ret);
}

/* --- info and ensure --- */

/* What an answer that describes a stream says: 0, BUS_E_*, negative errno. `error` is that of its request. */
static int read_info(int error, const struct bus_msg *msg, const struct conn_extra *extra,
                     struct bus_stream_info *ret_info, struct jsapi_result *ret_result)
{
        if (error == 0)
                error = request_status(msg, extra);
        if (error == 0)
                error = jsapi_parse_stream(msg->data, msg->len, ret_info, ret_result);
        return error;
}

static void on_info(struct pending *p, int error, const struct bus_msg *msg, const struct conn_extra *extra)
{
        struct jsapi_result result = {0};
        struct bus_stream_info info;

        error = read_info(error, msg, extra, &info, &result);
        p->handler.stream(error, error == 0 ? &info : NULL, result_text(error, &result), p->userdata);
}

int bus_stream_info(struct bus *bus, const char *stream, bus_stream_handler handler, void *userdata)
{
        struct pending *p;

        int e = api(bus, "STREAM.INFO", stream, NULL, on_info, &p);
        if (e != 0)
                return e;
        p->handler.stream = handler;
        p->userdata = userdata;
        return 0;
}

/* INFO; then CREATE when it is not there, or UPDATE when it differs. Somebody else may create it between: then INFO once more.
 *
 * One with a first_seq takes more. nats-server (2.10.27) begins its file with a mark of the sequence before it, and when it was killed it reads
 * that mark as: nothing was ever here. All that was acknowledged is gone. A purge of what is below writes the beginning anew, and well, if it
 * moves it: so the stream begins one sequence sooner, with a subject that nobody sends to, is purged, and only then gets its own. Whoever finds
 * it half made does the same; where somebody else was faster that purge removes nothing. */
struct ensure {
        struct bus *bus;
        struct bus_stream_config config; /* strings are copies */
        char *strings[4];
        bool raced, made, purged;
        bus_stream_handler handler;
        void *userdata;
};

static void ensure_free(struct ensure *e)
{
        for (size_t i = 0; i < ARRAY_SIZE(e->strings); i++)
                free(e->strings[i]);
        free(e);
}

static void ensure_end(struct ensure *e, int error, const struct bus_stream_info *info, const char *text)
{
        struct bus_stream_info made;

        if (info != NULL && e->made) {
                made = *info;
                made.created = true;
                info = &made;
        }
        e->handler(error, info, text, e->userdata);
        ensure_free(e);
}

static void on_ensure_info(struct pending *p, int error, const struct bus_msg *msg, const struct conn_extra *extra);
static void on_ensure_created(struct pending *p, int error, const struct bus_msg *msg, const struct conn_extra *extra);
static void on_ensure_updated(struct pending *p, int error, const struct bus_msg *msg, const struct conn_extra *extra);
static void on_ensure_purged(struct pending *p, int error, const struct bus_msg *msg, const struct conn_extra *extra);

static void ensure_step(struct ensure *e, const char *call, const char *body, pending_func func)
{
        struct pending *p;
        int error = api(e->bus, call, e->config.name, body, func, &p);

        if (error != 0)
                ensure_end(e, error, NULL, bus_error_text(error));
        else
                p->context = e;
}

static void ensure_create(struct ensure *e)
{
        struct bus_stream_config config = e->config;
        char making[160];

        if (config.first_seq > 1) {
                (void)snprintf(making, sizeof(making), JSAPI_MAKING "%s", config.name);
                config.first_seq--;
                config.subject = making;
                config.republish_from = config.republish_to = NULL;
        }
        _cleanup_free_ char *body = jsapi_stream_create(&config);

        if (body == NULL)
                ensure_end(e, -ENOMEM, NULL, bus_error_text(-ENOMEM));
        else
                ensure_step(e, "STREAM.CREATE", body, on_ensure_created);
}

static void ensure_purge(struct ensure *e, uint64_t below_seq)
{
        char body[64];

        (void)snprintf(body, sizeof(body), "{\"seq\":%" PRIu64 "}", below_seq);
        ensure_step(e, "STREAM.PURGE", body, on_ensure_purged);
}

static void ensure_update(struct ensure *e, const struct bus_msg *msg, const struct bus_stream_info *info)
{
        _cleanup_free_ char *body = NULL;
        int error = jsapi_stream_update(msg->data, msg->len, &e->config, &body);

        if (error != 0)
                ensure_end(e, error, NULL, bus_error_text(error));
        else if (body == NULL)
                ensure_end(e, 0, info, bus_error_text(0));
        else
                ensure_step(e, "STREAM.UPDATE", body, on_ensure_updated);
}

static void on_ensure_info(struct pending *p, int error, const struct bus_msg *msg, const struct conn_extra *extra)
{
        struct ensure *e = p->context;
        struct jsapi_result result = {0};
        struct bus_stream_info info;

        error = read_info(error, msg, extra, &info, &result);
        uint64_t making = error == 0 && !e->purged ? jsapi_stream_making(msg->data, msg->len) : 0;
        if (making > 0)
                ensure_purge(e, making + 1);
        else if (error == 0)
                ensure_update(e, msg, &info);
        else if (error == BUS_E_NOT_FOUND && !e->raced)
                ensure_create(e);
        else
                ensure_end(e, error, NULL, result_text(error, &result));
}

static void on_ensure_created(struct pending *p, int error, const struct bus_msg *msg, const struct conn_extra *extra)
{
        struct ensure *e = p->context;
        struct jsapi_result result = {0};
        struct bus_stream_info info;

        error = read_info(error, msg, extra, &info, &result);
        if (error == BUS_E_REFUSED && result.err_code == JSAPI_ERR_STREAM_EXISTS) {
                e->raced = true;
                ensure_step(e, "STREAM.INFO", NULL, on_ensure_info);
        } else if (error == 0 && e->config.first_seq > 1) {
                e->made = true;
                ensure_purge(e, e->config.first_seq);
        } else {
                ensure_end(e, error, error == 0 ? &info : NULL, result_text(error, &result));
        }
}

static void on_ensure_purged(struct pending *p, int error, const struct bus_msg *msg, const struct conn_extra *extra)
{
        struct ensure *e = p->context;
        struct jsapi_result result = {0};

        if (error == 0)
                error = request_status(msg, extra);
        if (error == 0)
                error = jsapi_parse_done(msg->data, msg->len, &result);
        e->raced = e->purged = true;
        if (error != 0)
                ensure_end(e, error, NULL, result_text(error, &result));
        else
                ensure_step(e, "STREAM.INFO", NULL, on_ensure_info);
}

static void on_ensure_updated(struct pending *p, int error, const struct bus_msg *msg, const struct conn_extra *extra)
{
        struct ensure *e = p->context;
        struct jsapi_result result = {0};
        struct bus_stream_info info;

        error = read_info(error, msg, extra, &info, &result);
        ensure_end(e, error, error == 0 ? &info : NULL, result_text(error, &result));
}

static int ensure_copy(struct ensure *e)
{
        const char **strings[] = {&e->config.name, &e->config.subject, &e->config.republish_from,
                                  &e->config.republish_to};

        for (size_t i = 0; i < ARRAY_SIZE(strings); i++) {
                if (*strings[i] == NULL)
                        continue;
                e->strings[i] = strdup(*strings[i]);
                if (e->strings[i] == NULL)
                        return -ENOMEM;
                *strings[i] = e->strings[i];
        }
        return 0;
}

#define SUBJECTS_MAX 16

static bool subjects_valid(const char *list)
{
        char subject[256];
        unsigned n = 0;
        int r;

        while ((r = codec_next_subject(&list, subject)) > 0)
                n++;
        return r == 0 && n > 0 && n <= SUBJECTS_MAX;
}

int bus_stream_ensure(struct bus *bus, const struct bus_stream_config *config, bus_stream_handler handler,
                      void *userdata)
{
        struct pending *p;

        if (!subjects_valid(config->subject) || (config->republish_from == NULL) != (config->republish_to == NULL))
                return -EINVAL;
        struct ensure *e = calloc(1, sizeof(*e));
        if (e == NULL)
                return -ENOMEM;
        *e = (struct ensure){.bus = bus, .config = *config, .handler = handler, .userdata = userdata};
        int r = ensure_copy(e);
        if (r == 0)
                r = api(bus, "STREAM.INFO", config->name, NULL, on_ensure_info, &p);
        if (r != 0) {
                ensure_free(e);
                return r;
        }
        p->context = e;
        return 0;
}

/* --- removing --- */

static void on_done(struct pending *p, int error, const struct bus_msg *msg, const struct conn_extra *extra)
{
        struct jsapi_result result = {0};

        if (error == 0)
                error = request_status(msg, extra);
        if (error == 0)
                error = jsapi_parse_done(msg->data, msg->len, &result);
        p->handler.done(error, result_text(error, &result), p->userdata);
}

static int api_done(struct bus *bus, const char *call, const char *stream, const char *body, bus_done_handler handler,
                    void *userdata)
{
        struct pending *p;

        int e = api(bus, call, stream, body, on_done, &p);
        if (e != 0)
                return e;
        p->handler.done = handler;
        p->userdata = userdata;
        return 0;
}

int bus_stream_trim(struct bus *bus, const char *stream, uint64_t below_seq, bus_done_handler handler, void *userdata)
{
        char body[64];

        /* nats-server reads "seq": 0 or 1 as: everything. There is nothing below 1; the stream has to be there all the same. */
        if (below_seq <= 1)
                return api_done(bus, "STREAM.INFO", stream, NULL, handler, userdata);
        snprintf(body, sizeof(body), "{\"seq\":%" PRIu64 "}", below_seq);
        return api_done(bus, "STREAM.PURGE", stream, body, handler, userdata);
}

int stream_purge_subject(struct bus *bus, const char *stream, const char *subject, uint64_t below_seq,
                         bus_done_handler handler, void *userdata)
{
        char body[400];

        snprintf(body, sizeof(body), "{\"filter\":\"%s\",\"seq\":%" PRIu64 "}", subject, below_seq);
        return api_done(bus, "STREAM.PURGE", stream, body, handler, userdata);
}

int bus_stream_delete(struct bus *bus, const char *stream, uint64_t seq, bool secure, bus_done_handler handler,
                      void *userdata)
{
        char body[64];

        snprintf(body, sizeof(body), "{\"seq\":%" PRIu64 ",\"no_erase\":%s}", seq, secure ? "false" : "true");
        return api_done(bus, "STREAM.MSG.DELETE", stream, body, handler, userdata);
}
