/* state: what the world consists of, and the step in hand. Private to world/. */
#pragma once

#include "lab/plan/world/world.h"

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
    uint64_t origin, reach; /* as in struct step */
    enum map_kind kind;
    int protection;
    struct fork_fate fate;
    bool holed;   /* a part of it was deallocated */
    bool locked;  /* by this actor: a fork leaves that out */
    bool unknown; /* none has this name, which was told */
    bool doubt;   /* it may be otherwise, or not be at all: a step that does something to it has a
                     mistake */
    size_t family;
};

struct regions {
    struct region *at;
    size_t n;
    struct places names;
    bool more;    /* there may be others */
    bool changed; /* each of them may be otherwise */
};

static inline bool in_doubt(const struct regions *list, const struct region *region)
{
    return list->changed || region->doubt;
}

struct actor {
    const char *name;
    enum actor_state state;
    size_t parent;
    int status;
    struct regions regions;
    long request; /* who sent the message received last: an index, -1 none */
    bool request_wants_reply;
    bool acted;
    bool doubt;       /* whether it lives and what it has is in doubt */
    bool queue_doubt; /* what is on its way to it */
};

struct message {
    size_t from, to;
    bool ool, reply, want_reply;
    const struct message_part *parts; /* the sending step's */
    size_t nparts;
    struct regions regions;
};

/* What was handed over and not taken yet. */
struct handed {
    bool there, doubt;
    size_t from, to;
    enum way way;
    const char *name, *case_name; /* of the region, at the sender */
    uint64_t pages, origin, reach;
    struct regions object; /* OBJECT: the one that waits, by that name */
};

struct world {
    struct actor *actors;
    size_t nactors;
    struct message *messages; /* in the order they were sent */
    size_t nmessages;
    struct handed handed;
    struct family *families;
    size_t nfamilies;
    uint64_t now, peak;   /* frames that all families can take */
    bool actors_in_doubt; /* there may be others */
};

/* One step in hand. */
struct doing {
    struct world *w;
    const struct reader *r;
    struct draft *d;
    struct step *s;
    struct actor *actor;
    size_t index;
    struct region *region; /* the one it names, if any */
    bool doubt;            /* something that it depends on is in doubt */
};

static inline const cJSON *arg(const struct doing *x, const char *key)
{
    return member(x->d->action, key);
}

/* --- families --- */

int new_family(const struct reader *r, struct world *w, const struct family *f, size_t *out);
/* More holders, or fewer. */
void hold_family(struct world *w, size_t family, int more);
/* Pages of a region that a write or read touches; for a random share an estimate from above. */
uint64_t touched(const struct page_select *s, uint64_t pages);
/* The same, exactly. */
int count_pages(const struct reader *r, const cJSON *node, const struct page_select *s,
                uint64_t pages, uint64_t *out);
/* For the time of a step so many pages more are needed. */
void peak_of(struct world *w, uint64_t more);
void touch_frames(struct world *w, const struct region *region, uint64_t pages, bool write);

/* --- regions --- */

int add_region(const struct reader *r, struct regions *list, const struct region *region);
void drop_region(struct world *w, struct regions *list, size_t i);
void drop_regions(struct world *w, struct regions *list);
void release_regions(struct regions *list);
struct region *find_exact(const struct regions *list, const char *name, const char *case_name);
/* -1: there is none, as of NULL. */
long world_actor(const struct world *w, const char *name);
/* Errors say what is wrong with the name. */
int need_actor(const struct reader *r, const struct world *w, const cJSON *node, const char *name,
               long *out);
int need_region(const struct reader *r, struct world *w, struct actor *a, const cJSON *node,
                const char *name, char **case_name, struct region **out);
/* A region that may be or not, so that its name is told once. */
int poison_region(const struct reader *r, struct world *w, struct regions *list, const char *name,
                  const char *case_name, bool unknown);
int new_name(const struct reader *r, const struct actor *a, const cJSON *node, const char *name,
             const char *case_name);

/* --- messages --- */

/* May the region be sent? */
int check_sendable(struct doing *x, const struct region *region, const cJSON *at);
/* NULL: none is on its way to the actor. */
struct message *oldest_message(struct world *w, size_t to);
/* The message's regions become the receiver's. */
int take_message(struct doing *x, struct message *m);
void drop_messages_to(struct world *w, size_t to);
void drop_handed_to(struct world *w, size_t to);

/* --- doubt --- */

/* Does the step do something with what is in doubt? */
bool rests_on_doubt(const struct doing *x);
/* After a step that has a mistake, or rests on doubt. */
int leave_in_doubt(struct doing *x);

/* --- actions: their effect; 0 or a negative errno --- */

#define DO_ACTION(e, ...) int world_##e(struct doing *x);
ACTIONS(DO_ACTION)
