/* msg: what the two halves of mach_msg, and those who look on, share. */
#ifndef MACHMSG_MSG_H
#define MACHMSG_MSG_H

#include "lab/machmsg/ool.h"
#include "lab/machmsg/port.h"
#include "lab/machmsg/trace.h"

/* A point in time, or never. */
struct deadline {
    bool set;
    uint64_t ns; /* CLOCK_MONOTONIC */
};
struct deadline deadline_in(bool set, mach_msg_timeout_t ms);
/* Milliseconds left for poll(2), rounded up; -1: no deadline. */
int deadline_left(const struct deadline *d);

mach_msg_return_t msg_send(mach_msg_header_t *msg, mach_msg_option_t option, mach_msg_size_t size,
                           mach_msg_timeout_t timeout);
mach_msg_return_t msg_receive(mach_msg_header_t *msg, mach_msg_option_t option,
                              mach_msg_size_t size, mach_port_name_t name,
                              mach_msg_timeout_t timeout);

/* Calls the registered function, if there is one. */
void trace_call(const struct machmsg_transfer *t);
bool trace_wanted(void);
const char *trace_kind(unsigned int type);

#endif
