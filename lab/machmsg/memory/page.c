/* page: see page.h. */
#include "lab/machmsg/memory/page.h"
#include <unistd.h>

vm_size_t vm_page_size, vm_page_mask, vm_kernel_page_size, vm_kernel_page_mask;
int vm_page_shift, vm_kernel_page_shift;

__attribute__((constructor(101))) static void set_page_size(void)
{
    vm_page_size = vm_kernel_page_size = (vm_size_t)sysconf(_SC_PAGESIZE);
    vm_page_mask = vm_kernel_page_mask = vm_page_size - 1;
    vm_page_shift = vm_kernel_page_shift = __builtin_ctzl(vm_page_size);
}

uint64_t mem_round(uint64_t x)
{
    return x > UINT64_MAX - vm_page_mask ? mem_trunc(UINT64_MAX) : mem_trunc(x + vm_page_mask);
}

bool mem_pages(uint64_t address, uint64_t size, uint64_t *start, uint64_t *end)
{
    if (address + size < address || address + size > UINT64_MAX - vm_page_mask)
        return false;
    *start = mem_trunc(address);
    *end = mem_round(address + size);
    return true;
}
