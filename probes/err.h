/* err: how every part of cowlab reports a failure.
 * A function that can fail returns 0, or a negative errno value, and then has
 * written one sentence into the caller's struct err: lower case, the failure
 * first, the subject quoted: "cannot read '/proc/71/pagemap': permission denied".
 * On success the struct is untouched. Only a main() prints it or exits. */
#pragma once

struct err {
    char msg[1024];
};

/* Write the message and return -code (code is a positive errno; 0 counts as EIO). */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same, with ": <strerror(code)>" appended. */
int err_sys(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Put "prefix: " in front of a message that is already there; returns rc. */
int err_prefix(struct err *e, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* "out of memory": -ENOMEM. */
int err_no_memory(struct err *e);
