/* ask: the controller's half of the talk with actors (actor.c has the other). */
#include "lab/gnumach/guest/run.h"
#include <mach/mig_support.h>

mach_port_t self, control;
struct command_message command;
struct answer_message answered;

kern_return_t ask(const struct run *r, const struct actor *a, uint32_t step)
{
    command.head.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, 0);
    command.head.msgh_remote_port = a->command;
    command.head.msgh_local_port = MACH_PORT_NULL;
    command.type = type_bytes(sizeof command.body);
    kern_return_t rc =
        mach_msg_trap(&command.head, MACH_SEND_MSG | MACH_SEND_TIMEOUT, sizeof command, 0,
                      MACH_PORT_NULL, the_plan->deadline_ms, MACH_PORT_NULL);
    if (rc != MACH_MSG_SUCCESS)
        return rc;
    for (uint32_t waited = 0;; waited += 1000) {
        rc = mach_msg_trap(&answered.head, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof answered,
                           control, 1000, MACH_PORT_NULL);
        if (rc != MACH_RCV_TIMED_OUT || waited >= the_plan->deadline_ms)
            return rc;
        RECORD('W', "uuu", r->index, step, waited / 1000 + 1);
    }
}
