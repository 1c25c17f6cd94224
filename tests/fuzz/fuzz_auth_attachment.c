/* Descriptors of any bytes: none is taken that was not signed; what was signed is taken whole, and no changed one is. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/attachment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define REQUIRE(condition)                                                                                             \
        do                                                                                                             \
                if (!(condition)) {                                                                                    \
                        fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                \
                        abort();                                                                                       \
                }                                                                                                      \
        while (0)

static const char secret[] = "0123456789abcdef0123456789abcdef";
static const struct attachment_terms terms = {.user_id = "ann", .channel_id = "general", .expires_at_s = 1000};

static void change_one(const uint8_t *data, size_t n, char *token)
{
        size_t len = strlen(token), at = (data[0] * 256u + data[n - 1]) % len;
        Parley__V1__Attachment *a = NULL;
        char c = (char)(token[at] ^ (data[n / 2] | 1));

        if (c == '\0')
                return;
        token[at] = c;
        REQUIRE(attachment_open(secret, token, "ann", "general", 0, &a) != 0 && !a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        Parley__V1__Attachment attachment = PARLEY__V1__ATTACHMENT__INIT, *a = NULL;
        char *text = malloc(n + 1), token[ATTACHMENT_TOKEN_MAX + 1];

        REQUIRE(text);
        memcpy(text, data, n);
        text[n] = '\0';
        REQUIRE(attachment_open(secret, text, "ann", "general", 0, &a) != 0 && !a);
        attachment.name = text;
        attachment.size = n;
        if (n > 0 && attachment_sign(secret, &attachment, &terms, token) == 0) {
                REQUIRE(attachment_open(secret, token, "ann", "general", 999, &a) == 0);
                REQUIRE(strcmp(a->name, text) == 0 && a->size == n);
                protobuf_c_message_free_unpacked(&a->base, NULL);
                change_one(data, n, token);
        }
        free(text);
        return 0;
}
