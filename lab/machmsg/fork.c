/* fork: what a forked child gets of this layer. Its memory as vm_inherit says; of the port space
 * nothing but the bootstrap port, as on Mach: a child that kept the descriptors would keep dead
 * ports alive. Registered when the program starts. */
#include "lab/machmsg/mem.h"
#include "lab/machmsg/port.h"

static void prepare(void)
{
    port_fork_prepare();
    mem_fork_prepare();
}

static void in_parent(void)
{
    mem_fork_parent();
    port_fork_parent();
}

static void in_child(void)
{
    mem_fork_child();
    port_fork_child();
}

__attribute__((constructor(102))) static void register_handlers(void)
{
    pthread_atfork(prepare, in_parent, in_child);
}

extern const char machmsg_fork_handlers;
/* An archive gives a program only the files it refers to: mem.c and port.c refer to this one. */
const char machmsg_fork_handlers = 1;
