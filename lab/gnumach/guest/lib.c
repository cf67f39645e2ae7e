/* lib: the few things that the compiler and the generated stubs expect to be there. */
#include "lab/gnumach/guest/guest.h"
#include "mach.h"
#include "mach_port.h"
#include <mach/mig_support.h>

void *memcpy(void *to, const void *from, size_t n)
{
    void *d = to;
    __asm__ volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(n) : : "memory");
    return to;
}

void *memset(void *to, int c, size_t n)
{
    void *d = to;
    __asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
    return to;
}

size_t text_length(const char *s)
{
    size_t n = 0;
    while (s[n])
        n++;
    return n;
}

size_t mig_strncpy(char *to, const char *from, size_t n)
{
    size_t i = 0;
    while (i + 1 < n && from[i]) {
        to[i] = from[i];
        i++;
    }
    if (n)
        to[i] = 0;
    return i;
}

mach_port_t mig_get_reply_port(void)
{
    if (!local->reply_port)
        local->reply_port = mach_reply_port();
    return local->reply_port;
}

void mig_put_reply_port(mach_port_t port)
{
    (void)port;
}

void mig_dealloc_reply_port(mach_port_t port)
{
    local->reply_port = MACH_PORT_NULL;
    mach_port_mod_refs(mach_task_self(), port, MACH_PORT_RIGHT_RECEIVE, -1);
}

void mig_allocate(vm_offset_t *address, vm_size_t size)
{
    if (vm_allocate(mach_task_self(), address, size, TRUE) != KERN_SUCCESS)
        *address = 0;
}

void mig_deallocate(vm_offset_t address, vm_size_t size)
{
    vm_deallocate(mach_task_self(), address, size);
}

/* The stubs call mach_msg; nothing here is interrupted, so the trap alone will do. */
mach_msg_return_t mach_msg(mach_msg_header_t *msg, mach_msg_option_t option,
                           mach_msg_size_t send_size, mach_msg_size_t rcv_size,
                           mach_port_name_t rcv_name, mach_msg_timeout_t timeout,
                           mach_port_name_t notify)
{
    return mach_msg_trap(msg, option, send_size, rcv_size, rcv_name, timeout, notify);
}

void port_release(mach_port_t name)
{
    if (MACH_PORT_VALID(name))
        mach_port_deallocate(mach_task_self(), name);
}
