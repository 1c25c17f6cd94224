/* What seems to be missing is asked for by itself before it counts: it may have come in between. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bus/bus.h"
#include "upload/reconcile_phases.h"
#include "upload/records.h"

void run_seems_missing(struct reconcile_run *run, const char *name)
{
        if (run->n_names == run->names_room) {
                size_t room = run->names_room ? run->names_room * 2 : 64;
                void *all = realloc(run->names, room * sizeof(*run->names));

                if (!all) {
                        run_lacks(run, "out of memory", -ENOMEM);
                        return;
                }
                run->names = all;
                run->names_room = room;
        }
        memcpy(run->names[run->n_names++], name, strlen(name) + 1);
}

static void asked(struct reconcile_run *run, int error, const char *what)
{
        if (error) {
                run_give_up(run, what, error);
                return;
        }
        run->at++;
        run_ask_next(run);
}

/* Its name says which file it belongs to; only such names are asked for */
static void id_of(const struct reconcile_run *run, char ret[UUID_LEN + 1])
{
        unsigned flag;

        ret[0] = '\0';
        (void)findings_object_name(run->names[run->at], ret, &flag);
}

static void on_forgotten(int error, const struct store_result *r, void *userdata)
{
        struct reconcile_run *run = userdata;

        (void)r;
        if (error == 0)
                findings_mended(run->findings, FINDING_PENDING_WITHOUT_UPLOAD);
        asked(run, error, "the store cannot be asked");
}

/* The body alone: `forget` leaves what was published */
static void on_upload(int error, ProtobufCMessage *m, uint64_t revision, void *userdata)
{
        struct reconcile_run *run = userdata;
        char id[UUID_LEN + 1];
        int r = 0;

        (void)revision;
        if (m)
                protobuf_c_message_free_unpacked(m, NULL);
        if (error == BUS_E_NOT_FOUND) {
                id_of(run, id);
                findings_note(run->findings, FINDING_PENDING_WITHOUT_UPLOAD, id);
                run->body = (struct store_object){run->names[run->at], "", "", 1, 1, 1};
                r = run->env->store->ops->forget(run->env->store, &run->body, on_forgotten, run);
                if (r != 0)
                        asked(run, r, "the store cannot be asked");
        } else {
                asked(run, error, "NATS cannot be asked");
        }
}

static void on_object(int error, void *userdata)
{
        struct reconcile_run *run = userdata;
        const char *id = run->names[run->at];
        bool used = findings_flags(run->findings, id) & SEEN_MESSAGE;

        if (error == STORE_E_MISSING)
                findings_note(run->findings, used ? FINDING_MESSAGE_WITHOUT_OBJECT : FINDING_RECORD_WITHOUT_OBJECT, id);
        protobuf_c_message_free_unpacked(&run->file->base, NULL);
        run->file = NULL;
        asked(run, error == STORE_E_MISSING ? 0 : error, "the store cannot be asked");
}

static void on_record(int error, ProtobufCMessage *m, uint64_t revision, void *userdata)
{
        struct reconcile_run *run = userdata;
        char id[UUID_LEN + 1];

        (void)revision;
        id_of(run, id);
        run->file = (Parley__V1__StoredFile *)m;
        if (error == BUS_E_NOT_FOUND && run->phase != JUDGE)
                findings_note(run->findings,
                              run->phase == OBJECTS ? FINDING_OBJECT_WITHOUT_RECORD : FINDING_MESSAGE_WITHOUT_RECORD,
                              id);
        if (error == 0 && run->phase == JUDGE && run->file->attachment) {
                objects_of_file(run->file, &run->objects);
                objects_run(run->env, &run->objects, run->env->store->ops->read, on_object, run);
                return;
        }
        if (m)
                protobuf_c_message_free_unpacked(m, NULL);
        run->file = NULL;
        asked(run, error == BUS_E_NOT_FOUND ? 0 : error, "NATS cannot be asked");
}

void run_ask_next(struct reconcile_run *run)
{
        char id[UUID_LEN + 1];
        int r;

        if (run->at == run->n_names || run->stopping) {
                run_page_over(run);
                return;
        }
        id_of(run, id);
        r = run->phase == PENDING ? record_get_upload(run->env, id, on_upload, run)
                                  : record_get_file(run->env, id, on_record, run);
        if (r != 0)
                run_give_up(run, "NATS cannot be asked", r);
}
