/* scenario_world: the plan carried out on paper, so that every name resolves before anything runs.
 *
 * Owns: which actors live, which regions each has, which messages are on their way, and an upper
 * estimate of the frames that all of it can take.
 *
 *   ABSENT --fork--> ALIVE --exit--> EXITED --wait--> GONE --fork--> ALIVE
 *   (an actor that no fork makes is ALIVE from the start)
 *
 * Names of regions are borrowed from the drafts and the document, which outlive the world. */
#include "lab/plan/parts.h"

#include <stdlib.h>
#include <string.h>

/* A port takes five messages; the next send would block for ever. */
#define QUEUE_LIMIT 5

/* Memory that a map step made, with all that inherited or received it copy-on-write. */
struct family {
    int holders;     /* regions of living actors, and messages */
    bool shared;     /* every holder sees the same frames */
    uint64_t pages;  /* size of one holder's range */
    uint64_t object; /* pages of the memory object behind private mappings */
    uint64_t frames; /* beyond the object: at most `pages` a holder */
};

struct region {
    const char *name, *case_name;
    uint64_t pages, bytes;
    enum map_kind kind;
    int protection;
    enum inherit inherit;
    bool holed;  /* a part of it was deallocated */
    bool locked; /* by this actor: a fork leaves that out */
    size_t family;
};

struct regions {
    struct region *at;
    size_t n;
};

struct actor {
    const char *name;
    enum actor_state state;
    size_t parent;
    int status;
    struct regions regions;
    long request; /* who sent the message received last: an index, -1 none */
    bool request_wants_reply;
};

struct message {
    size_t from, to;
    bool ool, reply, want_reply;
    const struct message_part *parts; /* the sending step's */
    size_t nparts;
    struct regions regions;
};

struct world {
    struct actor *actors;
    size_t nactors;
    struct message *messages; /* in the order they were sent */
    size_t nmessages;
    struct family *families;
    size_t nfamilies;
    uint64_t peak;
};

/* --- memory estimate --- */

static void count_peak(struct world *w)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < w->nfamilies; i++)
        if (w->families[i].holders > 0)
            sum += w->families[i].object + w->families[i].frames;
    if (sum > w->peak)
        w->peak = sum;
}

static void cap_frames(struct family *f)
{
    uint64_t most = f->pages * (uint64_t)(f->shared ? f->holders > 0 : f->holders);

    if (f->frames > most)
        f->frames = most;
}

static int new_family(const struct reader *r, struct world *w, const struct family *f, size_t *out)
{
    struct family *at = realloc(w->families, (w->nfamilies + 1) * sizeof *at);

    if (!at)
        return no_memory(r);
    w->families = at;
    at[w->nfamilies] = *f;
    *out = w->nfamilies++;
    count_peak(w);
    return 0;
}

/* Pages of a region that a write or read touches; for a random share an estimate from above. */
static uint64_t touched(const struct page_select *s, uint64_t pages)
{
    uint64_t share;

    switch (s->kind) {
    case SEL_FIRST:
        return 1;
    case SEL_EVERY:
        return (pages + s->a - 1) / s->a;
    case SEL_RANGE:
        return s->b;
    case SEL_SHARE:
        share = pages * s->a / 1000000 + pages / 100 + 1;
        return s->a == 0 ? 0 : share < pages ? share : pages;
    default:
        return pages;
    }
}

/* The same, exactly; page by page for a random share, so only for regions of some size. */
#define COUNT_MAX (UINT64_C(1) << 24)

static int count_pages(const struct reader *r, const cJSON *node, const struct page_select *s,
                       uint64_t pages, uint64_t *out)
{
    *out = touched(s, pages);
    if (s->kind != SEL_SHARE)
        return 0;
    if (pages > COUNT_MAX)
        return fail_at(r, node, "a share of more than %llu pages is not counted",
                       (unsigned long long)COUNT_MAX);
    *out = 0;
    for (uint64_t i = 0; i < pages; i++)
        *out += page_selected(s, i);
    return 0;
}

static void touch_frames(struct world *w, const struct region *region, uint64_t pages, bool write)
{
    struct family *f = &w->families[region->family];

    if (!write && !f->shared)
        return;
    f->frames += pages;
    cap_frames(f);
    count_peak(w);
}

/* --- regions --- */

static int add_region(const struct reader *r, struct regions *list, const struct region *region)
{
    struct region *at = realloc(list->at, (list->n + 1) * sizeof *at);

    if (!at)
        return no_memory(r);
    list->at = at;
    at[list->n++] = *region;
    return 0;
}

static void drop_region(struct world *w, struct regions *list, size_t i)
{
    struct family *f = &w->families[list->at[i].family];

    f->holders--;
    cap_frames(f);
    list->at[i] = list->at[list->n - 1];
    list->n--;
}

static void drop_regions(struct world *w, struct regions *list)
{
    while (list->n)
        drop_region(w, list, list->n - 1);
    free(list->at);
    list->at = NULL;
}

static bool same_case(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static struct region *find_exact(const struct regions *list, const char *name,
                                 const char *case_name)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->at[i].name, name) == 0 && same_case(list->at[i].case_name, case_name))
            return &list->at[i];
    return NULL;
}

/* In the case first, then outside. */
static struct region *find_region(const struct regions *list, const char *name,
                                  const char *case_name)
{
    struct region *found = find_exact(list, name, case_name);

    return found || !case_name ? found : find_exact(list, name, NULL);
}

static long actor_index(const struct world *w, const char *name)
{
    for (size_t i = 0; i < w->nactors; i++)
        if (strcmp(w->actors[i].name, name) == 0)
            return (long)i;
    return -1;
}

int world_actor_state(const struct world *w, const char *actor)
{
    long i = actor_index(w, actor);

    return i < 0 ? -1 : (int)w->actors[i].state;
}

/* The list of an actor at index i, or of the i-th message when actor is "message". */
static const struct regions *list_of(const struct world *w, const char *actor, size_t i)
{
    long index;

    if (strcmp(actor, "message") == 0)
        return i < w->nmessages ? &w->messages[i].regions : NULL;
    index = actor_index(w, actor);
    return i == 0 && index >= 0 ? &w->actors[index].regions : NULL;
}

bool world_resolve(const struct world *w, const char *actor, const char *region, const char *in,
                   const char **case_name)
{
    const struct regions *list;

    for (size_t i = 0; (list = list_of(w, actor, i)); i++) {
        const struct region *found = find_region(list, region, in);

        if (found) {
            *case_name = found->case_name;
            return true;
        }
    }
    return false;
}

size_t world_region_names(const struct world *w, const char *actor, const char **names, size_t room)
{
    const struct regions *list;
    size_t n = 0;

    for (size_t i = 0; (list = list_of(w, actor, i)); i++)
        for (size_t k = 0; k < list->n && n < room; k++)
            names[n++] = list->at[k].name;
    return n;
}

/* --- what a step names --- */

static int need_actor(const struct reader *r, const struct world *w, const cJSON *node,
                      const char *name, long *out)
{
    static const char *const why[] = {
        [ACTOR_ABSENT] = "does not live yet: no fork has made it",
        [ACTOR_EXITED] = "has exited",
        [ACTOR_GONE] = "has exited",
    };
    const char *names[64];
    size_t n = 0;

    *out = actor_index(w, name);
    for (; n < w->nactors && n < 64; n++)
        names[n] = w->actors[n].name;
    if (*out < 0)
        return fail_at(r, node, "no actor '%s', the nearest known is '%s'", name,
                       nearest(name, names, n));
    if (w->actors[*out].state != ACTOR_ALIVE)
        return fail_at(r, node, "actor '%s' %s", name, why[w->actors[*out].state]);
    return 0;
}

static int no_region(const struct reader *r, const struct world *w, const cJSON *node,
                     const char *actor, const char *region)
{
    const char *names[64];
    size_t n = world_region_names(w, actor, names, 64);

    if (n == 0)
        return fail_at(r, node, "actor '%s' has no region '%s': it has none now", actor, region);
    return fail_at(r, node, "actor '%s' has no region '%s', the nearest it has is '%s'", actor,
                   region, nearest(region, names, n));
}

/* The region that a step (or a part of its message) names; *case_name becomes the region's. */
static int need_region(const struct reader *r, const struct world *w, const struct actor *a,
                       const cJSON *node, const char *name, char **case_name, struct region **out)
{
    const char *in = *case_name ? *case_name : r->case_name;

    *out = *case_name ? find_exact(&a->regions, name, in) : find_region(&a->regions, name, in);
    if (!*out)
        return no_region(r, w, node, a->name, name);
    return copy_text(r, case_name, (*out)->case_name);
}

static int new_name(const struct reader *r, const struct actor *a, const cJSON *node,
                    const char *name, const char *case_name)
{
    if (find_exact(&a->regions, name, case_name))
        return fail_at(r, node, "actor '%s' has a region '%s' already", a->name, name);
    return 0;
}

/* --- actions --- */

/* One step in hand. */
struct doing {
    struct world *w;
    const struct reader *r;
    struct draft *d;
    struct step *s;
    struct actor *actor;
    size_t index;
    struct region *region; /* the one it names, if any */
};

static const cJSON *arg(const struct doing *x, const char *key)
{
    return member(x->d->action, key);
}

static int do_map(struct doing *x)
{
    struct step *s = x->s;
    bool backed = s->kind == MK_MEMFD_PRIVATE || s->kind == MK_FILE_PRIVATE;
    bool shared = s->kind == MK_SHARED || s->kind == MK_MEMFD_SHARED;
    /* Huge pages are reserved when they are mapped. */
    struct family f = {1, shared, s->pages, backed ? s->pages : 0,
                       s->kind == MK_HUGETLB ? s->pages : 0};
    struct region region = {.name = s->region,
                            .case_name = x->r->case_name,
                            .pages = s->pages,
                            .bytes = s->has_bytes ? s->bytes : s->pages * x->r->page_size,
                            .kind = s->kind,
                            .protection = 3,
                            .inherit = INH_COPY};
    int rc;

    if (s->case_name)
        return fail_at(x->r, arg(x, "region"), "a new region's name has no '#'");
    rc = new_name(x->r, x->actor, arg(x, "region"), s->region, x->r->case_name);
    if (rc == 0)
        rc = copy_text(x->r, &s->case_name, x->r->case_name);
    if (rc == 0)
        rc = new_family(x->r, x->w, &f, &region.family);
    return rc < 0 ? rc : add_region(x->r, &x->actor->regions, &region);
}

static int do_touch(struct doing *x)
{
    const struct page_select *sel = &x->s->select;
    bool write = x->s->action == ACT_WRITE;

    if (x->region->holed)
        return fail_at(x->r, arg(x, "region"), "a part of region '%s' was deallocated",
                       x->s->region);
    if (!(x->region->protection & (write ? 2 : 1)))
        return fail_at(x->r, arg(x, "region"), "region '%s' is protected against %s", x->s->region,
                       write ? "writing" : "reading");
    if (sel->kind == SEL_RANGE &&
        (sel->a >= x->region->pages || sel->b > x->region->pages - sel->a))
        return fail_at(x->r, arg(x, "pages"), "pages %llu to %llu, and the region has %llu", sel->a,
                       sel->a + sel->b - 1, (unsigned long long)x->region->pages);
    touch_frames(x->w, x->region, touched(sel, x->region->pages), write);
    if (arg(x, "count"))
        return count_pages(x->r, arg(x, "count"), sel, x->region->pages, &x->d->touched);
    return 0;
}

static int inherit_region(struct doing *x, const struct region *from, struct actor *child)
{
    struct region copy = *from;
    struct family zero = {1, false, from->pages, 0, 0};
    int rc;

    if (from->inherit == INH_NONE)
        return 0;
    copy.locked = false;
    if (from->inherit == INH_ZERO) {
        rc = new_family(x->r, x->w, &zero, &copy.family);
        return rc < 0 ? rc : add_region(x->r, &child->regions, &copy);
    }
    rc = add_region(x->r, &child->regions, &copy);
    if (rc == 0)
        x->w->families[copy.family].holders++;
    return rc;
}

static int do_fork(struct doing *x)
{
    long i = actor_index(x->w, x->s->as);
    struct actor *child;
    int rc = 0;

    if (i < 0)
        return fail_at(x->r, arg(x, "as"), "'%s' is not among the actors", x->s->as);
    child = &x->w->actors[i];
    if (child->state == ACTOR_ALIVE)
        return fail_at(x->r, arg(x, "as"), "actor '%s' lives already", x->s->as);
    if (child->state == ACTOR_EXITED)
        return fail_at(x->r, arg(x, "as"), "actor '%s' has exited, but nobody waited for it",
                       x->s->as);
    child->state = ACTOR_ALIVE;
    child->parent = x->index;
    child->request = -1;
    for (size_t k = 0; k < x->actor->regions.n && rc == 0; k++)
        rc = inherit_region(x, &x->actor->regions.at[k], child);
    return rc;
}

static void drop_messages_to(struct world *w, size_t to)
{
    size_t kept = 0;

    for (size_t i = 0; i < w->nmessages; i++) {
        if (w->messages[i].to == to)
            drop_regions(w, &w->messages[i].regions);
        else
            w->messages[kept++] = w->messages[i];
    }
    w->nmessages = kept;
}

static int do_exit(struct doing *x)
{
    drop_regions(x->w, &x->actor->regions);
    drop_messages_to(x->w, x->index);
    x->actor->state = ACTOR_EXITED;
    x->actor->status = x->s->status;
    return 0;
}

static int do_exec(struct doing *x)
{
    drop_regions(x->w, &x->actor->regions);
    drop_messages_to(x->w, x->index);
    x->actor->request = -1;
    return 0;
}

static int do_wait(struct doing *x)
{
    long i = actor_index(x->w, x->s->child);
    const cJSON *at = arg(x, "child");
    struct actor *child;

    if (i < 0)
        return fail_at(x->r, at, "'%s' is not among the actors", x->s->child);
    child = &x->w->actors[i];
    if (child->state == ACTOR_ABSENT || child->parent != x->index || child->parent == (size_t)i)
        return fail_at(x->r, at, "'%s' is no child of '%s'", x->s->child, x->actor->name);
    if (child->state == ACTOR_ALIVE)
        return fail_at(x->r, at, "'%s' has not exited: this would wait for ever", x->s->child);
    if (child->state == ACTOR_GONE)
        return fail_at(x->r, at, "'%s' was waited for already", x->s->child);
    if (x->s->status >= 0 && x->s->status != child->status)
        return fail_at(x->r, arg(x, "status"), "'%s' exits with status %d", x->s->child,
                       child->status);
    child->state = ACTOR_GONE;
    return 0;
}

static int do_unmap(struct doing *x)
{
    drop_region(x->w, &x->actor->regions, (size_t)(x->region - x->actor->regions.at));
    return 0;
}

static int do_nothing(struct doing *x)
{
    (void)x;
    return 0;
}

static int do_protect(struct doing *x)
{
    x->region->protection = x->s->protection;
    return 0;
}

/* Fork on Linux shares what is mapped shared, or what the message layer allocated. */
static int do_inherit(struct doing *x)
{
    enum map_kind k = x->region->kind;

    x->region->inherit = x->s->inherit;
    if (x->s->inherit == INH_SHARE && strcmp(x->r->backend, "linux") == 0 && k != MK_SHARED &&
        k != MK_MEMFD_SHARED && k != MK_ORDINARY && k != MK_PURGEABLE)
        x->d->unsupported = "fork cannot share private memory that vm_allocate did not make";
    return 0;
}

static int do_lock(struct doing *x)
{
    x->region->locked = x->s->lock;
    return 0;
}

/* What madvise(2) says of the kinds of memory that an advice can be given for. */
static int do_madvise(struct doing *x)
{
    enum map_kind k = x->region->kind;
    enum advice advice = x->s->advice;

    if ((advice == ADV_FREE || advice == ADV_WIPEONFORK) && k != MK_ANONYMOUS && k != MK_MALLOC)
        return fail_at(x->r, arg(x, "advice"), "this advice is for private anonymous memory");
    if (x->region->locked &&
        (advice == ADV_DONTNEED || advice == ADV_FREE || advice == ADV_PAGEOUT))
        return fail_at(x->r, arg(x, "advice"),
                       "region '%s' is locked in memory: the kernel refuses this advice",
                       x->region->name);
    if (k == MK_HUGETLB && advice == ADV_PAGEOUT)
        return fail_at(x->r, arg(x, "advice"), "explicit huge pages cannot be paged out");
    if (advice == ADV_DONTFORK)
        x->region->inherit = INH_NONE;
    if (advice == ADV_WIPEONFORK)
        x->region->inherit = INH_ZERO;
    return 0;
}

/* --- messages --- */

static int queue_message(struct doing *x, const struct message *m)
{
    struct message *at = realloc(x->w->messages, (x->w->nmessages + 1) * sizeof *at);

    if (!at)
        return no_memory(x->r);
    x->w->messages = at;
    at[x->w->nmessages++] = *m;
    return 0;
}

/* The receiver of a message; full: its queue takes no more. */
static int need_receiver(struct doing *x, size_t *to, bool *full)
{
    const cJSON *at = arg(x, "to");
    size_t waiting = 0;
    long i;
    int rc = need_actor(x->r, x->w, at, x->s->to, &i);

    if (rc < 0)
        return rc;
    if ((size_t)i == x->index)
        return fail_at(x->r, at, "an actor cannot send to itself");
    for (size_t k = 0; k < x->w->nmessages; k++)
        waiting += x->w->messages[k].to == (size_t)i && !x->w->messages[k].reply;
    *to = (size_t)i;
    *full = waiting >= QUEUE_LIMIT;
    if (*full && x->s->timeout_ms < 0)
        return fail_at(x->r, at,
                       "the queue of '%s' is full (%d messages): this would block for ever",
                       x->s->to, QUEUE_LIMIT);
    return 0;
}

/* Puts bytes of a region into a message, and takes them from the sender if deallocate is set. */
static int send_region(struct doing *x, struct message *m, struct region *from, uint64_t offset,
                       uint64_t bytes, bool physical, bool deallocate)
{
    /* Mach keeps the offset in the page, and with it a page more; the layer on Linux does not. */
    uint64_t page = x->r->page_size, spanned = (offset % page + bytes + page - 1) / page;
    bool keeps_offset = strcmp(x->r->backend, "linux") != 0;
    uint64_t pages = keeps_offset ? spanned : (bytes + page - 1) / page;
    bool whole = spanned == from->pages;
    struct region copy = {.name = from->name,
                          .case_name = from->case_name,
                          .pages = pages,
                          .bytes = bytes,
                          .kind = MK_ORDINARY,
                          .protection = 3,
                          .inherit = INH_COPY,
                          .family = from->family};
    struct family f = {1, false, pages, 0, pages};
    int rc = 0;

    if (bytes == 0)
        return 0;
    if (!physical && bytes == from->pages * page && from->kind == MK_ORDINARY)
        x->w->families[from->family].holders++; /* a virtual copy */
    else
        rc = new_family(x->r, x->w, &f, &copy.family);
    if (rc == 0)
        rc = add_region(x->r, &m->regions, &copy);
    if (rc < 0 || !deallocate)
        return rc;
    if (whole)
        drop_region(x->w, &x->actor->regions, (size_t)(from - x->actor->regions.at));
    else
        from->holed = true;
    return 0;
}

static int check_sendable(struct doing *x, const struct region *region, const cJSON *at)
{
    if (region->holed)
        return fail_at(x->r, at, "a part of region '%s' was deallocated", region->name);
    if (!(region->protection & 1))
        return fail_at(x->r, at, "region '%s' is protected against reading", region->name);
    return 0;
}

static int do_ool_send(struct doing *x)
{
    struct step *s = x->s;
    uint64_t room = x->region->pages * x->r->page_size;
    struct message m = {.from = x->index, .ool = true};
    bool full;
    int rc = need_receiver(x, &m.to, &full);

    if (rc == 0 && full)
        return fail_at(x->r, arg(x, "to"), "the queue of '%s' is full", s->to);
    if (rc == 0 && (s->offset_bytes > room || s->bytes > room - s->offset_bytes))
        return fail_at(x->r, arg(x, s->has_bytes ? "bytes" : "offset"),
                       "%llu bytes from offset %llu, and the region has %llu",
                       (unsigned long long)s->bytes, (unsigned long long)s->offset_bytes,
                       (unsigned long long)room);
    if (rc == 0 && !s->has_bytes) {
        if (s->offset_bytes >= x->region->bytes)
            return fail_at(x->r, arg(x, "offset"), "offset %llu, and the region has %llu bytes",
                           (unsigned long long)s->offset_bytes,
                           (unsigned long long)x->region->bytes);
        s->bytes = x->region->bytes - s->offset_bytes;
    }
    if (rc == 0 && s->bytes)
        rc = check_sendable(x, x->region, arg(x, "region"));
    if (rc == 0)
        rc = send_region(x, &m, x->region, s->offset_bytes, s->bytes, s->physical, s->deallocate);
    if (rc == 0)
        rc = queue_message(x, &m);
    if (rc < 0)
        drop_regions(x->w, &m.regions);
    return rc;
}

static int send_parts(struct doing *x, struct message *m)
{
    const cJSON *parts = arg(x, "parts");

    m->parts = x->s->parts;
    m->nparts = x->s->nparts;
    for (size_t i = 0; i < x->s->nparts; i++) {
        struct message_part *part = &x->s->parts[i];
        const cJSON *node = cJSON_GetArrayItem(parts, (int)i), *at;
        struct region *region;
        int rc;

        if (!part->region)
            continue;
        at = member(node, part->kind == PART_OOL ? "ool" : "ool_volatile");
        rc = need_region(x->r, x->w, x->actor, at, part->region, &part->case_name, &region);
        if (rc == 0)
            rc = check_sendable(x, region, at);
        if (rc == 0 && find_exact(&m->regions, region->name, region->case_name))
            rc = fail_at(x->r, at, "the message carries region '%s' already", region->name);
        if (rc == 0)
            rc = send_region(x, m, region, 0, region->bytes, part->physical, part->deallocate);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int do_send(struct doing *x)
{
    struct message m = {.from = x->index, .want_reply = x->s->want_reply};
    bool full = false;
    int rc = need_receiver(x, &m.to, &full);

    if (rc == 0)
        rc = send_parts(x, &m);
    if (rc == 0 && !full)
        rc = queue_message(x, &m);
    if (rc < 0 || full) /* a full queue: the send times out */
        drop_regions(x->w, &m.regions);
    return rc;
}

/* A reply to a request without a reply port goes nowhere, which is no error. */
static int do_reply(struct doing *x)
{
    struct message m = {.from = x->index, .reply = true};
    const cJSON *node = x->d->action;
    bool wanted = x->actor->request_wants_reply;
    int rc;

    if (x->actor->request < 0)
        return fail_at_key(x->r, node, "actor '%s' has received no request to answer",
                           x->actor->name);
    m.to = (size_t)x->actor->request;
    wanted = wanted && x->w->actors[m.to].state == ACTOR_ALIVE;
    x->actor->request = -1;
    rc = wanted ? send_parts(x, &m) : 0;
    if (rc == 0 && wanted)
        rc = queue_message(x, &m);
    if (rc < 0)
        drop_regions(x->w, &m.regions);
    return rc;
}

static struct message *oldest_for(struct world *w, size_t to)
{
    for (size_t i = 0; i < w->nmessages; i++)
        if (w->messages[i].to == to)
            return &w->messages[i];
    return NULL;
}

/* The message's regions become the receiver's. */
static int take_message(struct doing *x, struct message *m)
{
    const cJSON *region = arg(x, "region"), *at = region ? region : x->d->action;
    int rc = 0;

    for (size_t i = 0; i < m->regions.n && rc == 0; i++)
        rc = new_name(x->r, x->actor, at, m->regions.at[i].name, m->regions.at[i].case_name);
    while (m->regions.n && rc == 0) {
        rc = add_region(x->r, &x->actor->regions, &m->regions.at[m->regions.n - 1]);
        m->regions.n -= rc == 0;
    }
    if (rc < 0)
        return rc;
    x->actor->request = m->reply ? -1 : (long)m->from;
    x->actor->request_wants_reply = m->want_reply;
    free(m->regions.at);
    x->w->nmessages--;
    memmove(m, m + 1, (size_t)(x->w->messages + x->w->nmessages - m) * sizeof *m);
    return 0;
}

/* Tells the step what will arrive. */
static int copy_parts(struct doing *x, const struct message *m)
{
    struct step *s = x->s;
    int rc = 0;

    s->arrives = calloc(m->nparts + 1, sizeof *s->arrives);
    if (!s->arrives)
        return no_memory(x->r);
    for (; s->narrives < m->nparts && rc == 0; s->narrives++) {
        struct message_part *part = &s->arrives[s->narrives];

        *part = m->parts[s->narrives];
        part->region = part->case_name = NULL;
        rc = copy_text(x->r, &part->region, m->parts[s->narrives].region);
        if (rc == 0)
            rc = copy_text(x->r, &part->case_name, m->parts[s->narrives].case_name);
    }
    return rc;
}

static int do_receive(struct doing *x)
{
    struct message *m = oldest_for(x->w, x->index);
    const cJSON *node = x->d->action;
    int rc;

    if (x->s->expect_timeout)
        return m ? fail_at_key(x->r, node, "a message is on its way to '%s'", x->actor->name) : 0;
    if (!m)
        return fail_at_key(x->r, node, "no message is on its way to '%s'", x->actor->name);
    if (m->ool)
        return fail_at_key(x->r, node, "the next message for '%s' is one for 'ool_receive'",
                           x->actor->name);
    rc = copy_parts(x, m);
    return rc < 0 ? rc : take_message(x, m);
}

static int do_ool_receive(struct doing *x)
{
    const struct message *m = oldest_for(x->w, x->index);
    const cJSON *at = arg(x, "region");
    const struct region *carried;
    int rc;

    if (!m)
        return fail_at(x->r, at, "no message is on its way to '%s'", x->actor->name);
    if (!m->ool)
        return fail_at(x->r, at, "the next message for '%s' is one for 'receive'", x->actor->name);
    carried = m->regions.n ? &m->regions.at[0] : NULL;
    if (carried && strcmp(carried->name, x->s->region) != 0)
        return fail_at(x->r, at, "the next message for '%s' carries region '%s', not '%s'",
                       x->actor->name, carried->name, x->s->region);
    rc = copy_text(x->r, &x->s->case_name, carried ? carried->case_name : x->r->case_name);
    return rc < 0 ? rc : take_message(x, oldest_for(x->w, x->index));
}

/* What each action does on paper, and whether a GNU Mach task can do it. */
static const struct {
    int (*apply)(struct doing *x);
    bool names_region; /* one that the actor must have */
    const char *not_on_mach;
} rules[] = {
    [ACT_MAP] = {do_map, false, NULL},
    [ACT_WRITE] = {do_touch, true, NULL},
    [ACT_READ] = {do_touch, true, NULL},
    [ACT_FORK] = {do_fork, false, NULL},
    [ACT_EXEC] = {do_exec, false, "GNU Mach has no exec"},
    [ACT_EXIT] = {do_exit, false, NULL},
    [ACT_WAIT] = {do_wait, false, NULL},
    [ACT_UNMAP] = {do_unmap, true, NULL},
    [ACT_MOVE] = {do_nothing, true, "GNU Mach has no mremap"},
    [ACT_PROTECT] = {do_protect, true, NULL},
    [ACT_LOCK] = {do_lock, true, "mlock belongs to Linux"},
    [ACT_INHERIT] = {do_inherit, true, NULL},
    [ACT_MADVISE] = {do_madvise, true, "madvise belongs to Linux"},
    [ACT_CHECKPOINT] = {do_nothing, false, NULL},
    [ACT_OOL_SEND] = {do_ool_send, true, NULL},
    [ACT_OOL_RECEIVE] = {do_ool_receive, false, NULL},
    [ACT_SEND] = {do_send, false, NULL},
    [ACT_RECEIVE] = {do_receive, false, NULL},
    [ACT_REPLY] = {do_reply, false, NULL},
};

static const char *unsupported(const char *backend, const struct step *s)
{
    if (strcmp(backend, "gnumach") != 0)
        return NULL;
    /* malloc'd or not: all memory is vm_allocate's there; shared is inherited as shared */
    if (s->action == ACT_MAP && s->kind == MK_PURGEABLE)
        return "GNU Mach has no purgeable memory";
    if (s->action == ACT_MAP && s->kind != MK_ANONYMOUS && s->kind != MK_ORDINARY &&
        s->kind != MK_MALLOC && s->kind != MK_SHARED)
        return "GNU Mach has no memory of this kind";
    for (size_t i = 0; i < s->nparts; i++)
        if (s->parts[i].kind == PART_OOL_VOLATILE)
            return "GNU Mach's messages have no volatile out-of-line memory";
    return rules[s->action].not_on_mach;
}

int world_apply(struct world *w, const struct reader *r, struct draft *d)
{
    struct doing x = {w, r, d, &d->step, NULL, 0, NULL};
    const cJSON *at = member(d->node, "actor");
    long i = 0;
    int rc = 0;

    d->unsupported = unsupported(r->backend, &d->step);
    if (d->step.actor)
        rc = need_actor(r, w, at, d->step.actor, &i);
    if (rc < 0)
        return rc;
    x.index = (size_t)i;
    x.actor = d->step.actor ? &w->actors[i] : NULL;
    if (rules[d->step.action].names_region)
        rc = need_region(r, w, x.actor, arg(&x, "region"), d->step.region, &d->step.case_name,
                         &x.region);
    else if (!d->step.region)
        rc = copy_text(r, &d->step.case_name, r->case_name);
    return rc < 0 ? rc : rules[d->step.action].apply(&x);
}

uint64_t world_peak_pages(const struct world *w)
{
    return w->peak;
}

int world_new(struct world **out, const struct reader *r, const struct plan *plan,
              const struct draft *drafts, size_t n)
{
    struct world *w = calloc(1, sizeof *w);

    if (w)
        w->actors = calloc(plan->nactors + 1, sizeof *w->actors);
    if (!w || !w->actors) {
        free(w);
        return no_memory(r);
    }
    w->nactors = plan->nactors;
    for (size_t i = 0; i < w->nactors; i++) {
        w->actors[i].name = plan->actors[i];
        w->actors[i].state = ACTOR_ALIVE;
        w->actors[i].parent = i;
        w->actors[i].request = -1;
    }
    for (size_t i = 0; i < n; i++) {
        long target = drafts[i].step.as ? actor_index(w, drafts[i].step.as) : -1;

        if (target >= 0)
            w->actors[target].state = ACTOR_ABSENT;
    }
    *out = w;
    return 0;
}

void world_free(struct world *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->nactors; i++)
        free(w->actors[i].regions.at);
    for (size_t i = 0; i < w->nmessages; i++)
        free(w->messages[i].regions.at);
    free(w->actors);
    free(w->messages);
    free(w->families);
    free(w);
}
