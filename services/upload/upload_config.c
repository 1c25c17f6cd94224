#include "upload/upload_config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "auth/attachment.h"
#include "upload/plan.h"
#include "upload/s3_site.h"

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
        STRING("PARLEY_UPLOAD_STORE", store, "local",
               "Where bodies are kept: local, a folder of this machine, or s3, a bucket."),
        STRING("PARLEY_UPLOAD_DIR", dir, "upload", "Folder of the local store; made when it is missing. One service at a time."),
        STRING("PARLEY_UPLOAD_PUBLIC_URL", public_url, "",
               "What addresses of the local store begin with, without a slash at its end; empty: they are paths of the API's own origin."),
        STRING("PARLEY_S3_ENDPOINT", s3.endpoint, "",
               "Address of the S3 server as the service reaches it, as https://s3.eu-central-1.amazonaws.com; no bucket, no path."),
        STRING("PARLEY_S3_PUBLIC_ENDPOINT", s3.public_endpoint, "",
               "The same as clients reach it, for signed addresses; empty: PARLEY_S3_ENDPOINT."),
        STRING("PARLEY_S3_REGION", s3.region, "us-east-1", "Region of the bucket, which is part of every signature."),
        STRING("PARLEY_S3_BUCKET", s3.bucket, "", "Name of the bucket. It has to exist, and must not be public."),
        STRING("PARLEY_S3_PREFIX", s3.prefix, "", "What the keys of all objects begin with, with a slash at its end, as parley/."),
        SWITCH("PARLEY_S3_PATH_STYLE", s3.path_style, "on",
               "On: the bucket stands in the path, https://host/bucket/key; off: in the name, https://bucket.host/key."),
        STRING("PARLEY_S3_CA", s3.ca, "", "File with the certificates that the server's is checked with; empty: those of the system."),
        SECRET("PARLEY_S3_ACCESS_KEY_ID", s3.access_key_id, "Id of the access key."),
        SECRET("PARLEY_S3_SECRET_ACCESS_KEY", s3.secret_access_key, "The access key."),
        SECRET("PARLEY_S3_SESSION_TOKEN", s3.session_token,
               "Token of a session, where the key is a temporary one; the service has to be started again with the next."),
        NUMBER("PARLEY_S3_CONNECT_TIMEOUT_MS", s3.connect_timeout_ms, "2000", 100, 60000, "ms",
               "Time for a connection to the server, with its name and TLS."),
        NUMBER("PARLEY_S3_TIMEOUT_MS", s3.timeout_ms, "5000", 100, 300000, "ms",
               "Time for one request and its repetitions together."),
        NUMBER("PARLEY_S3_COMPLETE_TIMEOUT_MS", s3.complete_timeout_ms, "60000", 100, 900000, "ms",
               "The same, where the server joins parts or copies."),
        NUMBER("PARLEY_S3_TRIES", s3.tries, "4", 1, 10, "tries",
               "Times that a request is sent which the server refuses as overloaded or broken, or that does not reach it."),
        NUMBER("PARLEY_S3_MAX_REQUESTS", s3.max_requests, "64", 1, 1000, "requests",
               "Requests to the server at a time, each on a connection."),
        NUMBER("PARLEY_S3_MAX_WAITING", s3.max_waiting, "1000", 1, 100000, "requests",
               "Requests that wait for one of these to end; further ones are answered 503."),
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
        LIMIT("PARLEY_UPLOAD_MAX_ENDED", max_ended, "300", 1, 1000000, "uploads/h",
              "Uploads of one user that were given up, refused or not completed in time, and files that were deleted by themselves, together; beyond, a new upload is answered 429. Each leaves a mark in the bucket FILES, for PARLEY_UPLOAD_PENDING_TTL_S or some days. A limit of rate."),
        NUMBER("PARLEY_UPLOAD_PENDING_TTL_S", pending_ttl_s, "86400", 10, UPLOAD_PENDING_TTL_MAX_S, "s",
               "How long an upload may take from its begin to its completion; then it is removed."),
        NUMBER("PARLEY_UPLOAD_URL_TTL_S", url_ttl_s, "900", 1, 604800, "s",
               "How long a signed address for a body is valid, but never longer than its upload: GET the upload for another."),
        NUMBER("PARLEY_UPLOAD_DOWNLOAD_TTL_S", download_ttl_s, "60", 1, 60, "s",
               "How long a signed address for reading is valid: for so long a removed member may go on reading."),
        NUMBER("PARLEY_UPLOAD_DESCRIPTOR_TTL_S", descriptor_ttl_s, "86400", 1, 2592000, "s",
               "How long a descriptor of a file may be sent in a message. For so long after the last one was given the bytes of a file stay, whose message was deleted."),
        NUMBER("PARLEY_UPLOAD_MAX_TRANSFERS", max_transfers, "64", 1, 4096, "bodies",
               "Bodies that the local store takes in at a time, each with 256 KiB of memory. When all places are taken, whoever holds most of them loses the slowest one to whoever holds at least two fewer; else further ones are answered 503."),
        NUMBER("PARLEY_UPLOAD_MAX_USER_TRANSFERS", max_user_transfers, "16", 1, 4096, "bodies",
               "The same of one user, of all his devices together; further ones are answered 429. The SDK sends one part of a file at a time, six at most."),
        LIMIT("PARLEY_UPLOAD_MIN_RATE", min_rate, "16384", 1, 1000000000, "bytes/s",
              "How fast a body has to come to the local store, on the average of each PARLEY_UPLOAD_MIN_RATE_WINDOW_S; slower ones are answered 408, and hold no place. What the disk takes does not count."),
        NUMBER("PARLEY_UPLOAD_MIN_RATE_WINDOW_S", min_rate_window_s, "10", 1, 3600, "s",
               "Over how long that average is taken: a shorter silence, as of a telephone in a tunnel, ends no body that is fast enough before or after it."),
        NUMBER("PARLEY_UPLOAD_MAX_READS", max_reads, "512", 1, 100000, "files",
               "Files that the local store sends at a time, shared as the places of bodies are; keep it below PARLEY_REST_MAX_CONNECTIONS, or nobody else is answered."),
        NUMBER("PARLEY_UPLOAD_MAX_USER_READS", max_user_reads, "64", 1, 100000, "files",
               "The same of one user; further ones are answered 429."),
        NUMBER("PARLEY_UPLOAD_MAX_CHECKS", max_checks, "128", 1, 4096, "files",
               "Files that wait to be looked at when they are completed, each with 64 KiB of memory; the users in turn. When all places are taken, whoever has most waiting loses the last one to whoever has at least two fewer; else further ones are answered 503."),
        NUMBER("PARLEY_UPLOAD_MAX_USER_CHECKS", max_user_checks, "16", 1, 4096, "files",
               "The same of one user; further ones are answered 429."),
        NUMBER("PARLEY_UPLOAD_SWEEP_S", sweep_s, "60", 1, 86400, "s", "How often uploads that are over are looked for."),
        LIMIT("PARLEY_UPLOAD_RECONCILE_S", reconcile_s, "86400", 60, 31536000, "s",
              "How often objects, their records and the messages that carry them are compared; an administrator may ask for it at any time."),
        LIMIT("PARLEY_UPLOAD_UNSENT_TTL_S", unsent_ttl_s, "2592000", 1, 31536000, "s",
              "How long a file that no message carries is kept after the last descriptor of it has ended. A comparison (PARLEY_UPLOAD_RECONCILE_S) removes it then."),
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
        if (strcmp(c->store, "local") != 0 && strcmp(c->store, "s3") != 0)
                return "PARLEY_UPLOAD_STORE must be local or s3";
        if (!plan_types_valid(c->types))
                return "PARLEY_UPLOAD_TYPES must be types as image/png, image/* or *, separated by commas";
        if (*c->public_url &&
            (strncmp(c->public_url, "http", 4) != 0 || c->public_url[strlen(c->public_url) - 1] == '/'))
                return "PARLEY_UPLOAD_PUBLIC_URL must be an http or https address without a slash at its end";
        return NULL;
}

/* With the setting's name, since several can be wrong in the same way */
static const char *s3_wrong(const struct s3_config *c, const char **ret_name)
{
        const char *text = s3_endpoint_wrong(c->endpoint);

        *ret_name = "PARLEY_S3_ENDPOINT";
        if (!text && *c->public_endpoint) {
                *ret_name = "PARLEY_S3_PUBLIC_ENDPOINT";
                text = s3_endpoint_wrong(c->public_endpoint);
        }
        if (!text) {
                *ret_name = "PARLEY_S3_BUCKET";
                text = s3_bucket_wrong(c->bucket, c->path_style);
        }
        if (!text) {
                *ret_name = "PARLEY_S3_REGION";
                text = s3_region_wrong(c->region);
        }
        if (!text) {
                *ret_name = "PARLEY_S3_PREFIX";
                text = s3_prefix_wrong(c->prefix);
        }
        if (!text) {
                *ret_name = c->access_key_id ? "PARLEY_S3_SECRET_ACCESS_KEY" : "PARLEY_S3_ACCESS_KEY_ID";
                text = c->access_key_id && c->secret_access_key ? NULL : "must be set for the store s3";
        }
        return text;
}

int upload_config_check(const struct upload_config *config, char *ret_error, size_t n_error)
{
        const char *text = wrong(config), *name;

        if (!text && upload_config_s3(config)) {
                text = s3_wrong(&config->s3, &name);
                if (text) {
                        (void)snprintf(ret_error, n_error, "%s %s", name, text);
                        return -EINVAL;
                }
        }
        if (!text)
                return attachment_secret_check(config->secret, ret_error, n_error);
        (void)snprintf(ret_error, n_error, "%s", text);
        return -EINVAL;
}

bool upload_config_s3(const struct upload_config *config)
{
        return strcmp(config->store, "s3") == 0;
}

struct quota_limits upload_config_quota(const struct upload_config *config)
{
        uint64_t held = config->quota_bytes;

        if (held && held < QUOTA_HELD_MIN)
                held = QUOTA_HELD_MIN;
        return (struct quota_limits){.max_bytes = config->quota_bytes,
                                     .max_files = config->quota_files,
                                     .max_held = held,
                                     .max_pending = config->max_pending,
                                     .max_ended = config->rate_limits ? config->max_ended : 0};
}
