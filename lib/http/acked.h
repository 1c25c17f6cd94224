#pragma once

#include <stdint.h>

/* Bytes that the other side of a TCP connection has acknowledged since it began; 0 where the kernel does not say. What was acknowledged is in the
 * other side's hands, read or not: who reads nothing stops acknowledging when its buffer is full. */
uint64_t acked_bytes(int fd);
