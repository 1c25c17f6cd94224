/* Finds the types of contents on a thread of its own: libmagic's time hangs on what it is given, and whoever gives it something costly waits for
 * that himself. One content at a time, in turn by user (fair.h). All on the loop's thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "upload/fair.h"

typedef struct uv_loop_s uv_loop_t;
struct sniffer;

struct sniffer_options {
        uv_loop_t *loop;
        unsigned max,
                max_owner; /* contents that wait: of all users, of one; each has up to SNIFF_BYTES_MAX of memory */
};

enum sniffer_error {
        SNIFFER_E_OWNER = OWNERS_E_OWNER, /* this user has max_owner waiting */
        SNIFFER_E_FULL = OWNERS_E_FULL,   /* max wait, or this one made room for a user who had fewer */
        SNIFFER_E_STOPPED,
};
/* type: as of sniff_type, valid during the call; NULL where error is not 0: SNIFFER_E_* */
typedef void (*sniffer_handler)(int error, const char *type, void *userdata);

/* -ENOENT: the data base of libmagic is not there; -ENOMEM, -EAGAIN: no thread */
int sniffer_new(struct sniffer **ret_sniffer, const struct sniffer_options *options);
/* Copies data. 0: the handler is called once, later; SNIFFER_E_*, -ENOMEM: it is not */
int sniffer_ask(struct sniffer *s, const char *owner, const uint8_t *data, size_t n, sniffer_handler handler,
                void *userdata);
unsigned sniffer_waiting(const struct sniffer *s); /* not counting the one that is looked at */
/* From now on all are told SNIFFER_E_STOPPED, those that wait at once; the one that is looked at still gets its answer */
void sniffer_stop(struct sniffer *s);
/* Waits for the one that is looked at, tells whoever is left SNIFFER_E_STOPPED, and frees. The loop has to run once more. NULL is fine. */
void sniffer_free(struct sniffer *s);
