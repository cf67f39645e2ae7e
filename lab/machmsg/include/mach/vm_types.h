/* Addresses, sizes and the small integer types that Mach interfaces use. */
#ifndef COWLAB_MACH_VM_TYPES_H
#define COWLAB_MACH_VM_TYPES_H

#include <stdint.h>

typedef unsigned int natural_t;
typedef int integer_t;
typedef uintptr_t vm_offset_t;
typedef uintptr_t vm_size_t;
typedef uintptr_t vm_address_t;
typedef uintptr_t pointer_t;

/* Programs print these with %llx, so they are unsigned long long also where long has 64 bits. */
typedef unsigned long long mach_vm_address_t;
typedef unsigned long long mach_vm_offset_t;
typedef unsigned long long mach_vm_size_t;
typedef unsigned long long memory_object_offset_t;
typedef unsigned long long memory_object_size_t;

#endif
