#include "probes/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int positive(int code)
{
    if (code < 0)
        code = -code;
    return code ? code : EIO;
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(e->msg, sizeof e->msg, fmt, ap);
    va_end(ap);
    return -positive(code);
}

int err_sys(struct err *e, int code, const char *fmt, ...)
{
    char reason[128];
    size_t used;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(e->msg, sizeof e->msg, fmt, ap);
    va_end(ap);
    used = strlen(e->msg);
    snprintf(e->msg + used, sizeof e->msg - used, ": %s",
             strerror_r(positive(code), reason, sizeof reason));
    return -positive(code);
}

int err_prefix(struct err *e, int rc, const char *fmt, ...)
{
    char old[sizeof e->msg];
    size_t used;
    va_list ap;

    memcpy(old, e->msg, sizeof old);
    va_start(ap, fmt);
    vsnprintf(e->msg, sizeof e->msg, fmt, ap);
    va_end(ap);
    used = strlen(e->msg);
    snprintf(e->msg + used, sizeof e->msg - used, ": %s", old);
    return rc;
}

int err_no_memory(struct err *e)
{
    return err_set(e, ENOMEM, "out of memory");
}
