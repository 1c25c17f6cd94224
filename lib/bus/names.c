/* Subjects for answers: "_INBOX.<user>.<who answers>.<random>.<id>".
 *
 * With the user in them an account can let each user hear its own answers and nobody else's; with who answers in them, each service can be let
 * answer what it is asked and nothing else. Nobody need be let write the answers of JetStream: the server sends them itself. The random part tells
 * two clients of one user apart. */
#include <stdio.h>
#include <string.h>

#include "base/ident.h"
#include "bus/bus_impl.h"

enum { ANSWERER_MAX = 32 };

static bool plain(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/* The user as one token of a subject; "any" without one */
static void user_token(const char *user, char ret[BUS_USER_MAX + 1])
{
        snprintf(ret, BUS_USER_MAX + 1, "%s", user != NULL && *user != '\0' ? user : "any");
        for (; *ret != '\0'; ret++)
                if (!plain(*ret))
                        *ret = '_';
}

void names_make(struct bus *bus)
{
        uint8_t random[12];
        char user[BUS_USER_MAX + 1];

        user_token(bus->options.user, user);
        random_bytes(random, sizeof(random));
        for (size_t i = 0; i < sizeof(random); i++)
                snprintf(bus->random + 2 * i, 3, "%02x", random[i]);
        snprintf(bus->inbox_prefix, sizeof(bus->inbox_prefix), "_INBOX.%s.", user);
        snprintf(bus->answers, sizeof(bus->answers), "_INBOX.%s.*.%s.*", user, bus->random);
        snprintf(bus->ack_prefix, sizeof(bus->ack_prefix), "_INBOX.%s.%s.a.", user, bus->random);
        snprintf(bus->consumer_prefix, sizeof(bus->consumer_prefix), "parley-%.16s-", bus->random);
        bus->first = random[0]; /* not everybody to the same server */
}

void names_reply(const struct bus *bus, const char *subject, uint64_t id, char ret[BUS_REPLY_MAX])
{
        const char *who = strncmp(subject, "rpc.", 4) == 0 ? subject + 4 : subject;
        char number[PENDING_ID_LEN + 1];
        size_t n;

        who += *who == '$';
        n = strcspn(who, ".");
        pending_id_format(id, number);
        snprintf(ret, BUS_REPLY_MAX, "%s%.*s.%s.%s", bus->inbox_prefix, n < ANSWERER_MAX ? (int)n : ANSWERER_MAX, who,
                 bus->random, number);
}
