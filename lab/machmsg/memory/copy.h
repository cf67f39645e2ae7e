/* copy: copies between memory that may be bad and memory that is good; -EFAULT instead of a
 * signal. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Stack and static memory cost no system call. */
int mem_copy_in(void *to, const void *from_user, size_t n);
int mem_copy_out(void *to_user, const void *from, size_t n);
/* The same with a system call always: n bytes from one to another, both may be bad. Returns 0,
 * -EFAULT. */
int mem_copy_checked(uint64_t to, uint64_t from, uint64_t n);
