/* region: mach_vm_region and mach_vm_region_recurse: the kernel's mappings in Mach's words.
 *
 * Where a mapping begins and ends and what may be done with it is asked of the kernel; share mode,
 * reference count and pages come from the probes (observe.h); maximum protection and inheritance,
 * which Linux does not keep, from the layer's own table, and are Mach's defaults elsewhere. */
#include "probes/rules.h"

#include "lab/machmsg/memory/mem.h"
#include "lab/machmsg/observe.h"
#include "lab/machmsg/ports/port.h"
#include <errno.h>
#include <mach/mach_vm.h>
#include <mach/vm_map.h>
#include <stddef.h>

_Static_assert(sizeof(vm_region_basic_info_data_64_t) == 36, "layout");
_Static_assert(sizeof(vm_region_extended_info_data_t) == 36, "layout");
_Static_assert(sizeof(vm_region_submap_info_data_64_t) == 76, "layout");
_Static_assert(offsetof(vm_region_submap_info_data_64_t, offset) == 12, "layout");
_Static_assert(offsetof(vm_region_extended_info_data_t, share_mode) == 31, "layout");

/* Programs built against older headers ask for less: without the last fields. */
#define SUBMAP_INFO_V0_COUNT 16u

struct region {
    struct mapping m;
    vm_prot_t prot, max_prot;
    vm_inherit_t inherit;
    unsigned int tag;
    bool shared; /* with another task, as far as the program asked for it */
    struct observed seen;
};

/* The mapping at or above the address. KERN_INVALID_ADDRESS: there is none, which is not that the
 * kernel could not be asked. */
static kern_return_t find_region(vm_map_t task, uint64_t address, bool observe, struct region *out)
{
    const struct range *r;
    int rc;

    if (task != NAME_TASK)
        return KERN_INVALID_ARGUMENT;
    *out = (struct region){.max_prot = VM_PROT_ALL};
    rc = mem_query(address, &out->m);
    if (rc && rc != -ENOENT)
        return KERN_RESOURCE_SHORTAGE;
    if (rc || out->m.start >> 63)
        return KERN_INVALID_ADDRESS;
    out->prot = mem_from_prot(&out->m);
    out->inherit = mapping_inherit(out->m.shared, 0, INHERIT_UNTOLD); /* numbers are Mach's */
    out->shared = out->m.shared;
    mem_lock();
    r = range_find(out->m.start);
    if (r) {
        out->max_prot = r->max_prot;
        out->inherit = r->inherit;
        out->tag = r->tag;
        /* An object of one's own is mapped shared only so that it can be sent. */
        out->shared = r->kind == MEM_SHARED && (r->inherit == VM_INHERIT_SHARE || r->object->kin);
    }
    mem_unlock();
    if (observe && observe_mapping(out->m.start, out->m.end, out->m.inode, &out->seen))
        return KERN_RESOURCE_SHORTAGE;
    return KERN_SUCCESS;
}

/* Mach's structures have no word for unknown. What is not known is the least that is certain. */
static unsigned int at_least(const struct region *r, enum region_quantity q, unsigned int least)
{
    const struct value *v = &r->seen.q[q];

    return value_is_known(*v) ? (unsigned int)v->n : least;
}

static void fill_extended(const struct region *r, struct vm_region_extended_info *i)
{
    const unsigned int own = region_private_pages(r->seen.q);

    *i = (struct vm_region_extended_info){
        .protection = r->prot,
        .user_tag = r->tag,
        .pages_resident = at_least(r, RQ_RESIDENT, at_least(r, RQ_MAPPED, 0)),
        .pages_shared_now_private = r->m.inode && !r->m.shared ? own : 0,
        .pages_swapped_out = at_least(r, RQ_SWAPPED, 0),
        .pages_dirtied = own + (r->m.shared ? at_least(r, RQ_SHARED, 0) : 0),
        .ref_count = region_least_refs(r->seen.q, r->m.shared),
        .shadow_depth = r->m.inode && !r->m.shared && own > 0,
        .share_mode = (unsigned char)region_likely_mode(r->seen.q, r->m.shared)};
}

static void fill_basic(const struct region *r, struct vm_region_basic_info_64 *i)
{
    *i = (struct vm_region_basic_info_64){.protection = r->prot,
                                          .max_protection = r->max_prot,
                                          .inheritance = r->inherit,
                                          .shared = r->shared,
                                          .offset = r->m.offset,
                                          .behavior = VM_BEHAVIOR_DEFAULT};
}

static void fill_top(const struct region *r, struct vm_region_top_info *i)
{
    const unsigned int own = region_private_pages(r->seen.q), all = at_least(r, RQ_RESIDENT, own);

    *i = (struct vm_region_top_info){.obj_id = (unsigned int)r->m.inode,
                                     .ref_count = region_least_refs(r->seen.q, r->m.shared),
                                     .private_pages_resident = own,
                                     .shared_pages_resident = all - own,
                                     .share_mode =
                                         (unsigned char)region_likely_mode(r->seen.q, r->m.shared)};
}

static void fill_submap(const struct region *r, struct vm_region_submap_info_64 *i)
{
    struct vm_region_extended_info x;

    fill_extended(r, &x);
    *i = (struct vm_region_submap_info_64){.protection = r->prot,
                                           .max_protection = r->max_prot,
                                           .inheritance = r->inherit,
                                           .offset = r->m.offset,
                                           .user_tag = r->tag,
                                           .pages_resident = x.pages_resident,
                                           .pages_shared_now_private = x.pages_shared_now_private,
                                           .pages_swapped_out = x.pages_swapped_out,
                                           .pages_dirtied = x.pages_dirtied,
                                           .ref_count = x.ref_count,
                                           .shadow_depth = x.shadow_depth,
                                           .external_pager = x.external_pager,
                                           .share_mode = x.share_mode,
                                           .behavior = VM_BEHAVIOR_DEFAULT,
                                           .object_id = (vm32_object_id_t)r->m.inode,
                                           .object_id_full = r->m.inode};
}

static mach_msg_type_number_t count_of(vm_region_flavor_t flavor)
{
    switch (flavor) {
    case VM_REGION_BASIC_INFO:
    case VM_REGION_BASIC_INFO_64:
        return VM_REGION_BASIC_INFO_COUNT_64;
    case VM_REGION_EXTENDED_INFO:
        return VM_REGION_EXTENDED_INFO_COUNT;
    case VM_REGION_TOP_INFO:
        return VM_REGION_TOP_INFO_COUNT;
    default:
        return 0;
    }
}

kern_return_t mach_vm_region(vm_map_t task, mach_vm_address_t *address, mach_vm_size_t *size,
                             vm_region_flavor_t flavor, vm_region_info_t info,
                             mach_msg_type_number_t *info_count, mach_port_t *object)
{
    const mach_msg_type_number_t need = count_of(flavor);
    const bool basic = need == VM_REGION_BASIC_INFO_COUNT_64 && flavor != VM_REGION_EXTENDED_INFO;
    struct region r;
    kern_return_t kr;

    if (need == 0 || *info_count < need)
        return KERN_INVALID_ARGUMENT;
    kr = find_region(task, *address, !basic, &r);
    if (kr != KERN_SUCCESS)
        return kr;
    if (basic)
        fill_basic(&r, (struct vm_region_basic_info_64 *)info);
    else if (flavor == VM_REGION_EXTENDED_INFO)
        fill_extended(&r, (struct vm_region_extended_info *)info);
    else
        fill_top(&r, (struct vm_region_top_info *)info);
    *info_count = need;
    *address = r.m.start;
    *size = r.m.end - r.m.start;
    if (object)
        *object = MACH_PORT_NULL;
    return KERN_SUCCESS;
}

kern_return_t mach_vm_region_recurse(vm_map_t task, mach_vm_address_t *address,
                                     mach_vm_size_t *size, natural_t *depth,
                                     vm_region_recurse_info_t info,
                                     mach_msg_type_number_t *info_count)
{
    struct vm_region_submap_info_64 i;
    struct region r;
    kern_return_t kr;

    if (*info_count < SUBMAP_INFO_V0_COUNT)
        return KERN_INVALID_ARGUMENT;
    kr = find_region(task, *address, true, &r);
    if (kr != KERN_SUCCESS)
        return kr;
    fill_submap(&r, &i);
    if (*info_count > VM_REGION_SUBMAP_INFO_COUNT_64)
        *info_count = VM_REGION_SUBMAP_INFO_COUNT_64;
    memcpy(info, &i, *info_count * sizeof(natural_t));
    *address = r.m.start;
    *size = r.m.end - r.m.start;
    *depth = 0;
    return KERN_SUCCESS;
}

SAME_CALL(vm_region_64, mach_vm_region);
SAME_CALL(vm_region_recurse_64, mach_vm_region_recurse);
