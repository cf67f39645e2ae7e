/* Entry of the program: the kernel starts the first task, the controller, here. */
    .text
    .globl _start
_start: /* argc, argv[] are at the stack pointer */
    xor %ebp, %ebp
    mov %rsp, %rdi
    and $-16, %rsp
    call controller_main
    hlt

    .section .plan, "a"
    .globl plan_start
plan_start: /* the host writes the plan here: a word so that the segment exists */
    .quad 0
    .section .note.GNU-stack, "", @progbits
