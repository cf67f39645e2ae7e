/* Entry and kernel traps: `syscall` with the number in rax; it overwrites rcx, so that the fourth
 * argument goes in r10. Arguments seven and up stay on the stack, where the kernel reads them. */
    .text
    .globl _start
_start: /* the kernel starts the first task with argc, argv[] at the stack pointer */
    xor %ebp, %ebp
    mov %rsp, %rdi
    and $-16, %rsp
    call controller_main
    hlt

    .globl actor_start
actor_start: /* a thread made by the controller; rsp was set by it */
    xor %ebp, %ebp
    and $-16, %rsp
    call actor_main
    hlt

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

    .section .plan, "a"
    .globl plan_start
plan_start: /* the host writes the plan here: a word so that the segment exists */
    .quad 0
    .section .note.GNU-stack, "", @progbits
