/* Requests that configure streams and consumers. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/cleanup.h"
#include "bus/codec.h"
#include "bus/jsapi.h"

#define NS_PER_MS UINT64_C(1000000)

DEFINE_FREEP(yyjson_doc, yyjson_doc_free)
DEFINE_FREEP(yyjson_mut_doc, yyjson_mut_doc_free)

/* yyjson's put replaces or adds; it fails without memory only */
static bool put(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, yyjson_mut_val *value)
{
        return yyjson_mut_obj_put(object, yyjson_mut_str(doc, key), value);
}

static yyjson_mut_val *number(yyjson_mut_doc *doc, uint64_t n)
{
        return yyjson_mut_uint(doc, n);
}

static yyjson_mut_val *limit(yyjson_mut_doc *doc, uint64_t n)
{
        return n > 0 ? yyjson_mut_uint(doc, n) : yyjson_mut_sint(doc, -1);
}

/* What may change of a stream that exists */
static bool put_changeable(yyjson_mut_doc *doc, yyjson_mut_val *o, const struct bus_stream_config *c)
{
        yyjson_mut_val *subjects = yyjson_mut_arr(doc);
        const char *list = c->subject;
        char subject[256];
        bool ok = put(doc, o, "subjects", subjects);

        while (ok && codec_next_subject(&list, subject) > 0)
                ok = yyjson_mut_arr_add_strcpy(doc, subjects, subject);
        ok = ok && put(doc, o, "max_bytes", limit(doc, c->max_bytes));
        ok = ok && put(doc, o, "max_msgs_per_subject", limit(doc, c->max_per_subject));
        ok = ok && put(doc, o, "max_age", number(doc, c->max_age_ms * NS_PER_MS));
        if (c->dedupe_window_ms > 0) /* else nats-server's default */
                ok = ok && put(doc, o, "duplicate_window", number(doc, c->dedupe_window_ms * NS_PER_MS));
        ok = ok && put(doc, o, "num_replicas", number(doc, c->replicas > 0 ? c->replicas : 1));
        ok = ok && put(doc, o, "discard", yyjson_mut_str(doc, c->discard_new || c->kv ? "new" : "old"));
        ok = ok && put(doc, o, "allow_direct", yyjson_mut_bool(doc, c->allow_direct));
        if (c->republish_from != NULL) {
                yyjson_mut_val *republish = yyjson_mut_obj(doc);

                ok = ok && yyjson_mut_obj_add_strcpy(doc, republish, "src", c->republish_from);
                ok = ok && yyjson_mut_obj_add_strcpy(doc, republish, "dest", c->republish_to);
                ok = ok && put(doc, o, "republish", republish);
        }
        return ok;
}

static bool put_fixed(yyjson_mut_doc *doc, yyjson_mut_val *o, const struct bus_stream_config *c)
{
        yyjson_mut_val *metadata = yyjson_mut_obj(doc);
        char epoch[24];

        snprintf(epoch, sizeof(epoch), "%" PRIu64, c->epoch);
        bool ok = yyjson_mut_obj_add_strcpy(doc, metadata, JSAPI_METADATA_EPOCH, epoch) &&
                  put(doc, o, "metadata", metadata);
        ok = ok && put(doc, o, "name", yyjson_mut_strcpy(doc, c->name));
        ok = ok && put(doc, o, "retention", yyjson_mut_str(doc, "limits"));
        ok = ok && put(doc, o, "storage", yyjson_mut_str(doc, "file"));
        ok = ok && put(doc, o, "max_consumers", limit(doc, 0));
        ok = ok && put(doc, o, "max_msgs", limit(doc, 0));
        ok = ok && put(doc, o, "max_msg_size", limit(doc, 0));
        if (c->first_seq > 1)
                ok = ok && put(doc, o, "first_seq", number(doc, c->first_seq));
        if (c->kv)
                ok = ok && put(doc, o, "allow_rollup_hdrs", yyjson_mut_bool(doc, true)) &&
                     put(doc, o, "deny_delete", yyjson_mut_bool(doc, true));
        return ok;
}

char *jsapi_stream_create(const struct bus_stream_config *config)
{
        _cleanup_(yyjson_mut_doc_freep) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *o = yyjson_mut_obj(doc);

        if (!put_fixed(doc, o, config) || !put_changeable(doc, o, config))
                return NULL;
        yyjson_mut_doc_set_root(doc, o);
        return yyjson_mut_write(doc, 0, NULL);
}

uint64_t jsapi_stream_making(const uint8_t *info, size_t n)
{
        _cleanup_(yyjson_doc_freep) yyjson_doc *answer = yyjson_read((const char *)info, n, 0);
        yyjson_val *config = yyjson_obj_get(yyjson_doc_get_root(answer), "config");
        const char *subject = yyjson_get_str(yyjson_arr_get_first(yyjson_obj_get(config, "subjects")));
        bool making = subject != NULL && strncmp(subject, JSAPI_MAKING, strlen(JSAPI_MAKING)) == 0;

        uint64_t first_seq = yyjson_get_uint(yyjson_obj_get(config, "first_seq")); /* left out where it is 1 */

        return !making ? 0 : first_seq > 0 ? first_seq : 1;
}

int jsapi_stream_update(const uint8_t *info, size_t n, const struct bus_stream_config *config, char **ret_body)
{
        _cleanup_(yyjson_doc_freep) yyjson_doc *answer = yyjson_read((const char *)info, n, 0);
        _cleanup_(yyjson_mut_doc_freep) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_val *there = yyjson_obj_get(yyjson_doc_get_root(answer), "config");

        if (!yyjson_is_obj(there))
                return BUS_E_BAD_REPLY;
        yyjson_mut_val *before = yyjson_val_mut_copy(doc, there), *o = yyjson_val_mut_copy(doc, there);
        if (before == NULL || o == NULL || !put_changeable(doc, o, config))
                return -ENOMEM;
        if (yyjson_mut_equals(before, o)) {
                *ret_body = NULL;
                return 0;
        }
        yyjson_mut_doc_set_root(doc, o);
        char *body = yyjson_mut_write(doc, 0, NULL);
        if (body == NULL)
                return -ENOMEM;
        *ret_body = body;
        return 0;
}

char *jsapi_consumer_create(const struct jsapi_consumer *c)
{
        _cleanup_(yyjson_mut_doc_freep) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc), *o = yyjson_mut_obj(doc);

        yyjson_mut_doc_set_root(doc, root);
        bool ok = yyjson_mut_obj_add_str(doc, root, "stream_name", c->stream) &&
                  yyjson_mut_obj_add_val(doc, root, "config", o);
        ok = ok && yyjson_mut_obj_add_str(doc, o, "name", c->name);
        ok = ok && yyjson_mut_obj_add_str(doc, o, "ack_policy", "none");
        ok = ok && yyjson_mut_obj_add_str(doc, o, "replay_policy", "instant");
        ok = ok && yyjson_mut_obj_add_uint(doc, o, "inactive_threshold", c->inactive_ms * NS_PER_MS);
        ok = ok && yyjson_mut_obj_add_uint(doc, o, "num_replicas", 1);
        ok = ok && yyjson_mut_obj_add_bool(doc, o, "mem_storage", true);
        if (c->last_per_subject) {
                ok = ok && yyjson_mut_obj_add_str(doc, o, "deliver_policy", "last_per_subject");
        } else {
                ok = ok && yyjson_mut_obj_add_str(doc, o, "deliver_policy", "by_start_sequence");
                ok = ok && yyjson_mut_obj_add_uint(doc, o, "opt_start_seq", c->start_seq > 0 ? c->start_seq : 1);
        }
        if (c->filter != NULL || c->last_per_subject)
                ok = ok && yyjson_mut_obj_add_str(doc, o, "filter_subject", c->filter != NULL ? c->filter : ">");
        return ok ? yyjson_mut_write(doc, 0, NULL) : NULL;
}
