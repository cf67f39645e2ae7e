/* contents: which pages of memory hold something, and copies of those pages alone. Looking at
 * memory makes no page. Under mem_lock (mem.h). */
#pragma once

#include "lab/machmsg/memory/range.h"

/* A new sealed object, in whole pages, with the bytes of [start, end), which need not be. Pages
 * that do not exist are not made; every: in the object they are. 0; -EFAULT: not readable memory;
 * or another negative errno. */
int object_stage(struct object **out, uint64_t start, uint64_t end, bool every);
/* Copies whole pages to an unsealed object, new from offset on. 0 or a negative errno. */
int object_fill(struct object *o, uint64_t offset, uint64_t start, uint64_t end);
