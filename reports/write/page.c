#include "reports/write/page.h"

#include "reports/draw/palette.h"
#include "reports/escape.h"
#include "reports/write/anchors.h"
#include <ctype.h>
#include <errno.h>
#include <md4c-html.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static int begin(struct page_text *t)
{
    t->out = open_memstream(&t->text, &t->len);
    return t->out ? 0 : -ENOMEM;
}

/* The text is whole; a stream of memory fails for want of it only. */
static int end(struct page_text *t)
{
    bool bad = t->out && ferror(t->out);

    bad |= t->out && fclose(t->out);
    t->out = NULL;
    return bad || !t->text ? -ENOMEM : 0;
}

int page_open(struct page *p)
{
    *p = (struct page){.markdown = {.out = NULL}};
    return begin(&p->markdown) || begin(&p->walks) ? -ENOMEM : 0;
}

void page_close(struct page *p)
{
    for (struct page_text *t = &p->markdown; t <= &p->html; t++) {
        end(t);
        free(t->text);
    }
}

/* -- what markdown does not say ---------------------------------------------------------- */

/* Without tags; an entity is punctuation, which no link names. Malloc'd. */
static char *heading_text(const char *from, const char *to)
{
    char *text = malloc((size_t)(to - from) + 1), *end = text;

    for (const char *p = from; text && p < to; p++)
        if (*p == '<' || *p == '&')
            p += strcspn(p, *p == '<' ? ">" : ";");
        else
            *end++ = *p;
    if (text)
        *end = '\0';
    return text;
}

/* The end of the heading that begins at p; NULL: none does. */
static const char *heading_end(const char *p)
{
    return p[0] == '<' && p[1] == 'h' && isdigit((unsigned char)p[2]) ? strstr(p, "</h") : NULL;
}

static const char *next_anchor(struct anchors *a, const char *at, const char *to)
{
    char *text = heading_text(at + 4, to);
    const char *anchor = text ? anchor_next(a, text) : NULL;

    free(text);
    return anchor;
}

/* Those of the sections, which the line of links leads to: whatever stands below them in a closed
 * part, they are the same in the document that is no page. */
static int section_anchors(struct anchors *a, const char *html)
{
    for (const char *p = html, *to; (p = strstr(p, "<h")); p++)
        if ((p[2] == '1' || p[2] == '2') && (to = heading_end(p)) && !next_anchor(a, p, to))
            return -ENOMEM;
    return 0;
}

/* Headings get their ids, tables a box in which a wide one moves; what each picture defines is left
 * out: classes and ids are the page's. What others wrote has no '<'. */
static int put_body(FILE *out, const char *html)
{
    struct anchors a = {NULL, 0};
    const char *style_end;
    size_t section = 0;
    int rc = section_anchors(&a, html);

    for (const char *p = html, *next; *p && rc == 0; p = next) {
        const char *to = heading_end(p), *anchor;

        next = p + 1 + strcspn(p + 1, "<");
        if (strncmp(p, "<defs>", 6) == 0 && (style_end = strstr(p, "</style>"))) {
            next = style_end + 8;
            continue;
        }
        if (to) {
            anchor = p[2] <= '2' ? a.used[section++] : next_anchor(&a, p, to);
            rc = anchor ? 0 : -ENOMEM;
            fprintf(out, "<h%c id=\"%s\">", p[2], anchor ? anchor : "");
            fwrite(p + 4, 1, (size_t)(next - p - 4), out);
            continue;
        }
        if (strncmp(p, "<table>", 7) == 0)
            fputs("<div class=\"scroll\" tabindex=\"0\">", out);
        fwrite(p, 1, (size_t)(next - p), out);
        if (strncmp(p, "</table>", 8) == 0)
            fputs("</div>\n", out);
    }
    anchors_release(&a);
    return rc;
}

static void take_html(const MD_CHAR *text, MD_SIZE n, void *out)
{
    fwrite(text, 1, n, out);
}

static const char *part(const char *ending)
{
    for (const struct embedded_text *t = embedded_page; t->path; t++)
        if (strcmp(t->path + strlen(t->path) - strlen(ending), ending) == 0)
            return t->text;
    return "";
}

/* The colours of the page states, by their number. */
static void put_colours(FILE *out)
{
    for (const struct state_style *s = state_styles; s->letter; s++)
        fprintf(out, ".k%d{background:%s;color:%s}", s->state, s->fill, s->ink);
    fputs("\n@media screen and (prefers-color-scheme:dark){", out);
    for (const struct state_style *s = state_styles; s->letter; s++)
        fprintf(out, ".k%d{background:%s}", s->state, s->fill_dark);
    fputs("}\n", out);
}

/* The definitions of the first picture are all pictures'. */
static void put_head(FILE *out, const char *html)
{
    const char *defs = strstr(html, "<defs>"), *style = defs ? strstr(defs, "<style>") : NULL;

    fprintf(out,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
            "style-src 'unsafe-inline'; script-src 'sha256-%.44s'; img-src data:; "
            "base-uri 'none'; form-action 'none'\">\n"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
            "<meta name=\"color-scheme\" content=\"light dark\">\n"
            "<link rel=\"icon\" href=\"data:,\">\n<title>cowlab report</title>\n<style>\n",
            part(".hash"));
    put_colours(out);
    fputs(part(".css"), out);
    /* Nested: what pictures call their classes is nobody else's. */
    if (style)
        fprintf(out, "figure>svg{%.*s}\n", (int)strcspn(style + 7, "<"), style + 7);
    fputs("</style>\n</head>\n<body>\n", out);
    if (style)
        fprintf(out,
                "<svg width=\"0\" height=\"0\" class=\"defs\" aria-hidden=\"true\">%.*s</svg>\n",
                (int)(style - defs), defs);
}

/* The words of the page states, and the walks. */
static void put_data(FILE *out, const char *walks)
{
    fputs("<script type=\"application/json\">{\"states\":[", out);
    for (const struct word *w = page_states; w->text; w++) {
        fprintf(out, "%s[\"%s\",\"%c\",\"", w == page_states ? "" : ",", w->text,
                state_style(w->code)->letter);
        escape_json(out, w->label);
        fputs("\"]", out);
    }
    fprintf(out, "],\"runs\":[%s]}</script>\n", walks);
}

int page_write(struct page *p, FILE *out)
{
    int rc = end(&p->markdown) || end(&p->walks) || begin(&p->html) ? -ENOMEM : 0;

    if (rc == 0 && md_html(p->markdown.text, (MD_SIZE)p->markdown.len, take_html, p->html.out,
                           MD_FLAG_TABLES | MD_FLAG_NOINDENTEDCODEBLOCKS, 0))
        rc = -ENOMEM;
    if (rc || end(&p->html))
        return -ENOMEM;
    put_head(out, p->html.text);
    fputs("<main>\n", out);
    rc = put_body(out, p->html.text);
    fputs("</main>\n", out);
    put_data(out, p->walks.text);
    fprintf(out, "<script>%s</script>\n</body>\n</html>\n", part(".js"));
    return rc;
}
