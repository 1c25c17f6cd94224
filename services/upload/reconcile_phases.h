/* What the phases of a comparison share; reconcile_run.c has their order. Each runs a page at a time, and ends it with one of run_page_over,
 * run_ask_next and run_give_up. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parley/v1/internal.pb-c.h"
#include "upload/objects.h"
#include "upload/reconcile_core.h"
#include "upload/reconcile_mend.h"
#include "upload/reconcile_run.h"
#include "upload/store.h"

struct bus_reader;
struct ticker;

enum phase { FILES, USERS, OBJECTS, MESSAGES, JUDGE, COLLECT, PENDING, OVER };

struct reconcile_run {
        struct env *env;
        struct reconcile_terms terms;
        struct findings *findings;
        struct mend mend;
        struct ticker *ticker; /* runs while nothing is under way */
        struct bus_reader *reader;
        enum phase phase;
        bool last;           /* this page is the last one of its phase */
        bool messages_known; /* all of them were seen */
        bool stopping;
        uint64_t page_ms, now_ms; /* when the page began, of the loop; when all began, unix */
        char cursor[STORE_CURSOR_MAX + 1];
        size_t judged, collected;          /* files that were */
        char (*names)[STORE_NAME_MAX + 1]; /* of this page: what seems to be missing, or may go, and is asked for */
        size_t n_names, names_room, at;
        struct store_object body; /* that is dropped */
        struct objects objects;   /* of the file that is asked for */
        Parley__V1__StoredFile *file;
        char incomplete[160];
};

/* Why not everything is compared; the first reason counts */
void run_lacks(struct reconcile_run *run, const char *what, int error);
void run_give_up(struct reconcile_run *run, const char *what, int error);
void run_page_over(struct reconcile_run *run);

/* reconcile_missing.c: an id or a name of an object that run_ask_next asks for by itself; then the page is over */
void run_seems_missing(struct reconcile_run *run, const char *name);
void run_ask_next(struct reconcile_run *run);

/* reconcile_read.c: the phases that read */
void run_read_bucket(struct reconcile_run *run);
void run_read_store(struct reconcile_run *run);
void run_read_messages(struct reconcile_run *run);

/* reconcile_judge.c: what was seen, and what of it goes */
void run_judge(struct reconcile_run *run);
void run_collect(struct reconcile_run *run);
