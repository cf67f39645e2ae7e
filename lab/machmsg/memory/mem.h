/* mem: the memory part as the rest of the layer uses it: its lock, fresh memory, memory that goes,
 * and what a forked child gets of it: what vm_inherit says.
 *
 * Promises: no mapping that is not the layer's is replaced; bytes are read from memory only where
 * pages exist, so that looking at a range makes no page.
 * Does not: decide what is copied (message/ool does). */
#pragma once

#include "lab/machmsg/memory/page.h"
#include "lab/machmsg/memory/query.h"
#include "lab/machmsg/memory/range.h"

/* Bytes: up to here out-of-line data goes through a buffer. As in XNU from 8020.121.3 on; in 8019
 * less than two pages did, with pages of 16 KiB so not 32 KiB itself. */
#define SMALL_MAX 32768u

/* A call of vm_map.h is one of mach_vm.h: their integers have other names and the same 64 bits. */
#ifndef __clang__ /* which has no such warning */
#pragma GCC diagnostic ignored "-Wattribute-alias"
#endif
#define SAME_CALL(name, mach_name) extern __typeof(name) name __attribute__((alias(#mach_name)))
_Static_assert(sizeof(vm_address_t) == sizeof(mach_vm_address_t), "one call for both");

/* Guards ranges and places. */
void mem_lock(void);
void mem_unlock(void);

/* "native" in COWLAB_MACH_POLICY: share whatever Linux can share. */
bool mem_native(void);

/* New anonymous memory in whole pages for n bytes, small ones beside each other. 0, or a negative
 * errno and address 0. */
int mem_fresh(uint64_t n, uint64_t *address);
/* No descriptor is left: does memory that the program unmapped itself still hold any? They are
 * closed. */
bool mem_tidy(void);
/* Removes the pages of [address, address + size) from the address space and from the table. 0 or a
 * negative errno, -EINVAL if it wraps round. */
int mem_release(uint64_t address, uint64_t size);
/* Says why on standard error and aborts: for what cannot go on and has nobody to tell. */
_Noreturn void mem_die(const char *why);
