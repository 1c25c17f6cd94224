/* The REST interface of presence. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ratetable.h"
#include "http/serve.h"

struct auth;
struct jwks;
struct roster;
struct voice;

struct rest {
        struct roster *roster;
        struct voice *voice;
        struct auth *auth;
        struct jwks *jwks; /* NULL: none */
        struct ratetable *by_user, *by_address;
        bool (*ready)(void *userdata);  /* all is known that is needed to answer */
        void (*before)(void *userdata); /* reads the clock into the roster */
        void *userdata;
};

#define REST_ROUTES 5
void rest_routes(struct http_route ret_routes[REST_ROUTES]);
