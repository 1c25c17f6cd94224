/* JSON from outside, read strictly: no duplicate names (two readers could take different ones), no NUL in strings,
 * bounded depth. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <yyjson.h>

/* An object or nothing. -EINVAL: not strict JSON, or not an object; -ENOMEM */
int auth_json_read(const char *json, size_t n, yyjson_doc **ret_doc);
void auth_json_freep(yyjson_doc **doc);
/* The string member; NULL: not there, or not a string */
const char *auth_json_str(yyjson_val *object, const char *name);
bool auth_json_has(yyjson_val *object, const char *name);
