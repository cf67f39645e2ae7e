/* parts: where QEMU, the kernel and the guest are on this machine. */
#pragma once

#include "probes/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Each path absolute. */
struct machine_parts {
    char qemu[4096], kernel[4096], guest[4096], versions[4096];
};

/* 0, or -ENOTSUP naming the part that is missing and how to get it. */
int machine_find(struct machine_parts *parts, struct err *e);

/* Starts a program in a process group of its own, so that Ctrl-C on the terminal is ours to handle;
 * it is killed when this process dies, however that dies. *from: where what it prints comes out,
 * with its errors or without. fd: its descriptor 3 (-1: none). Its pid, or a negative errno. */
pid_t program_start(const char *const argv[], int fd, bool errors, int *from);
void program_stop(pid_t pid);

/* What the emulator says of its version, "7.2.22 (Debian ...)": 0, or a negative errno if it does
 * not say so within a second. Without quotes and backslashes. */
int machine_version(const struct machine_parts *parts, char *out, size_t size);
