#include "lab/run/paths.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int find_program(const char *name, const char *env, char *path, size_t size, struct err *e)
{
    static const char *const where[] = {"%s/%s", "%s/../%s", "%s/../libexec/cowlab/%s"};
    char self[2048];
    const char *given = getenv(env);
    ssize_t n;
    char *dir;

    if (given) {
        snprintf(path, size, "%s", given);
        if (access(path, X_OK) == 0)
            return 0;
        return err_sys(e, errno, "cannot run '%s' (from $%s)", given, env);
    }
    n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0)
        return err_sys(e, errno, "cannot read '/proc/self/exe'");
    self[n] = '\0';
    dir = dirname(self);
    for (size_t i = 0; i < sizeof where / sizeof *where; i++) {
        snprintf(path, size, where[i], dir, name); // NOLINT(clang-diagnostic-format-nonliteral)
        if (access(path, X_OK) == 0)
            return 0;
    }
    return err_set(e, ENOENT,
                   "cannot find the program '%s' in '%s', where 'make' puts it, or in "
                   "'%s/../libexec/cowlab', where 'make install' does; or name it in $%s",
                   name, dir, dir, env);
}
