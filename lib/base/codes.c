#include "base/codes.h"

#include <string.h>

struct code_entry {
        const char *text;
        unsigned http;
        const char *title;
};

static const struct code_entry code_table[_PARLEY_CODE_N] = {
#define X(name, text_, http_, title_) [PARLEY_##name] = {.text = (text_), .http = (http_), .title = (title_)},
        PARLEY_CODE_MAP(X)
#undef X
};

/* A code that is none is a mistake of ours: it is shown as an internal error rather than read out of bounds. */
static const struct code_entry *code_entry(enum parley_code code)
{
        if ((unsigned)code >= _PARLEY_CODE_N)
                code = PARLEY_INTERNAL;
        return &code_table[code];
}

const char *parley_code_text(enum parley_code code)
{
        return code_entry(code)->text;
}

enum parley_code parley_code_parse(const char *text)
{
        for (int code = 0; code < _PARLEY_CODE_N; code++) {
                if (strcmp(parley_code_text((enum parley_code)code), text) == 0)
                        return (enum parley_code)code;
        }
        return PARLEY_INTERNAL;
}

unsigned parley_code_http(enum parley_code code)
{
        return code_entry(code)->http;
}

const char *parley_code_title(enum parley_code code)
{
        return code_entry(code)->title;
}
