#include "probes/words.h"

#include <stddef.h>
#include <string.h>

#define ROW2(e, code, text) {code, text, NULL},
#define ROW3(e, code, text, label) {code, text, label},
#define ROWQ(e, column, type) {#column, type},

const struct word share_modes[] = {SHARE_MODES(ROW3){0, NULL, NULL}};
const struct word page_states[] = {PAGE_STATES(ROW3){0, NULL, NULL}};
const struct word phases[] = {PHASES(ROW2){0, NULL, NULL}};
const struct word write_outcomes[] = {WRITE_OUTCOMES(ROW3){0, NULL, NULL}};
const struct word inherits[] = {INHERITS(ROW2){0, NULL, NULL}};
const struct word unknown_reasons[] = {UNKNOWN_REASONS(ROW3){0, NULL, NULL}};

const struct quantity region_quantities[] = {REGION_QUANTITIES(ROWQ){NULL, 0}};
const struct quantity process_quantities[] = {PROCESS_QUANTITIES(ROWQ){NULL, 0}};
const struct quantity total_quantities[] = {TOTAL_QUANTITIES(ROWQ){NULL, 0}};

static const struct word *find_code(const struct word *list, int code)
{
    for (; list->text; list++)
        if (list->code == code)
            return list;
    return NULL;
}

const char *word_text(const struct word *list, int code)
{
    const struct word *w = find_code(list, code);

    return w ? w->text : NULL;
}

const char *word_label(const struct word *list, int code)
{
    const struct word *w = find_code(list, code);

    return w ? w->label : NULL;
}

int word_code(const struct word *list, const char *text)
{
    for (; list->text; list++)
        if (strcmp(list->text, text) == 0)
            return list->code;
    return -1;
}

int quantity_index(const struct quantity *list, const char *column)
{
    for (int i = 0; list[i].column; i++)
        if (strcmp(list[i].column, column) == 0)
            return i;
    return -1;
}

const struct word *quantity_words(enum quantity_type type)
{
    switch (type) {
    case QT_SHARE_MODE:
        return share_modes;
    case QT_OUTCOME:
        return write_outcomes;
    case QT_INHERIT:
        return inherits;
    default:
        return NULL;
    }
}

char *protection_text(int prot, char *buf)
{
    for (int i = 0; i < 3; i++)
        buf[i] = prot & (1 << i) ? "rwx"[i] : '-';
    buf[3] = '\0';
    return buf;
}

int protection_code(const char *text)
{
    int prot = 0;

    if (strlen(text) != 3)
        return -1;
    for (int i = 0; i < 3; i++) {
        if (text[i] == "rwx"[i])
            prot |= 1 << i;
        else if (text[i] != '-')
            return -1;
    }
    return prot;
}

bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}
