/* The versions of the schema, from migrations/NNNN_name.sql, embedded when the program is built. */
#pragma once

struct migration {
        unsigned version; /* from 1, without gaps */
        const char *name; /* "0001_initial" */
        const char *sql;
        unsigned
                min_reader; /* programs that know this version, an older one, can work with the schema that it leaves */
        const char *checksum; /* SHA-256 of the file, hex: an applied file must never change */
};

extern const struct migration migrations[];
extern const unsigned n_migrations;
