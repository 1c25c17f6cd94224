/* The settings of the connection to NATS: the same for every service. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/config.h"

/* A member of the service's configuration */
struct bus_config {
        char *url, *user, *password, *tls_ca;
        uint64_t send_bytes, receive_bytes; /* max_send_bytes and max_inbox_bytes of struct bus_options */
};

#define BUS_PASSWORD_SETTING "PARLEY_NATS_PASSWORD"

/* Its rows in the service's table. type: the struct; member: of it */
// clang-format off
#define BUS_CONFIG_ITEMS(type_, member_)                                                                               \
        {.name = "PARLEY_NATS_URL", .type = CONFIG_STRING, .offset = offsetof(type_, member_.url),                     \
         .def = "nats://127.0.0.1:4222", .help = "Servers of NATS, separated by commas."},                             \
        {.name = "PARLEY_NATS_USER", .type = CONFIG_STRING, .offset = offsetof(type_, member_.user),                   \
         .help = "User for NATS."},                                                                                    \
        {.name = BUS_PASSWORD_SETTING, .type = CONFIG_SECRET, .offset = offsetof(type_, member_.password),             \
         .help = "Password for NATS. Its file is read again at each try to connect."},                                 \
        {.name = "PARLEY_NATS_TLS_CA", .type = CONFIG_STRING, .offset = offsetof(type_, member_.tls_ca),               \
         .help = "File with the certificates that NATS is checked against; switches TLS on."},                         \
        {.name = "PARLEY_NATS_SEND_BYTES", .type = CONFIG_U64, .offset = offsetof(type_, member_.send_bytes),          \
         .def = "8388608", .min = 1048576, .max = 1073741824, .unit = "bytes",                                         \
         .help = "What may wait to be sent to NATS; beyond it requests are answered as unavailable."},                 \
        {.name = "PARLEY_NATS_RECEIVE_BYTES", .type = CONFIG_U64, .offset = offsetof(type_, member_.receive_bytes),    \
         .def = "67108864", .min = 1048576, .max = 17179869184, .unit = "bytes",                                       \
         .help = "What may have come from NATS and wait to be handled; beyond it messages are dropped and fetched again."}
// clang-format on
