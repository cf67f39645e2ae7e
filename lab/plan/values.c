#include "lab/plan/values.h"

#include "lab/plan/text/reader.h"
#include "probes/list.h"
#include <inttypes.h>

void values_release(struct values *v)
{
    for (size_t i = 0; i < v->n; i++)
        free(v->list[i]);
    free(v->list);
    *v = (struct values){0};
}

/* text: malloc'd, or NULL for want of memory; the list's from here on. */
static int add(struct values *v, char *text, struct err *e)
{
    char **at = text ? LIST_ADD(v->list, v->n) : NULL;

    if (!at) {
        free(text);
        return err_no_memory(e);
    }
    *at = text;
    return 0;
}

static int add_number(struct values *v, int64_t n, struct err *e)
{
    char *text;

    return add(v, asprintf(&text, "%" PRId64, n) < 0 ? NULL : text, e);
}

/* FROM..TOxFACTOR, all three numbers. */
static bool is_range(const char *text, int64_t n[3], int *rc)
{
    const char *to = strstr(text, ".."), *factor = to ? strrchr(to, 'x') : NULL;
    int parsed[3];

    if (!factor)
        return false;
    parsed[0] = parse_amount(text, (size_t)(to - text), &n[0]);
    parsed[1] = parse_amount(to + 2, (size_t)(factor - to) - 2, &n[1]);
    parsed[2] = parse_amount(factor + 1, strlen(factor + 1), &n[2]);
    *rc = 0;
    for (int i = 0; i < 3; i++) {
        if (parsed[i] == -EINVAL)
            return false;
        *rc = parsed[i] < 0 ? parsed[i] : *rc;
    }
    return true;
}

static int add_range(struct values *v, const char *text, const int64_t n[3], int rc, struct err *e)
{
    if (rc == -ERANGE)
        return err_set(e, EINVAL, "a number in '%.60s' is too large", text);
    if (n[0] < 1 || n[1] < n[0] || n[2] < 2)
        return err_set(e, EINVAL,
                       "'%.60s' is no range: FROM..TOxFACTOR wants 1 or more, no less than that, "
                       "and 2 or more",
                       text);
    for (int64_t at = n[0]; rc == 0; at *= n[2]) {
        rc = add_number(v, at, e);
        if (at > n[1] / n[2])
            break;
    }
    return rc;
}

static int add_item(struct values *v, char *item, struct err *e)
{
    int64_t n[3];
    int rc;

    if (!item)
        return err_no_memory(e);
    if (!is_range(item, n, &rc))
        return add(v, item, e);
    rc = add_range(v, item, n, rc, e);
    free(item);
    return rc;
}

/* The text up to the next comma that stands for itself, with those that do not as they are meant;
 * *at goes behind it, or becomes NULL at the end. */
static char *next_item(const char **at)
{
    const char *p = *at;
    char *item = malloc(strlen(p) + 1);
    size_t len = 0;

    for (; item && *p && *p != ','; p++) {
        if (p[0] == '\\' && p[1] == ',')
            p++;
        item[len++] = *p;
    }
    if (item)
        item[len] = '\0';
    *at = *p ? p + 1 : NULL;
    return item;
}

int values_parse(struct values *out, const char *text, struct err *e)
{
    const char *at = text;
    int rc = 0;

    *out = (struct values){0};
    while (rc == 0 && at) {
        char *item = next_item(&at);

        if (item && !*item && (at || out->n)) {
            free(item);
            return err_set(e, EINVAL, "there is an empty value in '%.60s'", text);
        }
        rc = add_item(out, item, e);
    }
    return rc;
}
