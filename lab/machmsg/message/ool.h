/* ool: what becomes of a range of memory that a message carries out of line.
 *
 * Owns: the policy (the table below, in the order in which the rules are tried) and both ends of
 * the mechanism: a range becomes a sealed object that travels; an object becomes memory of the
 * receiver.
 * Promises: a receiver gets exactly the bytes of the range; behind them, up to the page's end, are
 * zeros. An object that a peer sent is used only if it is memory, sealed, and of the right size.
 * Until ool_commit the source keeps its contents and its place. */
#pragma once

#include "lab/machmsg/memory/object.h"
#include "lab/machmsg/ports/wire.h"

/* X(ENUM, code, "why": the rule, as a sentence). Codes go over the wire. */
#define OOL_WHYS(X)                                                                                \
    X(OOL_WHY_NONE, 0, "not told")                                                                 \
    X(OOL_WHY_NULL, 1, "size 0: there is no memory")                                               \
    X(OOL_WHY_PHYSICAL, 2, "physical copy above 32 KiB: every page staged")                        \
    X(OOL_WHY_SMALL, 3, "32 KiB or less: through a buffer, whatever was asked")                    \
    X(OOL_WHY_PURGEABLE, 4, "purgeable memory: copied page by page, untouched pages skipped")      \
    X(OOL_WHY_WIRED, 5, "wired memory: copied page by page, untouched pages skipped")              \
    X(OOL_WHY_WHOLE, 6, "exactly one whole object: shared copy-on-write")                          \
    X(OOL_WHY_MOVED, 7, "exactly one whole object, given away: moved")                             \
    X(OOL_WHY_FOREIGN, 8, "memory that the layer did not allocate: copied once")                   \
    X(OOL_WHY_PART, 9, "not exactly one whole object: copied once")                                \
    X(OOL_WHY_WRITTEN, 10, "the sender wrote to its view of the object: copied once")              \
    X(OOL_WHY_KIN, 11, "memory shared with a forked task: copied once")                            \
    X(OOL_WHY_UNSEALED, 12, "the object could not be sealed: copied once")                         \
    X(OOL_WHY_CHANGED, 13, "the program changed the mapping itself: copied once")                  \
    X(OOL_WHY_NO_ROOM, 14, "no memory to map the object anew: copied once")                        \
    X(OOL_WHY_NO_OBJECT, 15, "no descriptor or memory for an object of its own: copied once")

#define OOL_WHY_ENUM(e, code, text) e = (code),
enum ool_why { OOL_WHYS(OOL_WHY_ENUM) };
enum ool_done {
    OOL_DONE_NONE = 0,
    OOL_DONE_NULL,
    OOL_DONE_SHARED,
    OOL_DONE_MOVED,
    OOL_DONE_COPIED
};

/* Never NULL, whatever the code. */
const char *ool_why_text(unsigned int why);
const char *ool_done_text(unsigned int done);

struct ool_source {
    uint64_t address;
    uint64_t size; /* bytes */
    bool physical, deallocate;
};

/* Makes what will travel: *item without its descriptor index, and the object that it stands for
 * (one reference; NULL if there is none). 0; -EFAULT: the range is not readable memory; another
 * negative errno: a shortage. */
int ool_prepare(const struct ool_source *s, struct wire_item *item, struct object **object);
/* The message is on its way: the source goes if it was given away. It stays where that would cut a
 * mapping in two at the kernel's limit of mappings. */
void ool_commit(const struct ool_source *s);
/* Turns what arrived into memory of this process. Takes over fd. 0 and the address; -EBADMSG: not
 * an object that may be used; -ENOMEM. */
int ool_receive(const struct wire_item *item, int fd, uint64_t *address);
