/* page: the page size, and rounding to it. */
#pragma once

#include <mach/vm_page_size.h>
#include <stdbool.h>
#include <stdint.h>

static inline uint64_t mem_trunc(uint64_t x)
{
    return x & ~(uint64_t)vm_page_mask;
}
/* Saturates at the top of the address space instead of wrapping round. */
uint64_t mem_round(uint64_t x);
/* The whole pages of [address, address + size); false if it wraps round. */
bool mem_pages(uint64_t address, uint64_t size, uint64_t *start, uint64_t *end);
