#include "tests/support/rewrite.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *path_of(const char *file)
{
    static char path[512];

    snprintf(path, sizeof path, "%s/%s", getenv("TOP") ? getenv("TOP") : ".", file);
    return path;
}

char *tree_text(const char *file)
{
    FILE *f = fopen(path_of(file), "rb");
    char *text = NULL;
    size_t size = 0;

    if (!f)
        fail_msg("cannot open %s", path_of(file));
    if (getdelim(&text, &size, '\0', f) < 0)
        fail_msg("cannot read %s", path_of(file));
    fclose(f);
    return text;
}

void tree_is_or_rewrite(const char *file, const char *text, const char *wanted)
{
    int line = 1;
    size_t i = 0, start = 0;
    FILE *f;

    if (strcmp(text, wanted) == 0)
        return;
    if (getenv("REWRITE")) {
        f = fopen(path_of(file), "wb");
        assert_non_null(f);
        fputs(wanted, f);
        assert_int_equal(fclose(f), 0);
        return;
    }
    for (; text[i] && text[i] == wanted[i]; i++)
        if (text[i] == '\n') {
            line++;
            start = i + 1;
        }
    fail_msg("%s:%d is not what it is made of, which says\n%.*s\nto rewrite the file: REWRITE=1 %s",
             file, line, (int)strcspn(wanted + start, "\n"), wanted + start,
             program_invocation_name);
}
