/* page: a document as one HTML file that asks for nothing: style, script, pictures and the data of
 * its walks (reports/page/) are inside.
 *
 * The markdown and its raw HTML are ours; what others chose is in them escaped (escape.h), so that
 * no markup of theirs comes out. The script is let through by its hash alone.
 * Lifetime: page_open ... page_close. */
#pragma once

#include "db/embedded.h"
#include <stdbool.h>
#include <stdio.h>

/* The files of reports/page/, and the hash of the script; ends with path NULL. */
extern const struct embedded_text embedded_page[];

/* What is written to a stream and kept. */
struct page_text {
    FILE *out;
    char *text;
    size_t len;
};

struct page {
    struct page_text markdown, walks, html;
    bool full; /* a walk had no room for all its steps */
};

/* 0 or -ENOMEM, as those below. */
int page_open(struct page *p);
/* The markdown as a page. out's errors stay in it. */
int page_write(struct page *p, FILE *out);
void page_close(struct page *p);
