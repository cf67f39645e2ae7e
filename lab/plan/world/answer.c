/* answer: what a step says of the scenario's question: a text with values of the step in it, which
 * are named as expectations name them. `answer`, or in its place `answer.<backend>`; null: none. */
#include "lab/plan/world/world.h"
#include "probes/list.h"

#include <stdlib.h>
#include <string.h>

#define ANSWER_BYTES 2000 /* a few sentences */

/* One answer being read. */
struct answering {
    const struct reader *r;
    struct world *w;
    struct draft *d;
    const cJSON *node;
    const char *own; /* the text as the scenario has it; NULL: it is the value of an expression */
    const char *at;  /* what is not read yet */
};

static size_t index_of(const struct answering *a, const char *at)
{
    return a->own ? (size_t)(at - a->own) : 0;
}

/* "{observed.key}" */
static int read_value(struct answering *a, struct expectation *out)
{
    const char *begin = a->at + 1, *end = strchr(begin, '}');
    char *name;
    int rc;

    if (!end) {
        rc = fail_inside(a->r, a->node, index_of(a, a->at),
                         "'{' has no '}'; a brace that stands for itself is '{{'");
        a->at += strlen(a->at);
        return rc;
    }
    a->at = end + 1;
    name = strndup(begin, (size_t)(end - begin));
    if (!name)
        return err_no_memory(a->r->e);
    rc = read_observed(a->r, a->w, a->d, a->node, index_of(a, begin), name, out);
    free(name);
    return rc;
}

/* Text up to a value or the end; of a brace that stands for itself there are two. */
static int read_stretch(struct answering *a)
{
    struct answer_part *part = LIST_ADD(a->d->step.answer, a->d->step.nanswer);
    char text[ANSWER_BYTES + 1];
    size_t n = 0;
    int rc;

    if (!part)
        return err_no_memory(a->r->e);
    for (; *a->at && (*a->at != '{' || a->at[1] == '{'); a->at++) {
        a->at += *a->at == '{';
        text[n++] = *a->at;
    }
    text[n] = '\0';
    rc = copy_text(a->r, &part->text, text);
    return rc == 0 && *a->at ? read_value(a, &part->value) : rc;
}

static int read_one(struct answering *a)
{
    int rc = read_text(a->r, a->node, false, &a->at);
    const char *text = a->node->valuestring;

    if (rc < 0)
        return rc;
    if (strlen(a->at) > ANSWER_BYTES)
        return fail_at(a->r, a->node, "more than %d bytes", ANSWER_BYTES);
    a->own = a->at == text || a->at == text + 1 ? text : NULL; /* "==..." begins with a '=' */
    while (*a->at && !fatal(rc))
        rc = either(rc, read_stretch(a));
    return rc;
}

int read_answer(const struct reader *r, struct world *w, struct draft *d)
{
    char key[64];
    const char *const keys[] = {"answer", key};
    int rc = 0;

    snprintf(key, sizeof key, "answer.%s", r->ability->name);
    for (size_t i = 0; i < sizeof keys / sizeof *keys && !fatal(rc); i++) {
        struct answering a = {.r = r, .w = w, .d = d, .node = member(d->node, keys[i])};

        if (!a.node)
            continue;
        answer_release(&d->step);
        if (!cJSON_IsNull(a.node))
            rc = either(rc, read_one(&a));
    }
    return rc;
}
