#include "lab/gnumach/host/console.h"

#include "lab/run/backend.h"
#include "lab/run/clock.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_ROOM 65536u /* longer than any record; a longer line is cut by failing */

int console_init(struct console *c, int silence_ms, const volatile int *stop, struct err *e)
{
    *c = (struct console){.fd = -1, .silence_ms = silence_ms, .stop = stop};
    c->buffer = malloc(LINE_ROOM);
    return c->buffer ? 0 : err_no_memory(e);
}

void console_release(struct console *c)
{
    if (c->fd >= 0)
        close(c->fd);
    free(c->buffer);
}

/* Keeps the last of it, printable, for messages. */
static void remember(struct console *c, const char *line, size_t len)
{
    size_t used = strlen(c->tail);

    if (len > CONSOLE_TAIL / 3)
        len = CONSOLE_TAIL / 3;
    if (used + len + 3 > CONSOLE_TAIL) {
        size_t drop = used + len + 3 - CONSOLE_TAIL;

        memmove(c->tail, c->tail + drop, used - drop + 1);
        used -= drop;
    }
    for (size_t i = 0; i < len; i++) {
        c->tail[used++] = line[i] >= ' ' && line[i] < 0x7f ? line[i] : '?';
    }
    c->tail[used++] = '\n';
    c->tail[used] = '\0';
}

/* Waits for more of the console. 1 more, 0 the end. */
static int fill(struct console *c, struct err *e)
{
    int64_t deadline = now_ms() + c->silence_ms;

    if (c->at > 0) {
        memmove(c->buffer, c->buffer + c->at, c->end - c->at);
        c->end -= c->at;
        c->at = 0;
    }
    if (c->end == LINE_ROOM)
        return err_set(e, EBADMSG, "the guest printed a line without an end");
    for (;;) {
        struct pollfd in = {c->fd, POLLIN, 0};
        int ready = poll(&in, 1, 100);
        ssize_t n;

        if (stop_asked(c->stop, e) < 0)
            return -EINTR;
        if (ready > 0) {
            n = read(c->fd, c->buffer + c->end, LINE_ROOM - c->end);
            if (n > 0)
                c->end += (size_t)n;
            if (n >= 0)
                return n > 0;
            if (errno != EINTR)
                return err_sys(e, errno, "cannot read the guest's console");
        }
        if (now_ms() >= deadline)
            return err_set(e, ETIMEDOUT, "the guest printed nothing for %d ms", c->silence_ms);
    }
}

int console_line(struct console *c, char **line, size_t *len, struct err *e)
{
    for (;;) {
        char *start = c->buffer + c->at;
        char *newline = memchr(start, '\n', c->end - c->at);
        size_t n;
        int more;

        if (newline) {
            n = (size_t)(newline - start);
            c->at += n + 1;
            while (n > 0 && start[n - 1] == '\r')
                n--;
            while (n > 0 && *start == '\r') { /* the kernel ends lines with \n\r */
                start++;
                n--;
            }
            remember(c, start, n);
            *line = start;
            *len = n;
            return 1;
        }
        more = fill(c, e);
        if (more == 0 && c->end > c->at) /* the last words of a guest that was cut off */
            remember(c, c->buffer + c->at, c->end - c->at);
        if (more <= 0)
            return more;
    }
}
