#include "upload/upload_config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "auth/attachment.h"
#include "upload/plan.h"

#define CONFIG_STRUCT struct upload_config
#include "base/config_rows.h"

/* clang-format off */
const struct config_item upload_config_items[] = {
        BUS_CONFIG_ITEMS(struct upload_config, nats),
        STRING("PARLEY_LISTEN", listen, "127.0.0.1:8084", "Address and port for clients."),
        STRING("PARLEY_ADMIN_LISTEN", admin_listen, "127.0.0.1:9084",
               "Address and port for /healthz, /readyz and /metrics."),
        NUMBER("PARLEY_REST_MAX_CONNECTIONS", max_connections, "1000", 1, 100000, "connections",
               "Connections of clients; further ones wait in the listen queue."),
        LIMIT("PARLEY_REST_MAX_CONNECTIONS_PER_IP", max_connections_per_ip, "0", 0, 100000, "connections",
              "Connections of one TCP peer; behind an edge that is the edge."),
        STRING("PARLEY_CORS_ORIGIN", cors_origin, NULL,
               "Origins whose pages may use the REST interface, separated by commas, or *; unset: only the same origin."),
        STRING("PARLEY_TRUSTED_PROXIES", trusted_proxies, NULL,
               "Addresses and networks whose X-Forwarded-For counts; loopback always does."),
        AUTH_CONFIG_ITEMS(struct upload_config, auth),
        {.name = "PARLEY_UPLOAD_SECRET", .type = CONFIG_SECRET, .offset = offsetof(CONFIG_STRUCT, secret),
         .help = "Signs descriptors of files and the addresses of the local store; the same for upload, gateway and history, at least 32 bytes; must be set."},
        {.name = "PARLEY_RATE_LIMITS", .type = CONFIG_BOOL, .offset = offsetof(CONFIG_STRUCT, rate_limits), .def = "on",
         .help = "Off: no limits of rate at all."},
        LIMIT("PARLEY_UPLOAD_RATE", rest_rate, "20", 0, 1000000, "requests/s", "Requests of one user."),
        NUMBER("PARLEY_UPLOAD_BURST", rest_burst, "100", 1, 1000000, "requests", "Requests of one user at once."),
        LIMIT("PARLEY_UPLOAD_GUESS_RATE", guess_rate, "5", 0, 1000000, "requests/s",
              "Requests of one address with a token that is refused; ten times as many at once."),
        STRING("PARLEY_UPLOAD_DIR", dir, "upload", "Folder of the local store; made when it is missing. One service at a time."),
        STRING("PARLEY_UPLOAD_PUBLIC_URL", public_url, "",
               "What addresses of the local store begin with, without a slash at its end; empty: they are paths of the API's own origin."),
        NUMBER("PARLEY_UPLOAD_MAX_BYTES", max_file_bytes, "5368709120", 1, PLAN_SIZE_MAX, "bytes", "Size of one file."),
        STRING("PARLEY_UPLOAD_TYPES", types, "*",
               "Types that may be uploaded, separated by commas: *, image/*, application/pdf. Both what the sender says and what is found have to be among them."),
        {.name = "PARLEY_UPLOAD_REQUIRE_SCAN", .type = CONFIG_BOOL, .offset = offsetof(CONFIG_STRUCT, require_scan), .def = "off",
         .help = "On: nobody reads a new file before a scanner has released it. Files that are there already stay as they are."},
        LIMIT("PARLEY_UPLOAD_QUOTA_BYTES", quota_bytes, "10737418240", 1, UINT64_C(1) << 60, "bytes",
              "Files of one user together, begun uploads with them."),
        LIMIT("PARLEY_UPLOAD_QUOTA_FILES", quota_files, "10000", 1, 100000000, "files",
              "Files of one user, begun uploads with them."),
        NUMBER("PARLEY_UPLOAD_MAX_PENDING", max_pending, "100", 1, 1000, "uploads", "Uploads of one user that are begun."),
        NUMBER("PARLEY_UPLOAD_PENDING_TTL_S", pending_ttl_s, "86400", 10, 2592000, "s",
               "How long an upload may take from its begin to its completion; then it is removed."),
        NUMBER("PARLEY_UPLOAD_URL_TTL_S", url_ttl_s, "3600", 1, 604800, "s", "How long a signed address for a body is valid."),
        NUMBER("PARLEY_UPLOAD_DOWNLOAD_TTL_S", download_ttl_s, "60", 1, 60, "s",
               "How long a signed address for reading is valid: for so long a removed member may go on reading."),
        NUMBER("PARLEY_UPLOAD_DESCRIPTOR_TTL_S", descriptor_ttl_s, "86400", 1, 2592000, "s",
               "How long a descriptor of a file may be sent in a message."),
        NUMBER("PARLEY_UPLOAD_MAX_TRANSFERS", max_transfers, "64", 1, 4096, "bodies",
               "Bodies that the local store takes in at a time, each with 256 KiB of memory; further ones are answered 503."),
        NUMBER("PARLEY_UPLOAD_SWEEP_S", sweep_s, "60", 1, 86400, "s", "How often uploads that are over are looked for."),
        NUMBER("PARLEY_STREAM_REPLICAS", stream_replicas, "1", 1, 5, "servers", "Replicas of the buckets."),
        {.name = "PARLEY_PROVISION", .type = CONFIG_BOOL, .offset = offsetof(CONFIG_STRUCT, provision), .def = "on",
         .help = "Whether the service makes and changes its buckets itself. Off: parley-history --provision does."},
        NUMBER("PARLEY_DRAIN_MS", drain_ms, "5000", 0, 600000, "ms", "How long running requests may take when the service stops."),
        STRING("PARLEY_LOG_LEVEL", log_level, "info", "The lowest level that is logged: debug, info, warn or error."),
};
/* clang-format on */
const size_t n_upload_config_items = sizeof(upload_config_items) / sizeof(upload_config_items[0]);

static const char *wrong(const struct upload_config *c)
{
        if (!c->secret)
                return "PARLEY_UPLOAD_SECRET must be set";
        if (!plan_types_valid(c->types))
                return "PARLEY_UPLOAD_TYPES must be types as image/png, image/* or *, separated by commas";
        if (*c->public_url &&
            (strncmp(c->public_url, "http", 4) != 0 || c->public_url[strlen(c->public_url) - 1] == '/'))
                return "PARLEY_UPLOAD_PUBLIC_URL must be an http or https address without a slash at its end";
        return NULL;
}

int upload_config_check(const struct upload_config *config, char *ret_error, size_t n_error)
{
        const char *text = wrong(config);

        if (!text)
                return attachment_secret_check(config->secret, ret_error, n_error);
        (void)snprintf(ret_error, n_error, "%s", text);
        return -EINVAL;
}

struct quota_limits upload_config_quota(const struct upload_config *config)
{
        return (struct quota_limits){
                .max_bytes = config->quota_bytes, .max_files = config->quota_files, .max_pending = config->max_pending};
}
