#include "reports/write/page.h"

#include "probes/list.h"
#include "reports/draw/palette.h"
#include "reports/escape.h"
#include <ctype.h>
#include <md4c-html.h>
#include <stdbool.h>

static int begin(struct page_text *t)
{
    t->out = open_memstream(&t->text, &t->len);
    return t->out ? 0 : -ENOMEM;
}

/* The text is whole; a stream of memory fails for want of it only. */
static int end(struct page_text *t)
{
    bool bad = t->out && (ferror(t->out) | fclose(t->out));

    t->out = NULL;
    return bad || !t->text ? -ENOMEM : 0;
}

static void drop(struct page_text *t)
{
    if (t->out)
        fclose(t->out);
    free(t->text);
    *t = (struct page_text){NULL, NULL, 0};
}

int page_open(struct page *p)
{
    *p = (struct page){.style = NULL};
    return begin(&p->markdown) || begin(&p->walks) ? -ENOMEM : 0;
}

void page_close(struct page *p)
{
    drop(&p->markdown);
    drop(&p->walks);
    drop(&p->picture);
    free(p->style);
}

FILE *page_picture(struct page *p)
{
    drop(&p->picture);
    return begin(&p->picture) ? NULL : p->picture.out;
}

/* Classes and ids are the whole page's: what each picture defines is cut out of it. */
int page_picture_end(struct page *p)
{
    static const char last[] = "</style>\n";
    const char *from, *to;

    if (end(&p->picture))
        return -ENOMEM;
    from = strstr(p->picture.text, "<defs>");
    to = from ? strstr(from, last) : NULL;
    to = to ? to + sizeof last - 1 : from;
    if (from && !p->style && !(p->style = strndup(from, (size_t)(to - from))))
        return -ENOMEM;
    fputs("<figure tabindex=\"0\">", p->markdown.out);
    fwrite(p->picture.text, 1, from ? (size_t)(from - p->picture.text) : 0, p->markdown.out);
    fputs(from ? to : p->picture.text, p->markdown.out);
    fputs("</figure>\n\n", p->markdown.out);
    return 0;
}

/* -- what markdown does not say ---------------------------------------------------------- */

struct headings {
    char **ids;
    size_t n;
};

/* What a link to a heading names, as GitHub has it: its text in lower case, without punctuation,
 * a dash for a space. Malloc'd. */
static char *heading_id(const char *from, const char *to)
{
    char *id = malloc((size_t)(to - from) + 1);
    size_t n = 0;

    for (const char *p = from; id && p < to; p++) {
        if (*p == '<' || *p == '&')
            p += strcspn(p, *p == '<' ? ">" : ";");
        else if (isalnum((unsigned char)*p) || strchr("-_ ", *p) || (unsigned char)*p >= 0x80)
            id[n++] = *p == ' ' ? '-' : (char)tolower((unsigned char)*p);
    }
    if (id)
        id[n] = '\0';
    return id;
}

/* The tag of a heading that begins at `at`, with its id; those that read the same are numbered. */
static int put_heading(FILE *out, struct headings *h, const char *at, const char *to)
{
    char **id = LIST_ADD(h->ids, h->n);
    int same = 0;

    if (!id || !(*id = heading_id(at + 4, to)))
        return -ENOMEM;
    for (size_t i = 0; i + 1 < h->n; i++)
        same += strcmp(h->ids[i], *id) == 0;
    fprintf(out, "<h%c id=\"%s", at[2], *id);
    if (same)
        fprintf(out, "-%d", same);
    fputs("\">", out);
    return 0;
}

/* Headings get their ids, tables a box in which a wide one moves. What others wrote has no '<'. */
static int put_body(FILE *out, const char *html)
{
    struct headings h = {NULL, 0};
    int rc = 0;

    for (const char *p = html, *next; *p && rc == 0; p = next) {
        const char *to =
            p[0] == '<' && p[1] == 'h' && isdigit((unsigned char)p[2]) ? strstr(p, "</h") : NULL;

        next = p + 1 + strcspn(p + 1, "<");
        if (to) {
            rc = put_heading(out, &h, p, to);
            fwrite(p + 4, 1, (size_t)(next - p - 4), out);
            continue;
        }
        if (strncmp(p, "<table>", 7) == 0)
            fputs("<div class=\"scroll\" tabindex=\"0\">", out);
        fwrite(p, 1, (size_t)(next - p), out);
        if (strncmp(p, "</table>", 8) == 0)
            fputs("</div>\n", out);
    }
    for (size_t i = 0; i < h.n; i++)
        free(h.ids[i]);
    free(h.ids);
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

static void put_head(FILE *out, const struct page *p)
{
    const char *style = p->style ? strstr(p->style, "<style>") : NULL;

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
                (int)(style - p->style), p->style);
}

/* The words of the page states, and the walks. */
static void put_data(FILE *out, const struct page *p)
{
    fputs("<script type=\"application/json\">{\"states\":[", out);
    for (const struct word *w = page_states; w->text; w++) {
        fprintf(out, "%s[\"%s\",\"%c\",\"", w == page_states ? "" : ",", w->text,
                state_style(w->code)->letter);
        escape_json(out, w->label);
        fputs("\"]", out);
    }
    fprintf(out, "],\"runs\":[%s]}</script>\n", p->walks.text);
}

int page_write(struct page *p, FILE *out)
{
    struct page_text html = {NULL, NULL, 0};
    int rc = end(&p->markdown) || end(&p->walks) || begin(&html) ? -ENOMEM : 0;

    if (rc == 0 && md_html(p->markdown.text, (MD_SIZE)p->markdown.len, take_html, html.out,
                           MD_FLAG_TABLES | MD_FLAG_NOINDENTEDCODEBLOCKS, 0))
        rc = -ENOMEM;
    rc = rc ? rc : end(&html);
    if (rc == 0) {
        put_head(out, p);
        fputs("<main>\n", out);
        rc = put_body(out, html.text);
        fputs("</main>\n", out);
        put_data(out, p);
        fprintf(out, "<script>%s</script>\n</body>\n</html>\n", part(".js"));
    }
    drop(&html);
    return rc;
}
