/* TLS of the gateway itself, for those without an edge: the only code here that knows OpenSSL.
 *
 * A connection that came in is wrapped: what speaks TLS stays here, and the door gets one end of a socket pair with the plain text
 * in it. So the door reads the request, and libwebsockets the frames, as they do without TLS. docs/decisions/0020 tells why. */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct uv_loop_s uv_loop_t;
struct core;
struct ws_tls;

/* Reads the pair of PARLEY_TLS_CERT_FILE and PARLEY_TLS_KEY_FILE, and again whenever one of the files has changed: what was wrapped
 * goes on with the certificate that it began with. A pair that cannot be used is logged then, and the one before stays.
 * -EINVAL: ret_error has a line that names the setting; -ENOMEM */
int ws_tls_new(struct ws_tls **ret_tls, uv_loop_t *loop, struct core *core, char *ret_error, size_t n_error);
/* Takes over fd, in any case. *ret_fd: the plain end, which does not block; both sides end when either does. Nothing is computed
 * before the client has said something, and nothing at all if the plain end is closed by then.
 * 0, or negative errno (-EMFILE, -ENOMEM, …) */
int ws_tls_wrap(struct ws_tls *tls, int fd, int *ret_fd);
/* When the certificate that new connections get ends, in seconds since 1970 */
int64_t ws_tls_not_after(const struct ws_tls *tls);
/* Ends all connections, after one try to send what is left. The loop must turn until uv_run ends, then ws_tls_free. */
void ws_tls_close(struct ws_tls *tls);
void ws_tls_free(struct ws_tls *tls);
