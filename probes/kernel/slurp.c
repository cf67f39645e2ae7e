#include "probes/slurp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One page less than a power of two would be no gain: seq_file fills what it is given. */
#define SLURP_FIRST (64 * 1024)

static int grow(struct slurp *s)
{
    size_t cap = s->cap ? s->cap * 2 : SLURP_FIRST;
    char *text = realloc(s->text, cap);

    if (!text)
        return -ENOMEM;
    s->text = text;
    s->cap = cap;
    return 0;
}

int slurp_fd(struct slurp *s, int fd)
{
    ssize_t n;
    int rc;

    s->len = 0;
    s->calls = 0;
    if (!s->text && (rc = grow(s)) < 0)
        return rc;
    s->text[0] = '\0';
    for (;;) {
        if (s->len + 1 >= s->cap && (rc = grow(s)) < 0)
            return rc;
        n = pread(fd, s->text + s->len, s->cap - s->len - 1, (off_t)s->len);
        s->calls++;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        s->len += (size_t)n;
    }
    s->text[s->len] = '\0';
    return 0;
}

int slurp_path(struct slurp *s, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc;

    if (fd < 0)
        return -errno;
    rc = slurp_fd(s, fd);
    close(fd);
    return rc;
}

void slurp_release(struct slurp *s)
{
    free(s->text);
    *s = (struct slurp){0};
}

int slurp_number(const struct slurp *s, const char *key, unsigned long long *value)
{
    size_t keylen = strlen(key);
    const char *line = s->text, *end;

    while (line && *line) {
        if (strncmp(line, key, keylen) == 0) {
            char *stop;

            errno = 0;
            *value = strtoull(line + keylen, &stop, 10);
            return errno || stop == line + keylen ? -ENOENT : 0;
        }
        end = strchr(line, '\n');
        line = end ? end + 1 : NULL;
    }
    return -ENOENT;
}
