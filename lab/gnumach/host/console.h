/* console: what the guest prints, line by line, and the last of it for messages.
 *
 * Lifetime: console_init ... console_release, which closes the descriptor; a line is valid until
 * the next call. */
#pragma once

#include "probes/err.h"
#include <stddef.h>

#define CONSOLE_TAIL 600u

struct console {
    int fd;
    int silence_ms;           /* no output for so long: the guest hangs */
    const volatile int *stop; /* may be NULL */
    char *buffer;             /* read and not yet given out: [at, end) */
    size_t at, end;
    char tail[CONSOLE_TAIL + 1]; /* the last lines */
};

/* 0 or -ENOMEM; there is no descriptor yet. */
int console_init(struct console *c, int silence_ms, const volatile int *stop, struct err *e);
/* The next line, without its end. Returns 1, 0 at the end of output, or an error: -EINTR stopped,
 * -ETIMEDOUT silence. */
int console_line(struct console *c, char **line, size_t *len, struct err *e);
void console_release(struct console *c);
