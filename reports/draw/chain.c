#include "reports/draw/chain.h"

#include "reports/draw/label.h"
#include "reports/draw/strips.h"
#include "reports/draw/svg.h"
#include "reports/format.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MARGIN 16.0
#define REGION_W 186.0
#define OBJECT_W 240.0
#define GAP 50.0
#define REGION_H 48.0
#define HEAD_H 34.0 /* name and counts of an object */
#define BLOCK_H 17.0
#define MAX_BLOCKS 4
#define MAX_PAGES                                                                                  \
    (1u << 22) /* of one panel; beyond it frames are not told apart by who sees them */
#define MAX_COLUMNS 6

/* Pages of an object that are alike: same reach, frames in a row. */
struct block {
    uint64_t first, count, frame;
    int reach; /* regions that see them; -1: unknown */
};

enum { REACH_UNKNOWN, REACH_HIDDEN, REACH_ONE, REACH_SEVERAL, REACH__COUNT };

struct node {
    uint64_t number; /* of the object; 0: a region's pages where no object was stored */
    const char *kind;
    const struct obs_region *owner; /* for number 0 */
    struct value refs, size, resident;
    uint64_t *frames; /* of each page of the object, as any region shows it; 0: none or unknown */
    uint64_t npages;
    int column;
    double x, y, h;
    struct block blocks[MAX_BLOCKS];
    size_t nblocks;               /* all of them; only up to MAX_BLOCKS are kept */
    uint64_t reach[REACH__COUNT]; /* pages */
    bool no_frames;               /* pages are there, but nobody's page table or no privilege tells
                                     where */
};

struct panel {
    const struct chain_panel *p;
    struct node *nodes;
    size_t nnodes;
    double *region_y;
    unsigned char *seen; /* by frame: how many regions show it, 255 at most */
    uint64_t nseen;
    double height;
};

/* As it shows in a region's box, and its pages. */
static bool region_differs(const struct chain_region *r)
{
    const struct obs_region *a = r->now, *b = r->before;

    return !b || a->needs_copy != b->needs_copy || a->nobjects != b->nobjects ||
           a->q[RQ_SHARE_MODE].n != b->q[RQ_SHARE_MODE].n ||
           a->q[RQ_REF_COUNT].n != b->q[RQ_REF_COUNT].n || !strip_same_runs(a, b);
}

/* As no region of the panel had it behind it before. */
static bool object_differs(const struct chain_panel *p, uint64_t number, struct value refs,
                           struct value resident)
{
    for (size_t i = 0; i < p->nregions; i++)
        for (size_t o = 0; p->regions[i].before && o < p->regions[i].before->nobjects; o++) {
            const struct obs_object *was = &p->regions[i].before->objects[o];

            if (was->number == number && was->refs.n == refs.n && was->resident.n == resident.n)
                return false;
        }
    return true;
}

bool chain_changed(const struct chain_panel *p)
{
    for (size_t i = 0; i < p->nregions; i++) {
        const struct obs_region *r = p->regions[i].now;

        if (region_differs(&p->regions[i]))
            return true;
        for (size_t o = 0; o < r->nobjects; o++)
            if (object_differs(p, r->objects[o].number, r->objects[o].refs, r->objects[o].resident))
                return true;
    }
    return false;
}

static uint64_t offset_of(const struct obs_object *o)
{
    return value_is_known(o->offset) && o->offset.n > 0 ? (uint64_t)o->offset.n : 0;
}

static uint64_t end_of(const struct page_run *runs, size_t n)
{
    uint64_t end = 0;

    for (size_t i = 0; i < n; i++)
        if (runs[i].frame && runs[i].first + runs[i].count > end)
            end = runs[i].first + runs[i].count;
    return end;
}

/* Writes the frames of runs into the node's pages, making room. */
static int fill_frames(struct node *n, const struct page_run *runs, size_t nruns, uint64_t offset)
{
    uint64_t end = end_of(runs, nruns) + offset;

    if (end > MAX_PAGES)
        return 0;
    if (end > n->npages) {
        uint64_t *more = realloc(n->frames, end * sizeof *more);

        if (!more)
            return -ENOMEM;
        memset(more + n->npages, 0, (end - n->npages) * sizeof *more);
        n->frames = more;
        n->npages = end;
    }
    for (size_t r = 0; r < nruns; r++)
        for (uint64_t i = 0; runs[r].frame && i < runs[r].count; i++)
            n->frames[runs[r].first + i + offset] = runs[r].frame + i;
    return 0;
}

static int reach_of(const struct panel *p, uint64_t frame)
{
    return frame && frame < p->nseen ? p->seen[frame] : -1;
}

static void add_block(struct node *n, const struct block *b)
{
    if (n->nblocks < MAX_BLOCKS)
        n->blocks[n->nblocks] = *b;
    n->nblocks++;
    n->reach[b->reach < 0    ? REACH_UNKNOWN
             : b->reach == 0 ? REACH_HIDDEN
             : b->reach == 1 ? REACH_ONE
                             : REACH_SEVERAL] += b->count;
}

/* Cuts the node's pages where frames or reach break. */
static void cut_blocks(const struct panel *p, struct node *n)
{
    for (uint64_t i = 0; i < n->npages;) {
        struct block b = {i, 1, n->frames[i], reach_of(p, n->frames[i])};

        if (b.frame == 0) {
            i++;
            continue;
        }
        while (i + b.count < n->npages && n->frames[i + b.count] == b.frame + b.count &&
               reach_of(p, b.frame + b.count) == b.reach)
            b.count++;
        add_block(n, &b);
        i += b.count;
    }
    n->no_frames = n->nblocks == 0 && value_is_known(n->resident) && n->resident.n > 0;
    n->h = HEAD_H + 6 + (n->no_frames ? BLOCK_H : 0);
    n->h += n->nblocks > MAX_BLOCKS ? 2 * BLOCK_H : BLOCK_H * (double)n->nblocks;
}

static struct node *find_node(struct panel *p, uint64_t number, const struct obs_region *owner)
{
    for (size_t i = 0; i < p->nnodes; i++)
        if (number ? p->nodes[i].number == number : p->nodes[i].owner == owner)
            return &p->nodes[i];
    return NULL;
}

static int add_node(struct panel *p, const struct obs_region *r, const struct obs_object *o)
{
    struct node *n = o ? find_node(p, o->number, NULL) : NULL;
    struct value none = value_na();

    if (!n) {
        n = &p->nodes[p->nnodes++];
        *n = (struct node){.number = o ? o->number : 0,
                           .kind = o ? o->kind : "pages",
                           .owner = o ? NULL : r,
                           .refs = o ? o->refs : none,
                           .size = o ? o->size : none,
                           .resident = o ? o->resident : r->q[RQ_RESIDENT],
                           .column = 0,
                           .y = -1};
    }
    if (o && o->depth > n->column)
        n->column = o->depth < MAX_COLUMNS ? o->depth : MAX_COLUMNS - 1;
    return o ? fill_frames(n, o->runs, o->nruns, offset_of(o))
             : fill_frames(n, r->runs, r->nruns, 0);
}

static uint64_t region_pages(const struct obs_region *r)
{
    uint64_t n = value_is_known(r->q[RQ_PAGES]) ? (uint64_t)r->q[RQ_PAGES].n : 0;

    return n < MAX_PAGES ? n : MAX_PAGES;
}

/* The frame that a region shows at a page: the topmost object that has the page wins. */
static uint64_t shown(struct panel *p, const struct obs_region *r, uint64_t page)
{
    for (size_t o = 0; o < r->nobjects; o++) {
        const struct node *n = find_node(p, r->objects[o].number, NULL);
        uint64_t at = page + offset_of(&r->objects[o]);

        if (n && at < n->npages && n->frames[at])
            return n->frames[at];
    }
    if (r->nobjects == 0) {
        const struct node *n = find_node(p, 0, r);

        return n && page < n->npages ? n->frames[page] : 0;
    }
    return 0;
}

static int count_reach(struct panel *p)
{
    for (size_t i = 0; i < p->nnodes; i++)
        for (uint64_t k = 0; k < p->nodes[i].npages; k++)
            if (p->nodes[i].frames[k] >= p->nseen && p->nodes[i].frames[k] < MAX_PAGES)
                p->nseen = p->nodes[i].frames[k] + 1;
    p->seen = calloc(p->nseen ? p->nseen : 1, 1);
    if (!p->seen)
        return -ENOMEM;
    for (size_t i = 0; i < p->p->nregions; i++) {
        const struct obs_region *r = p->p->regions[i].now;

        for (uint64_t page = 0; page < region_pages(r); page++) {
            uint64_t frame = shown(p, r, page);

            if (frame && frame < p->nseen && p->seen[frame] < 255)
                p->seen[frame]++;
        }
    }
    return 0;
}

static int collect(struct panel *p)
{
    size_t most = 0;
    int rc = 0;

    for (size_t i = 0; i < p->p->nregions; i++)
        most += p->p->regions[i].now->nobjects + 1;
    p->nodes = calloc(most ? most : 1, sizeof *p->nodes);
    p->region_y = calloc(p->p->nregions ? p->p->nregions : 1, sizeof *p->region_y);
    if (!p->nodes || !p->region_y)
        return -ENOMEM;
    for (size_t i = 0; i < p->p->nregions && rc == 0; i++) {
        const struct obs_region *r = p->p->regions[i].now;

        for (size_t o = 0; o < r->nobjects && rc == 0; o++)
            rc = add_node(p, r, &r->objects[o]);
        if (r->nobjects == 0 && end_of(r->runs, r->nruns))
            rc = add_node(p, r, NULL);
    }
    if (rc == 0)
        rc = count_reach(p);
    for (size_t i = 0; i < p->nnodes && rc == 0; i++)
        cut_blocks(p, &p->nodes[i]);
    return rc;
}

/* Regions from the top down; each object beside the first region that leads to it. */
static void lay_out(struct panel *p)
{
    double y = 34, bottom[MAX_COLUMNS] = {0};

    for (size_t i = 0; i < p->p->nregions; i++) {
        const struct obs_region *r = p->p->regions[i].now;
        double next = y + REGION_H + 12;

        p->region_y[i] = y;
        for (size_t o = 0; o < (r->nobjects ? r->nobjects : 1); o++) {
            struct node *n =
                r->nobjects ? find_node(p, r->objects[o].number, NULL) : find_node(p, 0, r);

            if (!n || n->y >= 0)
                continue;
            n->x = MARGIN + 10 + REGION_W + GAP + n->column * (OBJECT_W + GAP);
            n->y = fmax(y, bottom[n->column]);
            bottom[n->column] = n->y + n->h + 12;
            if (n->column == 0)
                next = fmax(next, bottom[0]);
        }
        y = next;
    }
    for (int c = 0; c < MAX_COLUMNS; c++)
        y = fmax(y, bottom[c]);
    p->height = y + 4;
}

static const int reach_states[REACH__COUNT] = {PS_ANON_UNKNOWN, PS_ZERO, PS_EXCLUSIVE, PS_COW};

static void range_text(char *buf, size_t cap, const char *prefix, uint64_t first, uint64_t count)
{
    if (count > 1)
        snprintf(buf, cap, "%s%llu–%s%llu", prefix, (unsigned long long)first, prefix,
                 (unsigned long long)(first + count - 1));
    else
        snprintf(buf, cap, "%s%llu", prefix, (unsigned long long)first);
}

static void draw_block(FILE *out, const struct block *b, double x, double y)
{
    int state = reach_states[b->reach < 0    ? REACH_UNKNOWN
                             : b->reach == 0 ? REACH_HIDDEN
                             : b->reach == 1 ? REACH_ONE
                                             : REACH_SEVERAL];
    char cls[24], pages[64], frames[64] = "frame unknown", word[32] = "hidden";
    double room;

    range_text(pages, sizeof pages, "", b->first, b->count);
    if (b->frame)
        range_text(frames, sizeof frames, "F", b->frame, b->count);
    snprintf(cls, sizeof cls, "p%d", state);
    svg_rect(out, x + 6, y, OBJECT_W - 12, BLOCK_H - 2, 2, cls, NULL);
    snprintf(cls, sizeof cls, "t s i%d", state);
    svg_text(out, x + 11, y + 11.5, SVG_START, cls, pages);
    svg_text(out, x + OBJECT_W - 11, y + 11.5, SVG_END, cls, frames);
    if (b->reach == 1 || b->reach < 0)
        return;
    if (b->reach)
        snprintf(word, sizeof word, "shared by %d", b->reach);
    room = OBJECT_W - 30 - svg_text_width(pages, 10.5) - svg_text_width(frames, 10.5);
    if (svg_text_width(word, 10.5) < room)
        svg_text(out, x + 11 + svg_text_width(pages, 10.5) + room / 2 + 4, y + 11.5, SVG_MIDDLE,
                 cls, word);
}

/* Too many blocks to list: one bar with the shares, and the numbers below it. */
static void draw_shares(FILE *out, const struct node *n, double y)
{
    static const char *const words[REACH__COUNT] = {"unknown", "hidden", "alone", "shared"};
    double x = n->x + 6, sum = 0;
    char text[160], cls[16], buf[FORMAT_MAX];
    size_t at = 0;

    for (int r = 0; r < REACH__COUNT; r++)
        sum += (double)n->reach[r];
    text[0] = '\0';
    for (int r = REACH__COUNT - 1; r >= 0; r--) {
        double w = (OBJECT_W - 12) * (double)n->reach[r] / sum;

        if (n->reach[r] == 0)
            continue;
        snprintf(cls, sizeof cls, "p%d", reach_states[r]);
        svg_rect(out, x, y, w, BLOCK_H - 2, 0, cls, words[r]);
        x += w;
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s %s", at ? ", " : "",
                               format_count(buf, (int64_t)n->reach[r]), words[r]);
    }
    snprintf(text + at, sizeof text - at, "; %zu runs", n->nblocks);
    svg_text(out, n->x + 8, y + BLOCK_H + 11, SVG_START, "t m s", text);
}

static bool node_differs(const struct chain_panel *p, const struct node *n)
{
    for (size_t i = 0; !n->number && i < p->nregions; i++)
        if (p->regions[i].now == n->owner)
            return region_differs(&p->regions[i]);
    return object_differs(p, n->number, n->refs, n->resident);
}

static void draw_node(FILE *out, const struct node *n, double top, const char *box)
{
    char name[96], counts[160], a[FORMAT_MAX], b[FORMAT_MAX];
    double y = top + n->y;
    size_t at = 0;

    svg_rect(out, n->x, y, OBJECT_W, n->h, 4, box, NULL);
    if (n->number)
        snprintf(name, sizeof name, "O%llu %.60s", (unsigned long long)n->number, n->kind);
    else
        snprintf(name, sizeof name, "%s", n->kind);
    svg_text(out, n->x + 8, y + 15, SVG_START, "t b", name);
    counts[0] = '\0';
    if (value_is_known(n->refs))
        at = (size_t)snprintf(counts, sizeof counts, "%s, ", format_noun(a, n->refs.n, "ref"));
    snprintf(counts + at, sizeof counts - at, "%s resident%s%s",
             value_is_known(n->resident) ? format_count(a, n->resident.n) : "?",
             value_is_known(n->size) ? " of " : "",
             value_is_known(n->size) ? format_noun(b, n->size.n, "page") : "");
    svg_text(out, n->x + 8, y + 29, SVG_START, "t m s", counts);
    if (n->no_frames) {
        svg_rect(out, n->x + 6, y + HEAD_H, OBJECT_W - 12, BLOCK_H - 2, 2, "p8", NULL);
        svg_text(out, n->x + OBJECT_W / 2, y + HEAD_H + 11.5, SVG_MIDDLE, "t s i8",
                 "frames not known");
    }
    if (n->nblocks > MAX_BLOCKS)
        draw_shares(out, n, y + HEAD_H);
    for (size_t i = 0; i < n->nblocks && n->nblocks <= MAX_BLOCKS; i++)
        draw_block(out, &n->blocks[i], n->x, y + HEAD_H + BLOCK_H * (double)i);
}

static void draw_region(FILE *out, const struct obs_region *r, double y, const char *box)
{
    char label[300], mode[64], note[128], a[FORMAT_MAX];

    svg_rect(out, MARGIN + 10, y, REGION_W, REGION_H, 4, box, NULL);
    svg_text(out, MARGIN + 18, y + 15, SVG_START, "t b", label_short(label, sizeof label, r, 22));
    svg_text(out, MARGIN + 18, y + 29, SVG_START, "t s", label_mode(mode, sizeof mode, r));
    snprintf(note, sizeof note, "%s%s",
             value_is_known(r->q[RQ_PAGES]) ? format_noun(a, r->q[RQ_PAGES].n, "page") : "? pages",
             r->needs_copy > 0    ? ", needs copy"
             : r->needs_copy == 0 ? ", no copy needed"
                                  : "");
    svg_text(out, MARGIN + 18, y + 42, SVG_START, "t m s", note);
}

static uint64_t in_common(const struct node *a, const struct node *b)
{
    uint64_t n = 0;

    for (uint64_t i = 0; i < a->npages && i < b->npages; i++)
        n += a->frames[i] && a->frames[i] == b->frames[i];
    return n;
}

/* A bracket between objects of one column that hold the same frames: Linux has no common object
 * for anonymous memory, only common frames. */
static void draw_same(FILE *out, const struct panel *p, double top)
{
    char text[64], n[FORMAT_MAX];

    for (size_t i = 0; i < p->nnodes; i++)
        for (size_t k = i + 1; k < p->nnodes; k++) {
            const struct node *a = &p->nodes[i], *b = &p->nodes[k];
            double x = a->x + OBJECT_W, y1 = top + a->y + a->h - 14, y2 = top + b->y + 14;
            uint64_t common = a->column == b->column ? in_common(a, b) : 0;

            if (common == 0)
                continue;
            fprintf(out, "<path d=\"M%.1f %.1fh12V%.1fh-12\" class=\"link weak\"/>\n", x, y1, y2);
            snprintf(text, sizeof text, "%s in common", format_noun(n, (int64_t)common, "frame"));
            svg_text(out, x + 17, (y1 + y2) / 2 + 4, SVG_START, "t m s", text);
            break;
        }
}

static void draw_links(FILE *out, struct panel *p, double top)
{
    for (size_t i = 0; i < p->p->nregions; i++) {
        const struct obs_region *r = p->p->regions[i].now;
        double x = MARGIN + 10 + REGION_W, y = top + p->region_y[i] + REGION_H / 2;

        for (size_t o = 0; o < (r->nobjects ? r->nobjects : 1); o++) {
            struct node *n =
                r->nobjects ? find_node(p, r->objects[o].number, NULL) : find_node(p, 0, r);

            if (!n)
                break;
            /* Past the columns between, then into the object: never behind another's box. */
            if (n->x - GAP > x)
                svg_line(out, x, y, n->x - GAP, y, "link");
            svg_link(out, fmax(x, n->x - GAP), y, n->x, top + n->y + 18, "link");
            x = n->x + OBJECT_W;
            y = top + n->y + 18;
        }
    }
}

static bool nothing_behind(const struct obs_region *r)
{
    return value_is_known(r->q[RQ_RESIDENT]) && r->q[RQ_RESIDENT].n == 0;
}

static void draw_panel(FILE *out, struct panel *p, double top, double width)
{
    bool first = true; /* where all is new nothing is marked */

    for (size_t i = 0; i < p->p->nregions; i++)
        first &= !p->p->regions[i].before;
    svg_line(out, MARGIN, top + 4, width - MARGIN, top + 4, "grid");
    svg_text(out, MARGIN, top + 22, SVG_START, "t b", p->p->title);
    draw_links(out, p, top);
    draw_same(out, p, top);
    for (size_t i = 0; i < p->p->nregions; i++) {
        draw_region(out, p->p->regions[i].now, top + p->region_y[i],
                    !first && region_differs(&p->p->regions[i]) ? "box new" : "box");
        if (p->p->regions[i].now->nobjects == 0 && !find_node(p, 0, p->p->regions[i].now))
            svg_text(out, MARGIN + 10 + REGION_W + 14, top + p->region_y[i] + REGION_H / 2 + 4,
                     SVG_START, "t m s",
                     nothing_behind(p->p->regions[i].now) ? "nothing behind it" : "not recorded");
    }
    for (size_t i = 0; i < p->nnodes; i++)
        draw_node(out, &p->nodes[i], top,
                  !first && node_differs(p->p, &p->nodes[i]) ? "box new" : "box");
}

static void draw_legend(FILE *out)
{
    static const struct {
        int state;
        const char *text;
    } entries[] = {{PS_EXCLUSIVE, "seen by one region"},
                   {PS_COW, "seen by several: shared"},
                   {PS_ZERO, "seen by none: a page above hides it"},
                   {PS_ANON_UNKNOWN, "not known"}};
    double x = MARGIN;

    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        char cls[16];

        snprintf(cls, sizeof cls, "p%d", entries[i].state);
        svg_rect(out, x, 50, 15, 13, 2, cls, NULL);
        svg_text(out, x + 21, 61, SVG_START, "t m s", entries[i].text);
        x += 42 + svg_text_width(entries[i].text, 10.5);
    }
    svg_rect(out, x + 1, 51, 15, 11, 2, "box new", NULL);
    svg_text(out, x + 22, 61, SVG_START, "t m s", "changed in this step");
}

static void panel_release(struct panel *p)
{
    for (size_t i = 0; i < p->nnodes; i++)
        free(p->nodes[i].frames);
    free(p->nodes);
    free(p->region_y);
    free(p->seen);
}

int chain_draw(FILE *out, const char *title, const struct chain_panel *panels, size_t n)
{
    struct panel *all = calloc(n ? n : 1, sizeof *all);
    double height = 76, width = 860;
    int rc = all ? 0 : -ENOMEM;

    for (size_t i = 0; i < n && rc == 0; i++) {
        all[i].p = &panels[i];
        rc = collect(&all[i]);
        if (rc)
            break;
        lay_out(&all[i]);
        height += all[i].height;
        for (size_t k = 0; k < all[i].nnodes; k++)
            width = fmax(width, all[i].nodes[k].x + OBJECT_W + MARGIN + 136);
    }
    svg_begin(out, width, height + MARGIN, title);
    svg_text(out, MARGIN, 22, SVG_START, "t b h", title);
    svg_text(out, MARGIN, 40, SVG_START, "t m",
             "Regions, the memory objects behind them from the top down, pages with their frames.");
    draw_legend(out);
    height = 72;
    for (size_t i = 0; i < n && rc == 0; i++) {
        draw_panel(out, &all[i], height, width);
        height += all[i].height;
    }
    svg_end(out);
    for (size_t i = 0; i < n && all; i++)
        panel_release(&all[i]);
    free(all);
    return rc;
}
