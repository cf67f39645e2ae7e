#ifndef COWLAB_MACH_MACH_INTERFACE_H
#define COWLAB_MACH_MACH_INTERFACE_H

#include <mach/mach_port.h>
#include <mach/task.h>
#include <mach/vm_map.h>

#endif
