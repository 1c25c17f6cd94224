/* A listening socket from "host:port". */
#pragma once

#include <stddef.h>

/* setting: what listen was set by. 0; negative errno with a line that says what was wrong */
int door_socket(const char *setting, const char *listen, int *ret_fd, char *ret_error, size_t n_error);
