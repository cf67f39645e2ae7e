#include "reports/format.h"

#include "reports/escape.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

char *format_count(char *buf, int64_t n)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
    char *p = buf;

    if (n < 0)
        *p++ = '-';
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            *p++ = ',';
        *p++ = digits[i];
    }
    *p = '\0';
    return buf;
}

/* Scales n down by step until it is below the limit, and prints it with the unit's name. */
static char *scaled(char *buf, double n, double step, const char *const *names, int count)
{
    int u = 0;

    while (u + 1 < count && fabs(n) >= step) {
        n /= step;
        u++;
    }
    snprintf(buf, FORMAT_MAX, "%.*f %s", u == 0 ? 0 : fabs(n) < 10 ? 2 : 1, n, names[u]);
    return buf;
}

char *format_kb(char *buf, double kb)
{
    static const char *const names[] = {"KiB", "MiB", "GiB", "TiB"};

    return scaled(buf, kb, 1024, names, 4);
}

static char *time_text(char *buf, double ns, const char *microseconds)
{
    const char *const names[] = {"ns", microseconds, "ms", "s"};

    return scaled(buf, ns, 1000, names, 4);
}

char *format_ns(char *buf, double ns)
{
    return time_text(buf, ns, escape_ascii ? "us" : "µs");
}

char *format_unit(char *buf, enum unit unit, double n)
{
    switch (unit) {
    case UNIT_KB:
        return format_kb(buf, n);
    case UNIT_NS:
        return time_text(buf, n, "µs");
    case UNIT_PAGES:
        return format_noun(buf, (int64_t)llround(n), "page");
    case UNIT_PERCENT:
        snprintf(buf, FORMAT_MAX, "%.0f %%", n);
        return buf;
    default:
        return format_count(buf, (int64_t)llround(n));
    }
}

char *format_noun(char *buf, int64_t n, const char *singular)
{
    size_t len;

    format_count(buf, n);
    len = strlen(buf);
    snprintf(buf + len, FORMAT_MAX - len, " %s%s", singular, n == 1 ? "" : "s");
    return buf;
}

char *format_tick(char *buf, enum unit unit, double n)
{
    char *dot, *end;

    if (n == 0)
        return strcpy(buf, "0");
    format_unit(buf, unit, n);
    dot = strchr(buf, '.');
    if (!dot)
        return buf;
    end = dot + strspn(dot, ".0");
    if (*end == ' ')
        memmove(dot, end, strlen(end) + 1);
    return buf;
}

const char *format_mark(struct value v)
{
    return v.inferred ? "~" : "";
}

char *format_value(char *buf, struct value v, const char *unknown)
{
    char n[FORMAT_MAX];

    if (value_is_known(v))
        snprintf(buf, FORMAT_MAX, "%s%.40s", format_mark(v), format_count(n, v.n));
    else
        snprintf(buf, FORMAT_MAX, "%s", v.why == WHY_NOT_APPLICABLE ? "-" : unknown);
    return buf;
}
