/* bind: what names in expressions stand for: parameters and case columns; and `when`,
 * which asks about them. */
#include "lab/plan/text/reader.h"
#include "probes/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Most parameters, and most columns. */
#define MAX_BINDINGS 60
#define MAX_CASES 1000
/* page_size and backend */
#define NBUILTIN 2

/* A parameter or column name: no '-', which would be a minus in an expression. */
static int check_binding_name(const struct reader *r, const cJSON *at, const char *name)
{
    /* A parameter's name is a key of the document, a column's is a value. */
    size_t offset = at->string == name ? key_offset(r, at) : value_offset(r, at);

    if (!is_name(name) || strchr(name, '-'))
        return fail_offset(r, at, offset,
                           "'%.70s' is not a name (a letter, then letters, digits and '_')", name);
    if (find_binding(r, name, strlen(name)))
        return fail_offset(r, at, offset, "'%s' has a meaning already", name);
    return 0;
}

static bool scalar_equal(const struct scalar *a, const struct scalar *b)
{
    return a->type == b->type &&
           (a->type == SCALAR_TEXT ? strcmp(a->text, b->text) == 0 : a->n == b->n);
}

/* "0", "true", "purgeable": for messages and for what is stored. */
static const char *scalar_text(const struct scalar *s, char *buf, size_t size)
{
    if (s->type == SCALAR_INT)
        snprintf(buf, size, "%lld", (long long)s->n);
    else
        snprintf(buf, size, "%.60s", s->type == SCALAR_BOOL ? s->n ? "true" : "false" : s->text);
    return buf;
}

/* Is s one of the scalars of the array? They are all read, so that a bad one is found. */
static int among(const struct reader *r, const cJSON *array, const struct scalar *s, bool *found)
{
    const cJSON *item;
    int rc = 0;

    *found = false;
    cJSON_ArrayForEach (item, array) {
        struct scalar allowed;
        int one = read_scalar(r, item, &allowed);

        if (one == 0 && allowed.type != s->type)
            one = fail_at(r, item, "expected %s, not %s", scalar_kind(s->type),
                          scalar_kind(allowed.type));
        *found = *found || (one == 0 && scalar_equal(&allowed, s));
        rc = either(rc, one);
        if (fatal(rc))
            break;
    }
    return rc;
}

static int check_one_of(const struct reader *r, const cJSON *one_of, const struct scalar *v,
                        const cJSON *at)
{
    char buf[64];
    bool found;
    int rc = check_array(r, one_of);

    if (rc == 0 && cJSON_GetArraySize(one_of) == 0)
        return fail_at(r, one_of, "no value is allowed");
    if (rc == 0)
        rc = among(r, one_of, v, &found);
    if (rc == 0 && !found)
        rc = fail_at(r, at ? at : one_of, "'%s' is not one of the allowed values",
                     scalar_text(v, buf, sizeof buf));
    return rc;
}

/* Does v keep to min, max and one_of? at: where v stands; NULL: it was set from outside, and the
 * error points at the rule. */
static int check_value(const struct reader *r, const cJSON *def, const struct scalar *v,
                       const cJSON *at)
{
    static const char *const keys[] = {"min", "max"};
    const cJSON *one_of = member(def, "one_of");
    int rc = 0;

    for (int i = 0; i < 2; i++) {
        const cJSON *rule = member(def, keys[i]);
        int64_t limit = 0;
        int one;

        if (!rule)
            continue;
        if (v->type != SCALAR_INT)
            one = fail_at_key(r, rule, "'%s' is for whole numbers, and this is %s", keys[i],
                              scalar_kind(v->type));
        else
            one = read_int(r, rule, INT64_MIN, INT64_MAX, &limit);
        if (one == 0 && (i == 0 ? v->n < limit : v->n > limit))
            one = fail_at(r, at ? at : rule, "%lld is %s %lld", (long long)v->n,
                          i == 0 ? "below the minimum" : "above the maximum", (long long)limit);
        rc = either(rc, one);
    }
    return one_of ? either(rc, check_one_of(r, one_of, v, at)) : rc;
}

/* Reads a setting as the type that the default has. */
static int read_setting(const struct reader *r, const cJSON *def, const char *value,
                        struct scalar *v)
{
    int rc;

    if (v->type == SCALAR_TEXT) {
        v->text = value;
        for (const char *p = value; *p; p++)
            if ((unsigned char)*p < 0x20 || *p == 0x7f)
                return fail_at_key(r, def, "set to a text with a control character");
        return 0;
    }
    if (v->type == SCALAR_BOOL) {
        v->n = strcmp(value, "true") == 0 || strcmp(value, "yes") == 0;
        if (!v->n && strcmp(value, "false") != 0 && strcmp(value, "no") != 0)
            return fail_at_key(r, def, "set to '%.60s', which is neither true nor false", value);
        return 0;
    }
    rc = parse_amount(value, strlen(value), &v->n);
    return rc < 0 ? fail_at_key(r, def, "set to '%.60s', which is %s", value,
                                rc == -ERANGE ? "too large" : "not a whole number")
                  : 0;
}

static int read_default(const struct reader *r, const cJSON *def, const char *backend,
                        struct scalar *v)
{
    const cJSON *common = member(def, "default"), *own = common;
    struct scalar first = {SCALAR_INT, 0, NULL};
    char key[64];
    int rc;

    if (backend) {
        snprintf(key, sizeof key, "default.%s", backend);
        own = member(def, key);
        if (!own)
            return 0;
    }
    rc = read_scalar(r, own, v);
    if (rc == 0 && backend)
        rc = read_scalar(r, common, &first);
    if (rc == 0 && backend && first.type != v->type)
        return fail_at(r, own, "expected %s, as the default is, not %s", scalar_kind(first.type),
                       scalar_kind(v->type));
    return rc < 0 ? rc : check_value(r, def, v, own);
}

static int read_param(const struct reader *r, const cJSON *def,
                      const struct param_setting *settings, size_t nsettings, struct scalar *v)
{
    static const struct field fields[] = {FIELD_ANY("default", NEEDED),
                                          FIELD_ANY("default.", OPTIONAL),
                                          FIELD_ANY("min", OPTIONAL),
                                          FIELD_ANY("max", OPTIONAL),
                                          FIELD_ANY("one_of", OPTIONAL),
                                          FIELD_ANY("note", OPTIONAL),
                                          FIELD_END};
    int rc = read_fields(r, def, fields, NULL);

    if (rc == 0)
        rc = read_default(r, def, NULL, v);
    if (rc == 0)
        rc = read_default(r, def, r->ability->name, v);
    for (size_t i = 0; i < nsettings && rc == 0; i++) {
        if (strcmp(settings[i].name, def->string) != 0)
            continue;
        rc = read_setting(r, def, settings[i].value, v);
        if (rc == 0)
            rc = check_value(r, def, v, NULL);
    }
    return rc;
}

/* Every setting must name a parameter. */
static int check_settings(const struct reader *r, const struct param_setting *settings, size_t n)
{
    const char *names[MAX_BINDINGS];
    size_t nnames = 0;
    int rc = 0;

    for (size_t i = NBUILTIN; i < r->params.n; i++)
        names[nnames++] = r->params.at[i].name;
    for (size_t i = 0; i < n; i++) {
        const struct binding *b = find_binding(r, settings[i].name, strlen(settings[i].name));

        if ((b && b >= &r->params.at[NBUILTIN]) || (!b && r->names_in_doubt))
            continue;
        if (nnames == 0)
            rc = either(rc, fail_nowhere(r, "no parameter '%.60s': the scenario has none",
                                         settings[i].name));
        else
            rc = either(rc,
                        fail_nowhere(r, "no parameter '%.60s', the nearest known is '%s'",
                                     settings[i].name, nearest(settings[i].name, names, nnames)));
    }
    return rc;
}

int bind_params(struct reader *r, const cJSON *params, const struct param_setting *settings,
                size_t nsettings)
{
    int rc = params ? check_object(r, params) : 0;
    const cJSON *def, *list = rc == 0 ? params : NULL;

    r->names_in_doubt = r->names_in_doubt || rc < 0;
    r->params.at = calloc(MAX_BINDINGS, sizeof *r->params.at);
    if (!r->params.at)
        return err_no_memory(r->e);
    r->params.at[r->params.n++] =
        (struct binding){"page_size", {SCALAR_INT, (int64_t)r->page_size, NULL}};
    r->params.at[r->params.n++] = (struct binding){"backend", {SCALAR_TEXT, 0, r->ability->name}};
    cJSON_ArrayForEach (def, list) {
        struct scalar v = {SCALAR_INT, 0, NULL};
        int name, value;

        if (r->params.n == MAX_BINDINGS) {
            rc =
                either(rc, fail_at_key(r, def, "more than %d parameters", MAX_BINDINGS - NBUILTIN));
            r->names_in_doubt = true;
            break;
        }
        name = check_binding_name(r, def, def->string);
        value = read_param(r, def, settings, nsettings, &v);
        rc = either(rc, either(name, value));
        if (fatal(rc))
            return rc;
        if (value < 0)
            v.type = SCALAR_DOUBT;
        if (name < 0)
            r->names_in_doubt = true;
        else
            r->params.at[r->params.n++] = (struct binding){def->string, v};
    }
    return either(rc, check_settings(r, settings, nsettings));
}

int copy_params(const struct reader *r, struct plan *p)
{
    if (r->params.n == NBUILTIN)
        return 0;
    p->params = calloc(r->params.n - NBUILTIN, sizeof *p->params);
    if (!p->params)
        return err_no_memory(r->e);
    for (size_t i = NBUILTIN; i < r->params.n; i++) {
        const struct binding *b = &r->params.at[i];
        struct plan_param *param = &p->params[p->nparams++];
        char buf[64];
        int rc = copy_text(r, &param->name, b->name);

        if (rc == 0)
            rc = copy_text(r, &param->text,
                           b->value.type == SCALAR_TEXT ? b->value.text
                                                        : scalar_text(&b->value, buf, sizeof buf));
        if (rc < 0)
            return rc;
        param->is_number = b->value.type == SCALAR_INT;
    }
    return 0;
}

int bind_count(struct reader *r, const cJSON *node, uint64_t n)
{
    struct scalar v = {SCALAR_INT, (int64_t)n, NULL};
    const struct binding *old;
    const char *name;
    struct binding *at;
    int rc = read_text(r, node, false, &name);

    old = rc == 0 ? find_binding(r, name, strlen(name)) : NULL;
    if (old && r->counts.n && old >= r->counts.at && old < r->counts.at + r->counts.n) {
        r->counts.at[old - r->counts.at].value = v;
        return 0;
    }
    if (rc == 0)
        rc = check_binding_name(r, node, name);
    if (rc < 0)
        return rc;
    at = LIST_ADD(r->counts.at, r->counts.n);
    if (!at || places_add(&r->counts.names, places_hash_text(0, name), r->counts.n) < 0)
        return err_no_memory(r->e);
    *at = (struct binding){name, v};
    return 0;
}

/* One condition: equal to a scalar, among an array, or within {"min", "max"}. */
static int holds(const struct reader *r, const cJSON *node, const struct scalar *v, bool *out)
{
    static const struct field fields[] = {FIELD_ANY("min", OPTIONAL), FIELD_ANY("max", OPTIONAL),
                                          FIELD_END};
    const cJSON *min = member(node, "min"), *max = member(node, "max");
    int64_t low = INT64_MIN, high = INT64_MAX;
    struct scalar want;
    int rc;

    if (cJSON_IsArray(node))
        return among(r, node, v, out);
    if (!cJSON_IsObject(node)) {
        rc = read_scalar(r, node, &want);
        if (rc == 0 && want.type != v->type)
            return fail_at(r, node, "expected %s, not %s", scalar_kind(v->type),
                           scalar_kind(want.type));
        *out = rc == 0 && scalar_equal(&want, v);
        return rc;
    }
    rc = read_fields(r, node, fields, NULL);
    if (rc == 0 && v->type != SCALAR_INT)
        return fail_at(r, node, "a range is for whole numbers, and '%s' is %s", node->string,
                       scalar_kind(v->type));
    if (rc == 0 && min)
        rc = read_int(r, min, INT64_MIN, INT64_MAX, &low);
    if (!fatal(rc) && max)
        rc = either(rc, read_int(r, max, INT64_MIN, INT64_MAX, &high));
    *out = v->n >= low && v->n <= high;
    return rc;
}

static int no_binding(const struct reader *r, const cJSON *node)
{
    int rc = fail_again(r, "binding", node->string);

    return rc < 0 ? rc : fail_at_key(r, node, "no parameter or column '%.60s'", node->string);
}

int eval_when(const struct reader *r, const cJSON *when, bool *out)
{
    const cJSON *node;
    int rc = check_object(r, when);

    *out = true;
    if (rc < 0)
        return rc;
    cJSON_ArrayForEach (node, when) {
        const struct binding *b = find_binding(r, node->string, strlen(node->string));
        bool one = false;

        if (b ? b->value.type == SCALAR_DOUBT : r->names_in_doubt)
            rc = either(rc, -EINVAL);
        else if (!b)
            rc = either(rc, no_binding(r, node));
        else
            rc = either(rc, holds(r, node, &b->value, &one));
        if (fatal(rc))
            return rc;
        *out = *out && one;
    }
    return rc;
}

static int read_columns(struct reader *r, const cJSON *columns, struct cases *out)
{
    const cJSON *node;
    int rc = check_array(r, columns), n;

    if (rc < 0)
        return rc;
    n = cJSON_GetArraySize(columns);
    if (n > MAX_BINDINGS)
        return fail_at(r, columns, "more than %d columns", MAX_BINDINGS);
    out->columns = calloc((size_t)n + 1, sizeof *out->columns);
    if (!out->columns)
        return err_no_memory(r->e);
    out->name_column = (size_t)n;
    cJSON_ArrayForEach (node, columns) {
        const char *name;
        int one = read_text(r, node, false, &name);

        if (one == 0)
            one = check_binding_name(r, node, name);
        for (size_t i = 0; i < out->ncolumns && one == 0; i++)
            if (strcmp(out->columns[i], name) == 0)
                one = fail_at(r, node, "column '%s' stands twice", name);
        rc = either(rc, one);
        if (fatal(rc))
            return rc;
        if (one < 0)
            continue;
        if (strcmp(name, "case") == 0)
            out->name_column = out->ncolumns;
        out->columns[out->ncolumns++] = name;
    }
    if (rc == 0 && out->name_column == (size_t)n)
        return fail_at(r, columns, "a column 'case' is missing: it names each row");
    return rc;
}

static const char *case_name(const struct cases *c, size_t row)
{
    return c->cells[row * c->ncolumns + c->name_column].value.text;
}

static int check_case_name(const struct reader *r, const struct cases *c, const cJSON *node,
                           const struct scalar *v)
{
    if (v->type != SCALAR_TEXT)
        return fail_at(r, node, "a case's name must be text, not %s", scalar_kind(v->type));
    if (*v->text == '\0' || strlen(v->text) > 100)
        return fail_at(r, node, "a case's name has 1 to 100 bytes");
    for (size_t row, hash = places_hash_text(0, v->text), i = hash;
         (row = places_next(&c->names, hash, &i));)
        if (strcmp(case_name(c, row - 1), v->text) == 0)
            return fail_at(r, node, "case '%.60s' stands twice", v->text);
    return check_controls(r, node, v->text, false);
}

static int read_row(const struct reader *r, const cJSON *row, struct cases *out)
{
    struct binding *cells = out->cells + out->nrows * out->ncolumns;
    const cJSON *node;
    size_t i = 0;
    int rc = check_array(r, row), n = cJSON_GetArraySize(row);

    if (rc == 0 && (size_t)n != out->ncolumns && n != out->other_length) {
        out->other_length = n;
        rc = fail_at(r, row, "%d values for %zu columns", n, out->ncolumns);
    }
    if (rc == 0 && (size_t)n != out->ncolumns)
        rc = -EINVAL; /* it may be the columns that are wrong */
    if (rc < 0)
        return rc;
    cJSON_ArrayForEach (node, row) {
        int one = read_scalar(r, node, &cells[i].value);

        if (one == 0 && i == out->name_column)
            one = check_case_name(r, out, node, &cells[i].value);
        if (one == 0 && out->nrows > 0 && cells[i].value.type != out->cells[i].value.type &&
            !(out->mixed & 1ull << i)) {
            out->mixed |= 1ull << i; /* said once: it may be the first row that is wrong */
            one = fail_at(r, node, "expected %s, as in the first row, not %s",
                          scalar_kind(out->cells[i].value.type), scalar_kind(cells[i].value.type));
        }
        rc = either(rc, one);
        if (fatal(rc))
            return rc;
        cells[i].name = out->columns[i];
        i++;
    }
    if (rc < 0)
        return rc;
    out->nrows++;
    return places_add(&out->names, places_hash_text(0, case_name(out, out->nrows - 1)),
                      out->nrows) < 0
               ? err_no_memory(r->e)
               : 0;
}

int read_cases(struct reader *r, const cJSON *node, struct cases *out)
{
    static const struct field fields[] = {FIELD_ANY("columns", NEEDED), FIELD_ANY("rows", NEEDED),
                                          FIELD_END};
    const cJSON *rows, *row;
    int rc = read_fields(r, node, fields, NULL);

    if (rc == 0)
        rc = read_columns(r, member(node, "columns"), out);
    if (rc < 0)
        return rc;
    rows = member(node, "rows");
    rc = check_array(r, rows);
    if (rc < 0)
        return rc;
    if (cJSON_GetArraySize(rows) == 0)
        return fail_at(r, rows, "no case");
    if (cJSON_GetArraySize(rows) > MAX_CASES)
        return fail_at(r, rows, "more than %d cases", MAX_CASES);
    out->cells = calloc((size_t)cJSON_GetArraySize(rows) * out->ncolumns, sizeof *out->cells);
    if (!out->cells)
        return err_no_memory(r->e);
    cJSON_ArrayForEach (row, rows) {
        rc = either(rc, read_row(r, row, out));
        if (fatal(rc))
            return rc;
    }
    return rc;
}

void cases_release(struct cases *c)
{
    free(c->columns);
    free(c->cells);
    free(c->names.at);
    *c = (struct cases){0};
}

void use_case(struct reader *r, const struct cases *c, long row)
{
    r->columns = (struct bindings){0};
    r->case_name = NULL;
    if (row < 0)
        return;
    r->columns = (struct bindings){.at = c->cells + (size_t)row * c->ncolumns, .n = c->ncolumns};
    r->case_name = case_name(c, (size_t)row);
}
