/* Everything that a Mach program usually wants. */
#ifndef COWLAB_MACH_MACH_H
#define COWLAB_MACH_MACH_H

#include <mach/mach_error.h>
#include <mach/mach_init.h>
#include <mach/mach_interface.h>
#include <mach/mach_types.h>
#include <mach/message.h>
#include <mach/notify.h>
#include <mach/std_types.h>

#endif
