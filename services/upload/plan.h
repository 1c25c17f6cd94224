/* What may be uploaded, and in which parts. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLAN_PART_BYTES (UINT64_C(16) << 20) /* up to this size in one request, above it in parts of this size … */
#define PLAN_PARTS_MAX 10000u                /* … unless these would be more, which S3 does not take */
#define PLAN_BATCH_MAX 100u                  /* parts whose addresses are asked for at once */
#define PLAN_PART_BYTES_MAX (UINT64_C(1) << 30)
#define PLAN_SIZE_MAX (PLAN_PARTS_MAX * PLAN_PART_BYTES_MAX)
#define PLAN_NAME_MAX 255      /* bytes, as of file systems */
#define PLAN_TYPE_MAX 127      /* characters, RFC 6838 section 4.2 */
#define PLAN_PIXELS_MAX 65535u /* width and height that a client may say; more than JPEG can have */
#define PLAN_THUMBNAIL_BYTES (UINT64_C(256) << 10)
#define PLAN_THUMBNAIL_PIXELS 512u

/* size: 1 to PLAN_SIZE_MAX. One part: 1 and the size. Every part has *ret_part_size bytes but the last. */
void plan_parts(uint64_t size, uint32_t *ret_n_parts, uint64_t *ret_part_size);
/* part: from 1 */
uint64_t plan_part_bytes(uint64_t size, uint64_t part_size, uint32_t part);

/* NULL, or what is wrong, to be written behind "name ". UTF-8 is assumed. No path, no control character, and none that changes the
 * direction of text: such names look like others. */
const char *plan_name_wrong(const char *name);
/* "type/subtype" in lower case, without parameters */
bool plan_type_valid(const char *type);
/* allowed: patterns separated by commas: "*", "image/" followed by an asterisk, "application/pdf" */
bool plan_type_allowed(const char *allowed, const char *type);
bool plan_types_valid(const char *allowed);
bool plan_thumbnail_type(const char *type);
/* https://github.com/woltapp/blurhash/blob/master/Algorithm.md: characters and length fit its first character; at most 166 */
bool plan_blurhash_valid(const char *hash);
/* Types that a browser shows, and that can run nothing */
bool plan_type_inline(const char *type);
/* The type of content that libmagic calls `found`, by the name that browsers know; `declared`: what its sender called it, which decides what is in a container
 * of sound or film */
const char *plan_type_named(const char *declared, const char *found);
/* Whether content that was found to be `found` may go as what its sender called `declared`: an image, sound or film that a browser shows must
 * be what it is called; of other content the found type is what counts. */
bool plan_type_fits(const char *declared, const char *found);
