/* The REST interface. rest.c has the table of routes; each rest_*.c handlers. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "auth/auth.h"
#include "auth/jwks.h"
#include "base/ratetable.h"
#include "http/serve.h"
#include "parley/v1/upload.pb-c.h"
#include "policy/policy.h"
#include "upload/env.h"
#include "upload/objects.h"
#include "upload/plan.h"
#include "upload/store.h"
#include "wire/wire.h"

/* Why a completed upload is refused, and removed */
struct rejection {
        enum parley_code code;
        const char *text;
};

/* Why an upload could not be begun, while that is taken back */
struct undone {
        const char *what;
        int error;
        bool recorded;
};

struct rest {
        struct env *env;
        struct auth *auth;
        struct jwks *jwks; /* NULL: none */
        struct ratetable *by_user, *by_address;
};

#define REST_ROUTES 16
extern const struct http_route rest_routes[REST_ROUTES];

/* One request. Lives until it is answered: after rest_json, rest_problem… it must not be touched. */
struct rest_call {
        struct rest *rest;
        struct http_request *rq;
        struct auth_claims claims;
        char id[UUID_LEN + 1]; /* of the path */
        char channel_id[IDENT_MAX + 1];
        ProtobufCMessage *body;
        Parley__V1__PendingUpload *upload;
        Parley__V1__StoredFile *file;
        uint64_t revision; /* of the file */
        char sum[STORE_SUM_MAX + 1];
        unsigned tries;
        void (*then)(struct rest_call *c);      /* once its thumbnail is fine, or once the file may be read */
        void (*held_then)(struct rest_call *c); /* once it is known not to be held back, too */
        Parley__V1__FileState state;            /* that it is to have */
        const struct rejection *why;            /* a completion was refused */
        char found[PLAN_TYPE_MAX + 1];          /* rest_sniff */
        uint32_t width, height;                 /* of the image, as it says itself; 0: it does not */
        void (*sniffed)(struct rest_call *c);
        bool expected;               /* of the quota */
        bool known;                  /* it was begun before, by the same request */
        char known_id[UUID_LEN + 1]; /* of that */
        bool removing_too;           /* rest_file: also a file that is being removed */
        struct undone undone;
        void (*ended)(struct rest_call *c);        /* of rest_end */
        void (*carried_then)(struct rest_call *c); /* of rest_carried */
        void (*barred)(struct rest_call *c);       /* of rest_bar */
        void (*is_file)(struct rest_call *c);
};
typedef void (*rest_then)(struct rest_call *c);

/* Who asks, within the limits of rate; with a {id} in the path that, too. NULL: it was answered already. */
struct rest_call *rest_begin(struct http_request *rq, void *userdata);
/* The body, as a message of this type, which the call owns. False: it was answered already. */
bool rest_body(struct rest_call *c, const ProtobufCMessageDescriptor *type);

/* Answers */
void rest_json(struct rest_call *c, unsigned status, const ProtobufCMessage *message);
void rest_empty(struct rest_call *c, unsigned status);
__attribute__((__format__(__printf__, 3, 4))) void rest_problem(struct rest_call *c, enum parley_code code,
                                                                const char *format, ...);
/* NATS or the store cannot be asked now: BUS_E_*, STORE_E_*, negative errno; what: the one that cannot */
void rest_unavailable(struct rest_call *c, const char *what, int error);
/* What policy says of a channel, in words */
void rest_refuse(struct rest_call *c, enum parley_code code);

/* Go on with `then` where the caller may do this in c->channel_id; or answer */
void rest_access(struct rest_call *c, enum policy_action action, rest_then then);
/* Reads c->upload, which must be the caller's own and not be over; or calls `absent` where there is none and that is not NULL; or
 * answers */
void rest_upload(struct rest_call *c, rest_then then, rest_then absent);
/* Reads c->file; or calls `absent`, where that is not NULL; or answers */
void rest_file(struct rest_call *c, rest_then then, rest_then absent);
/* Of POST /api/uploads: whether the body was refused (and answered); c->upload, with a new id; hexadecimal digits in lower case */
bool rest_plan_refuse(struct rest_call *c, const Parley__V1__CreateUploadRequest *b);
int rest_plan_make(struct rest_call *c); /* with c->id, where that is set; 0, -ENOMEM */
/* Of POST /api/uploads/{id}/parts: whether the body was refused (and answered), for c->upload */
bool rest_plan_parts_refuse(struct rest_call *c, const Parley__V1__UploadPartsRequest *b);
void rest_plan_lower(char *s);
/* Takes the thumbnail of c->upload, if it has one, out of the clients' reach, looks at it, and writes down in c->file what it is; then goes on
 * with `then`; or answers, or refuses the upload */
void rest_thumbnail_check(struct rest_call *c, rest_then then);
/* Reads the first bytes of one of the objects of c->upload, finds c->found, the type by them, and c->width and height, and goes on with `then`, later; or
 * answers that it cannot be done now. which: OBJECT_CONTENT, OBJECT_THUMBNAIL. */
void rest_sniff(struct rest_call *c, unsigned which, rest_then then);
/* One of the store's calls with one of them. then: exactly once, with an error also where the call could not be made. */
void rest_ask_store(struct rest_call *c, unsigned which, objects_call call, store_handler then);
/* Sees to it that the upload never becomes a file, and goes on with `then`; or with `is_file`, and c->file, where it has become one; or
 * answers. Nothing of an upload is removed before. */
void rest_bar(struct rest_call *c, rest_then then, rest_then is_file);
/* An upload that could not be begun, after it was reserved: takes back what counts and what is there of c->upload, and answers as rest_unavailable.
 * recorded: there may be a record of it. what has to stay. */
void rest_give_back(struct rest_call *c, bool recorded, const char *what, int error);
/* Ends c->upload, which nobody can make a file of any more, and goes on with `then`; or answers */
void rest_end(struct rest_call *c, rest_then then);
/* Removes the upload and answers why. why has to stay. */
void rest_reject(struct rest_call *c, const struct rejection *why);
/* The answer to a completion that was answered before, with c->file */
void rest_answer_again(struct rest_call *c);
void rest_store_failed(struct rest_call *c, int error);
/* The address of an object of c->file, by its name in the store */
void rest_redirect(struct rest_call *c, const char *name, const char *type);
/* Goes on where c->file is not released; or once its record says so again, because a message carries it; or answers */
void rest_carried(struct rest_call *c, rest_then then);
/* Answers with a descriptor of c->file for the caller in c->channel_id */
void rest_descriptor(struct rest_call *c);

/* The handlers */
void rest_create(struct http_request *rq, void *userdata);
void rest_get_upload(struct http_request *rq, void *userdata);
void rest_abort(struct http_request *rq, void *userdata);
void rest_parts(struct http_request *rq, void *userdata);
void rest_complete(struct http_request *rq, void *userdata);
void rest_scan_content(struct http_request *rq, void *userdata);
void rest_quarantine(struct http_request *rq, void *userdata);
void rest_release(struct http_request *rq, void *userdata);
void rest_get_reconciliation(struct http_request *rq, void *userdata);
void rest_start_reconciliation(struct http_request *rq, void *userdata);
void rest_get_thumbnail(struct http_request *rq, void *userdata);
void rest_get_file(struct http_request *rq, void *userdata);
void rest_describe(struct http_request *rq, void *userdata);
void rest_delete_file(struct http_request *rq, void *userdata);
