/* Who somebody is in a channel: read before anything is decided. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/codes.h"
#include "base/ident.h"
#include "history/env.h"
#include "history/visibility.h"
#include "policy/policy.h"

/* Another user of whom something is asked */
struct access_target {
        char user_id[IDENT_MAX + 1];
        bool has_row;
        Parley__V1__Role role; /* explicit; none without a row */
        uint64_t version;      /* 0 without a row */
        uint64_t
                n_channels; /* in how many he is, of those that he joined or made where he himself asks, else of those that others added him to */
};

struct access {
        char channel_id[IDENT_MAX + 1], user_id[IDENT_MAX + 1];
        bool found;
        Parley__V1__Channel channel; /* texts are its own */
        Google__Protobuf__Timestamp created_at;
        bool has_row;
        uint64_t version, since_seq; /* of the membership */
        Parley__V1__Role role;       /* by policy_role */
        char *name;                  /* of the user, as others read it; NULL: not known */
        struct visibility visibility;
        struct access_target *targets;
        unsigned n_targets;
        bool others, other_owners; /* only with targets: members, and owners, besides the first target */
};

/* error: 0 or PG_E_*; a belongs to who is called, NULL on error */
typedef void (*access_handler)(int error, struct access *a, void *userdata);

/* user_id NULL: not as a user; everything is visible. targets: the users whose rows are wanted, may be NULL. 0 or -ENOMEM (then handler
 * is not called). */
int access_read(struct env *env, const char *channel_id, const char *user_id, const char *const *targets,
                unsigned n_targets, access_handler handler, void *userdata);
void access_free(struct access *a); /* NULL is fine */
/* What is said of a channel that does not exist: NOT_FOUND to administrators; to others NOT_A_MEMBER, as of any channel that is not
 * theirs */
enum parley_code access_unknown(bool admin);
/* access_unknown's, or policy_check's answer */
enum parley_code access_check(const struct access *a, bool admin, enum policy_action action);
/* The administrator who reads an open channel without being its member sees all of it */
void access_see_all(struct access *a);
/* What a target's role counts as */
Parley__V1__Role access_target_role(const struct access *a, const struct access_target *t);
