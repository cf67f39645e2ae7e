/* Kernel traps: `syscall` with the number in rax; it overwrites rcx, so that the fourth argument goes
 * in r10. Arguments seven and up stay on the stack, where the kernel reads them. */
    .text
    .macro trap name, number
    .globl \name
\name:
    mov $\number, %rax
    mov %rcx, %r10
    syscall
    ret
    .endm

    trap mach_msg_trap, -25
    trap mach_reply_port, -26
    trap mach_thread_self, -27
    trap mach_task_self, -28
    trap mach_host_self, -29
    trap mach_print, -30
    trap syscall_vm_allocate, -65

    .section .note.GNU-stack, "", @progbits
