/* docs/protocol.md against the code: every frame, field, value of an enum, error code and close code stands there, and every example is
 * a frame that this build reads and, where the server sends it, writes exactly so. */
#include <yyjson.h>

#include "base/close_codes.h"
#include "base/codes.h"
#include "base/gap_reasons.h"
#include "parley/v1/client.pb-c.h"
#include "unit.h"
#include "wire/plan.h"
#include "wire/wire.h"

static char *page;

static int load_page(void **state)
{
        FILE *f = fopen(PARLEY_SOURCE_DIR "/docs/protocol.md", "r");
        size_t n;

        (void)state;
        if (!f)
                return -1;
        page = calloc(1, 1 << 20);
        n = page ? fread(page, 1, (1 << 20) - 1, f) : 0;
        fclose(f);
        return n > 0 && n < (1 << 20) - 1 ? 0 : -1;
}

static int free_page(void **state)
{
        (void)state;
        free(page);
        return 0;
}

/* The part of the page under a heading of the third level, the first one behind `from`, cut out; NULL when there is none */
static char *section_in(const char *from, const char *heading)
{
        char line[100];
        const char *begin, *end;

        snprintf(line, sizeof(line), "\n### %s\n", heading);
        begin = from ? strstr(from, line) : NULL;
        if (!begin)
                return NULL;
        begin += strlen(line);
        end = strstr(begin, "\n##");
        return strndup(begin, end ? (size_t)(end - begin) : strlen(begin));
}

static char *section(const char *heading)
{
        return section_in(page, heading);
}

static bool mentions(const char *text, const char *name, size_t n)
{
        char quoted[100];

        snprintf(quoted, sizeof(quoted), "`%.*s`", (int)n, name);
        return strstr(text, quoted);
}

static void check_enum(const ProtobufCEnumDescriptor *type, const char *text, const char *where)
{
        for (unsigned i = 0; i < type->n_values; i++)
                if (!mentions(text, type->values[i].name, strlen(type->values[i].name)) &&
                    !mentions(page, type->values[i].name, strlen(type->values[i].name)))
                        fail_msg("%s: the value `%s` of %s is not explained", where, type->values[i].name,
                                 type->short_name);
}

/* Checks a message's section and those of the messages in it. heading: NULL for an object, which is headed by its name.
 * from: where its kind of sections begins, for a frame of each direction may have one name. */
static void check_message(const ProtobufCMessageDescriptor *type, const char *from, const char *heading)
{
        char *text = section_in(from, heading ? heading : type->short_name);
        struct wire_plan *plan;

        if (!text) {
                fail_msg("docs/protocol.md has no section \"### %s\"", heading ? heading : type->short_name);
                return;
        }
        assert_int_equal(wire_plan_get(type, &plan), 0);
        for (unsigned i = 0; i < type->n_fields; i++) {
                const struct wire_field *field = &plan->fields[i];

                if (!mentions(text, field->name, field->name_len))
                        fail_msg("docs/protocol.md, ### %s: no `%.*s`", heading ? heading : type->short_name,
                                 (int)field->name_len, field->name);
                if (field->d->type == PROTOBUF_C_TYPE_ENUM)
                        check_enum(field->d->descriptor, text, type->short_name);
                if (field->d->type == PROTOBUF_C_TYPE_MESSAGE &&
                    field->d->descriptor != &google__protobuf__timestamp__descriptor)
                        check_message(field->d->descriptor, page, NULL);
        }
        free(text);
}

static void check_frames(const ProtobufCMessageDescriptor *type, const char *part)
{
        struct wire_plan *plan;
        char heading[100];

        assert_int_equal(wire_plan_get(type, &plan), 0);
        for (unsigned i = 0; i < type->n_fields; i++) {
                const struct wire_field *field = &plan->fields[i];

                if (!field->oneof)
                        continue;
                snprintf(heading, sizeof(heading), "`%.*s`", (int)field->name_len, field->name);
                check_message(field->d->descriptor, strstr(page, part), heading);
        }
}

static void test_fields(void **state)
{
        (void)state;
        check_frames(&parley__v1__client_frame__descriptor, "\n## Client frames\n");
        check_frames(&parley__v1__server_frame__descriptor, "\n## Server frames\n");
        assert_true(mentions(page, "ref", 3) && mentions(page, "type", 4));
}

/* Lines of tables: "| `code` | http |" and "| 4000 |" */
static void test_codes(void **state)
{
        char row[100];

        (void)state;
        for (unsigned i = PARLEY_OK + 1; i < _PARLEY_CODE_N; i++) {
                enum parley_code code = (enum parley_code)i;

                snprintf(row, sizeof(row), "\n| `%s` | %u | ", parley_code_text(code), parley_code_http(code));
                if (!strstr(page, row))
                        fail_msg("docs/protocol.md has no row%s", row);
        }
        static const unsigned closes[] = {
#define X(name, value, text) value,
                PARLEY_CLOSE_MAP(X)
#undef X
        };
        for (size_t i = 0; i < sizeof(closes) / sizeof(closes[0]); i++) {
                const char *text = parley_close_text((enum parley_close)closes[i]);

                snprintf(row, sizeof(row), "\n| %u | ", closes[i]);
                if (!strstr(page, row))
                        fail_msg("docs/protocol.md has no row%s", row);
                assert_in_range(strlen(text), 1, 123);
        }
        assert_string_equal(parley_close_text((enum parley_close)4999), "");
}

static void test_gap_reasons(void **state)
{
        static const enum parley_gap reasons[] = {
#define X(name, text) PARLEY_GAP_##name,
                PARLEY_GAP_MAP(X)
#undef X
        };
        char *text = section("`gap`");

        (void)state;
        assert_non_null(text);
        for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
                const char *reason = parley_gap_text(reasons[i]);

                if (!mentions(text, reason, strlen(reason)))
                        fail_msg("docs/protocol.md, ### `gap`: no reason `%s`", reason);
        }
        free(text);
}

/* Frames of both directions that had an example, by index of the field */
static bool seen[2][64];

static const ProtobufCMessageDescriptor *const directions[2] = {&parley__v1__client_frame__descriptor,
                                                                &parley__v1__server_frame__descriptor};

/* server_first: which direction is meant where both have a frame of that name */
static void check_example(const char *json, size_t n, bool server_first)
{
        for (unsigned i = 0; i < 2; i++) {
                unsigned d = i ^ server_first;
                ProtobufCMessage *frame = NULL;
                struct wire_error error;
                struct wire_plan *plan;
                int e = wire_frame_json_decode(directions[d], json, n, NULL, &frame, &error);

                if (e == WIRE_E_TYPE)
                        continue;
                if (e != 0)
                        fail_msg("docs/protocol.md: %s\n%.*s", error.detail, (int)n, json);
                assert_int_equal(wire_plan_get(directions[d], &plan), 0);
                for (unsigned k = 0; k < plan->type->n_fields; k++)
                        if (plan->fields[k].oneof &&
                            *(uint32_t *)((char *)frame + plan->fields[k].d->quantifier_offset) ==
                                    plan->fields[k].d->id)
                                seen[d][k] = true;
                if (d == 1) {
                        struct buf out = BUF_INIT(1 << 20);
                        assert_int_equal(wire_frame_json_encode(frame, &out), 0);
                        if (out.len != n || memcmp(out.data, json, n) != 0)
                                fail_msg("docs/protocol.md has\n%.*s\nbut the gateway writes\n%.*s", (int)n, json,
                                         (int)out.len, out.data);
                        buf_done(&out);
                }
                protobuf_c_message_free_unpacked(frame, NULL);
                return;
        }
        fail_msg("docs/protocol.md: no such frame: %.*s", (int)n, json);
}

/* All frames of one block of code, whatever their white space */
static void check_block(const char *block, size_t n, bool server_first)
{
        while (n > 0) {
                yyjson_doc *doc = yyjson_read(block, n, YYJSON_READ_STOP_WHEN_DONE);
                size_t used, len;
                char *json;

                if (!doc) {
                        fail_msg("docs/protocol.md: not JSON: %.*s", (int)n, block);
                        return;
                }
                used = yyjson_doc_get_read_size(doc);
                json = yyjson_write(doc, YYJSON_WRITE_NOFLAG, &len);
                assert_non_null(json);
                check_example(json, len, server_first);
                free(json);
                yyjson_doc_free(doc);
                block += used;
                n -= used;
                while (n > 0 && (*block == '\n' || *block == ' ')) {
                        block++;
                        n--;
                }
        }
}

static void test_examples(void **state)
{
        static const char fence[] = "\n```json\n";
        const char *at = page, *end, *server = strstr(page, "\n## Server frames\n");

        (void)state;
        assert_non_null(server);
        while ((at = strstr(at, fence))) {
                at += strlen(fence);
                end = strstr(at, "\n```\n");
                assert_non_null(end);
                check_block(at, (size_t)(end - at), at > server);
                at = end;
        }
        for (unsigned d = 0; d < 2; d++)
                for (unsigned i = 0; i < directions[d]->n_fields; i++)
                        if (directions[d]->fields[i].flags & PROTOBUF_C_FIELD_FLAG_ONEOF && !seen[d][i])
                                fail_msg("docs/protocol.md has no example of %s", directions[d]->fields[i].name);
}

/* The body's fields stand beside `type` and `ref`: a field of that name would be hidden */
static void test_no_hidden_fields(void **state)
{
        (void)state;
        for (unsigned d = 0; d < 2; d++)
                for (unsigned i = 0; i < directions[d]->n_fields; i++) {
                        const ProtobufCFieldDescriptor *field = &directions[d]->fields[i];

                        if (!(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
                                continue;
                        assert_int_equal(field->type, PROTOBUF_C_TYPE_MESSAGE);
                        assert_null(protobuf_c_message_descriptor_get_field_by_name(field->descriptor, "type"));
                        assert_null(protobuf_c_message_descriptor_get_field_by_name(field->descriptor, "ref"));
                }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_fields),           cmocka_unit_test(test_codes),
                cmocka_unit_test(test_gap_reasons),      cmocka_unit_test(test_examples),
                cmocka_unit_test(test_no_hidden_fields),
        };
        return cmocka_run_group_tests_name("wire/protocol.md", tests, load_page, free_page);
}
