/* expr: "=expr": + - * / over whole numbers, parameters and case columns. Division
 * floors. A name alone may also be text or a boolean. Overflow, division by zero and unknown
 * names are errors at their place inside the text. */
#include "lab/plan/text/reader.h"

#include <string.h>

/* Parentheses and signs that may be open at once. */
#define EXPR_DEPTH 64

struct expr {
    const struct reader *r;
    const cJSON *node;
    const char *text, *p;
    int depth;
};

static int sum(struct expr *x, struct scalar *out);

/* Points at p inside the text; the '=' before it counts one. */
#define EXPR_FAIL(x, at, ...)                                                                      \
    fail_inside((x)->r, (x)->node, (size_t)((at) - (x)->text) + 1, __VA_ARGS__)

static char next(struct expr *x)
{
    while (*x->p == ' ')
        x->p++;
    return *x->p;
}

static bool is_text(const char *text, const char *name, size_t len)
{
    return strncmp(text, name, len) == 0 && text[len] == '\0';
}

const struct binding *find_binding(const struct reader *r, const char *name, size_t len)
{
    const struct bindings *lists[] = {&r->columns, &r->params}, *counts = &r->counts;

    for (size_t l = 0; l < 2; l++)
        for (size_t i = 0; i < lists[l]->n; i++)
            if (is_text(lists[l]->at[i].name, name, len))
                return &lists[l]->at[i];
    for (size_t row, hash = places_hash_bytes(0, name, len), i = hash;
         (row = places_next(&counts->names, hash, &i));)
        if (is_text(counts->at[row - 1].name, name, len))
            return &counts->at[row - 1];
    return NULL;
}

static int unknown_name(struct expr *x, const char *name, size_t len)
{
    const struct bindings *lists[] = {&x->r->columns, &x->r->params, &x->r->counts};
    const char *names[64];
    char copy[64];
    size_t n = 0;
    int rc;

    len = len < sizeof copy ? len : sizeof copy - 1;
    memcpy(copy, name, len);
    copy[len] = '\0';
    rc = fail_again(x->r, "binding", copy);
    if (rc < 0)
        return rc;
    for (size_t l = 0; l < 3; l++)
        for (size_t i = 0; i < lists[l]->n && n < 64; i++)
            names[n++] = lists[l]->at[i].name;
    return EXPR_FAIL(x, name, "no parameter or column '%s', the nearest known is '%s'", copy,
                     nearest(copy, names, n));
}

static int name(struct expr *x, struct scalar *out)
{
    static const char more[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
    size_t len = strspn(x->p, more);
    const struct binding *b = find_binding(x->r, x->p, len);

    if (b ? b->value.type == SCALAR_DOUBT : x->r->names_in_doubt)
        return -EINVAL;
    if (!b)
        return unknown_name(x, x->p, len);
    x->p += len;
    *out = b->value;
    return 0;
}

static int number(struct expr *x, struct scalar *out)
{
    size_t len = strspn(x->p, "0123456789");

    *out = (struct scalar){SCALAR_INT, 0, NULL};
    if (parse_int(x->p, len, &out->n) < 0)
        return EXPR_FAIL(x, x->p, "this number is too large");
    x->p += len;
    return 0;
}

static int need_int(struct expr *x, const char *at, const struct scalar *s)
{
    if (s->type == SCALAR_INT)
        return 0;
    return EXPR_FAIL(x, at, "arithmetic needs a whole number, and this is %s",
                     scalar_kind(s->type));
}

static int parenthesis(struct expr *x, struct scalar *out)
{
    const char *open = x->p++;
    int rc = sum(x, out);

    if (rc < 0)
        return rc;
    if (next(x) != ')')
        return EXPR_FAIL(x, open, "this parenthesis is never closed");
    x->p++;
    return 0;
}

static int minus(struct expr *x, struct scalar *out);

static int atom(struct expr *x, struct scalar *out)
{
    char c = next(x);
    const char *at = x->p;
    int rc;

    if (x->depth++ == EXPR_DEPTH)
        return EXPR_FAIL(x, at, "nested more than %d deep", EXPR_DEPTH);
    if (c == '(')
        rc = parenthesis(x, out);
    else if (c == '-')
        rc = minus(x, out);
    else if (c >= '0' && c <= '9')
        rc = number(x, out);
    else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_')
        rc = name(x, out);
    else
        rc = EXPR_FAIL(x, at, c ? "expected a number, a name or '('" : "the expression ends early");
    x->depth--;
    return rc;
}

static int minus(struct expr *x, struct scalar *out)
{
    const char *at = x->p++;
    int rc = atom(x, out);

    if (rc == 0)
        rc = need_int(x, at, out);
    if (rc == 0 && __builtin_sub_overflow((int64_t)0, out->n, &out->n))
        rc = EXPR_FAIL(x, at, "the result is too large");
    return rc;
}

static int combine(struct expr *x, const char *at, int64_t *a, int64_t b)
{
    bool over = false;

    switch (*at) {
    case '+':
        over = __builtin_add_overflow(*a, b, a);
        break;
    case '-':
        over = __builtin_sub_overflow(*a, b, a);
        break;
    case '*':
        over = __builtin_mul_overflow(*a, b, a);
        break;
    default:
        if (b == 0)
            return EXPR_FAIL(x, at, "division by zero");
        over = *a == INT64_MIN && b == -1;
        if (!over)
            *a = *a / b - (*a % b != 0 && (*a < 0) != (b < 0));
    }
    return over ? EXPR_FAIL(x, at, "the result is too large") : 0;
}

/* operand { operator operand }, left to right. */
static int chain(struct expr *x, const char *operators,
                 int (*operand)(struct expr *, struct scalar *), struct scalar *out)
{
    const char *begin = (next(x), x->p);
    int rc = operand(x, out);

    while (rc == 0 && next(x) && strchr(operators, *x->p)) {
        const char *at = x->p++, *right = (next(x), x->p);
        struct scalar other;

        rc = need_int(x, begin, out);
        if (rc == 0)
            rc = operand(x, &other);
        if (rc == 0)
            rc = need_int(x, right, &other);
        if (rc == 0)
            rc = combine(x, at, &out->n, other.n);
    }
    return rc;
}

static int product(struct expr *x, struct scalar *out)
{
    return chain(x, "*/", atom, out);
}

static int sum(struct expr *x, struct scalar *out)
{
    return chain(x, "+-", product, out);
}

int eval_expr(const struct reader *r, const cJSON *node, const char *text, struct scalar *out)
{
    struct expr x = {r, node, text, text, 0};
    int rc = sum(&x, out);

    if (rc == 0 && next(&x))
        return EXPR_FAIL(&x, x.p, "expected an operator");
    return rc;
}
