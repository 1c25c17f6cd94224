#include "auth/json.h"

#include <errno.h>
#include <string.h>

#define DEPTH_MAX 8     /* claims of providers nest two or three deep */
#define MEMBERS_MAX 256 /* of one object: names are compared each with each */

static bool value_strict(yyjson_val *value, unsigned depth);

static bool str_strict(yyjson_val *value)
{
        return memchr(yyjson_get_str(value), 0, yyjson_get_len(value)) == NULL;
}

static bool name_is_first(yyjson_val *object, yyjson_val *name)
{
        /* The look-up gives the first member of the name: another one is a duplicate. */
        return yyjson_obj_getn(object, yyjson_get_str(name), yyjson_get_len(name)) == yyjson_obj_iter_get_val(name);
}

static bool object_strict(yyjson_val *object, unsigned depth)
{
        yyjson_obj_iter iter;
        yyjson_val *name;

        if (yyjson_obj_size(object) > MEMBERS_MAX)
                return false;
        yyjson_obj_iter_init(object, &iter);
        while ((name = yyjson_obj_iter_next(&iter)))
                if (!str_strict(name) || !name_is_first(object, name) ||
                    !value_strict(yyjson_obj_iter_get_val(name), depth))
                        return false;
        return true;
}

static bool array_strict(yyjson_val *array, unsigned depth)
{
        yyjson_arr_iter iter;
        yyjson_val *value;

        yyjson_arr_iter_init(array, &iter);
        while ((value = yyjson_arr_iter_next(&iter)))
                if (!value_strict(value, depth))
                        return false;
        return true;
}

static bool value_strict(yyjson_val *value, unsigned depth)
{
        if (yyjson_is_str(value))
                return str_strict(value);
        if (!yyjson_is_ctn(value))
                return true;
        if (depth == DEPTH_MAX)
                return false;
        return yyjson_is_obj(value) ? object_strict(value, depth + 1) : array_strict(value, depth + 1);
}

int auth_json_read(const char *json, size_t n, yyjson_doc **ret_doc)
{
        yyjson_read_err error = {0};
        yyjson_doc *doc;

        doc = yyjson_read_opts((char *)json, n, YYJSON_READ_NOFLAG, NULL, &error); /* writes to json only with INSITU */
        if (!doc)
                return error.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION ? -ENOMEM : -EINVAL;
        if (!yyjson_is_obj(yyjson_doc_get_root(doc)) || !value_strict(yyjson_doc_get_root(doc), 0)) {
                yyjson_doc_free(doc);
                return -EINVAL;
        }
        *ret_doc = doc;
        return 0;
}

void auth_json_freep(yyjson_doc **doc)
{
        yyjson_doc_free(*doc);
}

const char *auth_json_str(yyjson_val *object, const char *name)
{
        return yyjson_get_str(yyjson_obj_get(object, name));
}

bool auth_json_has(yyjson_val *object, const char *name)
{
        return yyjson_obj_get(object, name) != NULL;
}
