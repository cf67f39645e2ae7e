/* Flags of vm_allocate and vm_map. */
#ifndef COWLAB_MACH_VM_STATISTICS_H
#define COWLAB_MACH_VM_STATISTICS_H

#define VM_FLAGS_FIXED 0x0000
#define VM_FLAGS_ANYWHERE 0x0001
#define VM_FLAGS_PURGABLE 0x0002
#define VM_FLAGS_RANDOM_ADDR 0x0008
#define VM_FLAGS_OVERWRITE 0x4000
#define VM_FLAGS_ALIAS_MASK 0xFF000000
#define VM_GET_FLAGS_ALIAS(flags, alias) (alias) = (((flags)&VM_FLAGS_ALIAS_MASK) >> 24)
#define VM_SET_FLAGS_ALIAS(flags, alias)                                                           \
    (flags) = (((flags) & ~VM_FLAGS_ALIAS_MASK) | (((alias) & ~VM_FLAGS_ALIAS_MASK) << 24))
#define VM_MAKE_TAG(tag) ((int)((unsigned int)(tag) << 24))

#define VM_MEMORY_MALLOC 1
#define VM_MEMORY_MACH_MSG 20
#define VM_MEMORY_STACK 30
#define VM_MEMORY_APPLICATION_SPECIFIC_1 240
#define VM_MEMORY_APPLICATION_SPECIFIC_16 255

#endif
