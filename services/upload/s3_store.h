/* The store in a bucket of S3, or of a server that speaks its protocol: SigV4, SHA-256 checksums, uploads in parts. */
#pragma once

#include "upload/env.h"

/* 0, -ENOMEM; -ENOTSUP: libcurl was built without asynchronous names; errno of the file of certificates */
int store_s3_new(struct store **ret_store, struct env *env);
