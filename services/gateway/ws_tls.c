#include "gateway/ws_tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "gateway/core.h"
#include "gateway/stats.h"
#include "gateway/ws_tls_impl.h"

/* A change is taken up once the files have stood still from one look to the next: a pair is two files, written one after the other */
#define LOOK_MS 2000
/* What may stand in a socket pair in each direction, beside what waits for the session (PARLEY_SESSION_MAX_QUEUE_BYTES) */
#define PAIR_BYTES 65536
#define CIPHERS_1_2 "ECDHE+AESGCM:ECDHE+CHACHA20"

/* --- the pair of certificate and key --- */

/* Nobody is there to be asked for the passphrase of a key */
static int no_passphrase(char *text, int size, int writing, void *userdata)
{
        (void)text;
        (void)size;
        (void)writing;
        (void)userdata;
        return -1;
}

static int pair_error(const char *name, const char *path, char *ret_error, size_t n_error)
{
        unsigned long e = ERR_peek_error(); /* the first is the cause */
        const char *why = ERR_SYSTEM_ERROR(e) ? strerror(ERR_GET_REASON(e)) : ERR_reason_error_string(e);

        (void)snprintf(ret_error, n_error, "%s=%s cannot be used: %s", name, path, why ? why : "unknown error");
        ERR_clear_error();
        return -EINVAL;
}

static SSL_CTX *context_new(void)
{
        SSL_CTX *context = SSL_CTX_new(TLS_server_method());

        if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) ||
            !SSL_CTX_set_cipher_list(context, CIPHERS_1_2)) {
                SSL_CTX_free(context);
                return NULL;
        }
        SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
        /* A client that comes again shows a ticket; nothing is kept here for it, nor buffers for who is silent */
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                          SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        SSL_CTX_set_default_passwd_cb(context, no_passphrase);
        return context;
}

static int64_t certificate_end(const SSL_CTX *context)
{
        struct tm tm;

        if (!ASN1_TIME_to_tm(X509_get0_notAfter(SSL_CTX_get0_certificate(context)), &tm))
                return 0;
        return (int64_t)timegm(&tm);
}

static int pair_load(struct ws_tls *tls, char *ret_error, size_t n_error)
{
        const struct gateway_config *config = tls->core->config;
        SSL_CTX *context = context_new();
        int r = 0;

        ERR_clear_error();
        if (!context) {
                (void)snprintf(ret_error, n_error, "TLS: no memory");
                return -ENOMEM;
        }
        if (SSL_CTX_use_certificate_chain_file(context, config->tls_cert_file) != 1)
                r = pair_error("PARLEY_TLS_CERT_FILE", config->tls_cert_file, ret_error, n_error);
        else if (SSL_CTX_use_PrivateKey_file(context, config->tls_key_file, SSL_FILETYPE_PEM) != 1 ||
                 SSL_CTX_check_private_key(context) != 1)
                r = pair_error("PARLEY_TLS_KEY_FILE", config->tls_key_file, ret_error, n_error);
        if (r) {
                SSL_CTX_free(context);
                return r;
        }
        SSL_CTX_free(tls->context); /* connections hold what they began with */
        tls->context = context;
        tls->not_after = certificate_end(context);
        metric_set(&stat_tls_not_after, (double)tls->not_after);
        return 0;
}

/* --- their change --- */

/* Follows links: Kubernetes turns one over when a Secret changes. Zeros where there is no file just now. */
static struct tls_seen file_look(const char *path)
{
        struct stat st;

        if (stat(path, &st))
                return (struct tls_seen){0};
        return (struct tls_seen){.inode = st.st_ino,
                                 .size = (uint64_t)st.st_size,
                                 .changed_ns = st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec};
}

static bool seen_equal(struct tls_seen a, struct tls_seen b)
{
        return a.inode == b.inode && a.size == b.size && a.changed_ns == b.changed_ns;
}

/* Whether one of them is another than before */
static bool files_look(struct ws_tls *tls)
{
        struct tls_seen cert = file_look(tls->core->config->tls_cert_file);
        struct tls_seen key = file_look(tls->core->config->tls_key_file);
        bool same = seen_equal(cert, tls->cert) && seen_equal(key, tls->key);

        tls->cert = cert;
        tls->key = key;
        return !same;
}

static void pair_reload(struct ws_tls *tls)
{
        char error[512];

        if (pair_load(tls, error, sizeof(error)) == 0) {
                log_info("another certificate is taken from now on", LOG_I("notAfter", tls->not_after));
                return;
        }
        metric_add(&stat_tls_reload_failed, 1);
        log_error("the certificate has changed, and the one before stays", LOG_S("error", error));
}

static void on_look(struct wheel_timer *t, uint64_t now_ms)
{
        struct ws_tls *tls = (struct ws_tls *)((char *)t - offsetof(struct ws_tls, look));

        if (files_look(tls)) {
                tls->changed = true;
        } else if (tls->changed) {
                tls->changed = false;
                pair_reload(tls);
        }
        wheel_arm(tls->core->wheel, &tls->look, now_ms + LOOK_MS, on_look);
}

/* --- from outside --- */

int ws_tls_new(struct ws_tls **ret_tls, uv_loop_t *loop, struct core *core, char *ret_error, size_t n_error)
{
        struct ws_tls *tls = calloc(1, sizeof(*tls));
        int r;

        if (!tls) {
                (void)snprintf(ret_error, n_error, "TLS: no memory");
                return -ENOMEM;
        }
        tls->loop = loop;
        tls->core = core;
        files_look(tls); /* before they are read: what changes meanwhile is seen */
        r = pair_load(tls, ret_error, n_error);
        if (r) {
                free(tls);
                return r;
        }
        wheel_arm(core->wheel, &tls->look, core->now_ms + LOOK_MS, on_look);
        *ret_tls = tls;
        return 0;
}

int ws_tls_wrap(struct ws_tls *tls, int fd, int *ret_fd)
{
        int pair[2], size = PAIR_BYTES, r;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair)) {
                r = -errno;
                close(fd);
                return r;
        }
        for (unsigned i = 0; i < 2; i++)
                setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
        r = tls_link_new(tls, fd, pair[1]);
        if (r) {
                close(pair[0]);
                close(pair[1]);
                close(fd);
                return r;
        }
        *ret_fd = pair[0];
        return 0;
}

int64_t ws_tls_not_after(const struct ws_tls *tls)
{
        return tls->not_after;
}

void ws_tls_close(struct ws_tls *tls)
{
        if (!tls)
                return;
        wheel_disarm(&tls->look);
        while (tls->links)
                tls_link_end(tls->links);
}

void ws_tls_free(struct ws_tls *tls)
{
        if (!tls)
                return;
        SSL_CTX_free(tls->context);
        free(tls);
}
