/* load: the text of a scenario, shipped or from a file. */
#include "lab/plan/text/json_scan.h"
#include "lab/plan/text/reader.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Most shipped scenarios among which the nearest name is looked for. */
#define MAX_NAMES 256

static bool looks_like_path(const char *name)
{
    size_t n = strlen(name);

    if (strchr(name, '/') || (n > 5 && strcmp(name + n - 5, ".json") == 0))
        return true;
    for (const struct builtin_scenario *b = builtin_scenarios; b->name; b++)
        if (strcmp(b->name, name) == 0)
            return false; /* whatever the current directory holds */
    return access(name, F_OK) == 0;
}

/* Reads to the end, but never more than the scanner would take: the file may grow, or be a device
 * without an end. */
static int read_all(int fd, const char *path, char **text, size_t *len, struct err *e)
{
    char *buf = malloc(JSON_MAX_BYTES + 2);
    size_t used = 0;
    ssize_t n = 1;
    int code = buf ? 0 : ENOMEM;

    while (n != 0 && !code) {
        n = read(fd, buf + used, JSON_MAX_BYTES + 1 - used);
        used += n > 0 ? (size_t)n : 0;
        if (used > JSON_MAX_BYTES)
            code = EFBIG;
        else if (n < 0 && errno != EINTR)
            code = errno;
    }
    if (code) {
        free(buf);
        return err_sys(e, code, "cannot read '%s'", path);
    }
    buf[used] = '\0';
    *text = buf;
    *len = used;
    return 0;
}

static int load_file(const char *path, char **text, size_t *len, struct err *e)
{
    /* O_NONBLOCK: a FIFO without a writer must not hang the command. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), rc;
    struct stat st;

    if (fd < 0)
        return err_sys(e, errno, "cannot open '%s'", path);
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        rc = err_sys(e, EISDIR, "cannot read '%s'", path);
    else
        rc = read_all(fd, path, text, len, e);
    close(fd);
    return rc;
}

static int unknown_scenario(const char *name, struct err *e)
{
    const char *names[MAX_NAMES];
    size_t n = 0;

    for (; n < MAX_NAMES && builtin_scenarios[n].name; n++)
        names[n] = builtin_scenarios[n].name;
    if (n == 0)
        return err_set(e, ENOENT, "no scenario '%.100s': none is built in", name);
    return err_set(e, ENOENT, "no scenario '%.100s', the nearest known is '%s' (see 'cowlab list')",
                   name, nearest(name, names, n));
}

static int load_builtin(const char *name, char **text, size_t *len, struct err *e)
{
    const struct builtin_scenario *b = builtin_scenarios;

    while (b->name && strcmp(b->name, name) != 0)
        b++;
    if (!b->name)
        return unknown_scenario(name, e);
    *text = strndup(b->text, b->len);
    *len = b->len;
    return *text ? 0 : err_no_memory(e);
}

int scenario_load(const char *name_or_path, char **text, size_t *len, char **origin, struct err *e)
{
    bool path = looks_like_path(name_or_path);
    char *where, *found = NULL;
    size_t n = 0;
    int rc;

    if (path)
        where = strdup(name_or_path);
    else if (asprintf(&where, "%s.json", name_or_path) < 0)
        where = NULL;
    if (!where)
        return err_no_memory(e);
    rc = path ? load_file(name_or_path, &found, &n, e) : load_builtin(name_or_path, &found, &n, e);
    if (rc < 0) {
        free(where);
        return rc;
    }
    *text = found;
    *len = n;
    *origin = where;
    return 0;
}
