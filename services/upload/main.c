/* parley-upload: takes files in, checks them, and lets members read them. */
#include "base/service.h"
#include "upload/upload.h"

static int check(const void *config, char *ret_error, size_t n_error)
{
        return upload_config_check(config, ret_error, n_error);
}

static int run(const void *config)
{
        return upload_run(config);
}

int main(int argc, char **argv)
{
        struct upload_config config = {0};
        const struct service service = {.name = "upload",
                                        .items = upload_config_items,
                                        .n_items = n_upload_config_items,
                                        .config = &config,
                                        .log_level = &config.log_level,
                                        .check = check,
                                        .run = run};

        return service_main(&service, argc, argv);
}
