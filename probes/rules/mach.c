/* The row of rules for a kernel that keeps its state per entry and object. */
#include "probes/rules.h"

static bool is_cow(const struct mach_page_facts *f)
{
    return f->frame && (f->needs_copy || f->depth > 0);
}

bool page_at_risk_mach(const struct mach_page_facts *f)
{
    return is_cow(f) && !f->read_only && !(f->sole && f->collapsed);
}

enum page_state page_state_mach(const struct mach_page_facts *f)
{
    if (!f->frame)
        return PS_NONE;
    if (is_cow(f))
        return PS_COW;
    return f->viewers > 1 ? PS_SHARED : PS_EXCLUSIVE;
}

/* osfmk/vm/vm_map.c, vm_region_top_walk */
enum share_mode share_mode_mach(bool no_object, int shadow_depth, bool needs_copy, int64_t refs)
{
    if (no_object)
        return SM_EMPTY;
    if (shadow_depth > 0 || needs_copy)
        return SM_COW;
    return refs <= 1 ? SM_PRIVATE : SM_SHARED;
}

enum share_mode share_mode_mach_join(enum share_mode first, enum share_mode next)
{
    return next == SM_COW ? SM_COW : first;
}
