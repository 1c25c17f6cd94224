#include "fuzz_body.h"

#include "base/text.h"
#include "fuzz.h"

enum { JSON_MAX = 1 << 20 };

ProtobufCMessage *fuzz_body_read(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t n,
                                 size_t max_elements)
{
        const struct wire_limits limits = {.max_bytes = n, .max_elements = max_elements};
        struct buf json = BUF_INIT(JSON_MAX);
        struct wire_error error = {0};
        ProtobufCMessage *body = NULL;
        int r = wire_json_decode(type, (const char *)data, n, &limits, &body, &error);

        REQUIRE(r >= 0 && (r == 0) == (body != NULL));
        if (r) {
                REQUIRE(error.detail[0] && utf8_valid(error.detail, strlen(error.detail)));
                return NULL;
        }
        REQUIRE(wire_json_encode(body, &json) == 0);
        buf_done(&json);
        return body;
}
