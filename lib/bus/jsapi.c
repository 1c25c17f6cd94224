#include "bus/jsapi.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "bus/codec.h"

DEFINE_FREEP(yyjson_doc, yyjson_doc_free)

static int result_set(struct jsapi_result *ret, int error, unsigned err_code, const char *text)
{
        ret->error = error;
        ret->err_code = err_code;
        snprintf(ret->text, sizeof(ret->text), "%s", text);
        return error;
}

static int bad_reply(struct jsapi_result *ret, const char *what)
{
        return result_set(ret, BUS_E_BAD_REPLY, 0, what);
}

/* 0 when it is absent, negative, or no number */
static uint64_t member_uint(yyjson_val *object, const char *name)
{
        yyjson_val *value = yyjson_obj_get(object, name);

        return yyjson_is_uint(value) ? yyjson_get_uint(value) : 0;
}

/* What the stores of nats-server say of a sequence that was removed, or was never there (server/store.go) */
static bool is_absent(const char *text)
{
        static const char *const texts[] = {"no message found", "stream store EOF", "deleted message"};

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                if (strcmp(text, texts[i]) == 0)
                        return true;
        return false;
}

/* The error object that every answer may have */
static int result_read(yyjson_val *root, struct jsapi_result *ret)
{
        yyjson_val *error = yyjson_obj_get(root, "error");

        if (!yyjson_is_obj(root))
                return bad_reply(ret, "the answer is not a JSON object");
        if (error == NULL)
                return result_set(ret, 0, 0, "");
        int64_t code = yyjson_get_sint(yyjson_obj_get(error, "code"));
        unsigned err_code = (unsigned)member_uint(error, "err_code");
        const char *text = yyjson_get_str(yyjson_obj_get(error, "description"));
        int mapped = BUS_E_REFUSED;
        if (err_code == JSAPI_ERR_WRONG_LAST_SEQUENCE)
                mapped = BUS_E_CONFLICT;
        else if (code == 404 || err_code == JSAPI_ERR_SEQUENCE_NOT_FOUND ||
                 (err_code == JSAPI_ERR_DELETE_FAILED && text != NULL && is_absent(text)))
                mapped = BUS_E_NOT_FOUND;
        return result_set(ret, mapped, err_code, text != NULL && *text != '\0' ? text : "refused without a reason");
}

int jsapi_parse_ack(const uint8_t *data, size_t n, struct bus_ack *ret, struct jsapi_result *ret_result)
{
        /* Tens of thousands of these a second: no allocation. An ack has about 40 bytes, one with an error 150. */
        char memory[8192];
        yyjson_alc allocator;

        yyjson_alc_pool_init(&allocator, memory, sizeof(memory));
        yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)data, n, 0, &allocator, NULL);
        if (doc == NULL)
                return bad_reply(ret_result, "the ack is not JSON, or too long");
        yyjson_val *root = yyjson_doc_get_root(doc);
        int r = result_read(root, ret_result);
        if (r != 0)
                return r;
        uint64_t seq = member_uint(root, "seq");
        bool duplicate = yyjson_get_bool(yyjson_obj_get(root, "duplicate"));
        if (seq == 0 &&
            duplicate) /* nats-server 2.10: its leader took the id in, and stores it in a moment, or never did */
                return result_set(ret_result, BUS_E_TIMEOUT, 0, "the server knows the id, and has not stored it");
        if (seq == 0)
                return bad_reply(ret_result, "the ack has no sequence");
        *ret = (struct bus_ack){.seq = seq, .duplicate = duplicate};
        return 0;
}

int jsapi_parse_done(const uint8_t *data, size_t n, struct jsapi_result *ret_result)
{
        _cleanup_(yyjson_doc_freep) yyjson_doc *doc = yyjson_read((const char *)data, n, 0);

        if (doc == NULL)
                return bad_reply(ret_result, "the answer is not JSON");
        return result_read(yyjson_doc_get_root(doc), ret_result);
}

int jsapi_parse_consumer(const uint8_t *data, size_t n, uint64_t *ret_pending, struct jsapi_result *ret_result)
{
        _cleanup_(yyjson_doc_freep) yyjson_doc *doc = yyjson_read((const char *)data, n, 0);

        if (doc == NULL)
                return bad_reply(ret_result, "the answer is not JSON");
        yyjson_val *root = yyjson_doc_get_root(doc);
        int r = result_read(root, ret_result);
        if (r != 0)
                return r;
        yyjson_val *pending = yyjson_obj_get(root, "num_pending");
        if (!yyjson_is_uint(pending))
                return bad_reply(ret_result, "the answer is not about a consumer");
        *ret_pending = yyjson_get_uint(pending);
        return 0;
}

int jsapi_parse_stream(const uint8_t *data, size_t n, struct bus_stream_info *ret, struct jsapi_result *ret_result)
{
        _cleanup_(yyjson_doc_freep) yyjson_doc *doc = yyjson_read((const char *)data, n, 0);
        uint64_t epoch = 0;

        if (doc == NULL)
                return bad_reply(ret_result, "the answer is not JSON");
        yyjson_val *root = yyjson_doc_get_root(doc);
        int r = result_read(root, ret_result);
        if (r != 0)
                return r;
        yyjson_val *state = yyjson_obj_get(root, "state");
        yyjson_val *config = yyjson_obj_get(root, "config");
        if (!yyjson_is_obj(state) || !yyjson_is_obj(config))
                return bad_reply(ret_result, "the answer has no state or no configuration");
        const char *text = yyjson_get_str(yyjson_obj_get(yyjson_obj_get(config, "metadata"), JSAPI_METADATA_EPOCH));
        if (text != NULL && text_parse_u64(text, 0, UINT64_MAX, &epoch) < 0)
                return bad_reply(ret_result, "the stream's epoch is not a number");
        *ret = (struct bus_stream_info){
                .first_seq = member_uint(state, "first_seq"),
                .last_seq = member_uint(state, "last_seq"),
                .messages = member_uint(state, "messages"),
                .bytes = member_uint(state, "bytes"),
                .max_bytes = member_uint(config, "max_bytes"), /* unlimited is -1 there, and 0 here */
                .epoch = epoch,
                .created = yyjson_get_bool(yyjson_obj_get(root, "did_create")),
        };
        return 0;
}

void jsapi_message_done(struct jsapi_message *m)
{
        free(m->memory);
        m->memory = NULL;
}

static void read_block(struct jsapi_message *m, const char *block, size_t n, char **cursor, size_t room)
{
        char operation[8];

        if (codec_raw_header(block, n, HEADER_MSG_ID, *cursor, room)) {
                m->msg_id = *cursor;
                room -= strlen(*cursor) + 1;
                *cursor += strlen(*cursor) + 1;
        }
        if (codec_raw_header(block, n, HEADER_TRACE_ID, *cursor, room)) {
                m->trace_id = *cursor;
                *cursor += strlen(*cursor) + 1;
        }
        if (codec_raw_header(block, n, HEADER_KV_OPERATION, operation, sizeof(operation)))
                m->deleted = strcmp(operation, KV_OPERATION_DELETE) == 0 || strcmp(operation, KV_OPERATION_PURGE) == 0;
}

static int message_read(yyjson_val *message, struct jsapi_message *ret, struct jsapi_result *ret_result)
{
        const char *subject = yyjson_get_str(yyjson_obj_get(message, "subject"));
        const char *data = yyjson_get_str(yyjson_obj_get(message, "data"));
        const char *hdrs = yyjson_get_str(yyjson_obj_get(message, "hdrs"));
        size_t n_data = data != NULL ? strlen(data) : 0, n_hdrs = hdrs != NULL ? strlen(hdrs) : 0;
        struct jsapi_message m = {0};

        m.seq = member_uint(message, "seq");
        m.time_ns = codec_time_ns(yyjson_get_str(yyjson_obj_get(message, "time")));
        if (subject == NULL || m.seq == 0)
                return bad_reply(ret_result, "the message has no subject or no sequence");
        /* the subject, the data, the header block, and copies out of the block */
        _cleanup_free_ char *memory = malloc(strlen(subject) + 1 + n_data + n_hdrs + n_hdrs + 2);
        if (memory == NULL)
                return -ENOMEM;
        char *cursor = memory;
        m.subject = memcpy(cursor, subject, strlen(subject) + 1);
        cursor += strlen(subject) + 1;
        int len = base64_decode(data != NULL ? data : "", n_data, (uint8_t *)cursor, n_data);
        if (len < 0)
                return bad_reply(ret_result, "the message's data are not base64");
        m.data = (uint8_t *)cursor;
        m.len = (size_t)len;
        cursor += len;
        len = base64_decode(hdrs != NULL ? hdrs : "", n_hdrs, (uint8_t *)cursor, n_hdrs);
        if (len < 0)
                return bad_reply(ret_result, "the message's headers are not base64");
        char *block = cursor;
        cursor += len;
        read_block(&m, block, (size_t)len, &cursor, n_hdrs + 2);
        m.memory = memory;
        memory = NULL;
        *ret = m;
        return 0;
}

int jsapi_parse_message(const uint8_t *data, size_t n, struct jsapi_message *ret, struct jsapi_result *ret_result)
{
        _cleanup_(yyjson_doc_freep) yyjson_doc *doc = yyjson_read((const char *)data, n, 0);

        if (doc == NULL)
                return bad_reply(ret_result, "the answer is not JSON");
        yyjson_val *root = yyjson_doc_get_root(doc);
        int r = result_read(root, ret_result);
        if (r != 0)
                return r;
        return message_read(yyjson_obj_get(root, "message"), ret, ret_result);
}
