/* machine: the QEMU that runs the guest.
 *
 * Owns: one child process, the pipe its console comes through, the guest's image in memory.
 * Promises: no network, no disk, no file written, QEMU's sandbox on; the process dies with this
 * one, also when this one is killed; machine_stop leaves nothing behind; every wait has a deadline.
 * Does not: know records. Lines come as they are.
 *
 *     machine_start -> console_line* -> machine_stop
 */
#pragma once

#include "lab/gnumach/host/console.h"
#include "lab/gnumach/host/parts.h"
#include <stdint.h>

struct machine;

struct machine_options {
    uint64_t memory_mib;
    int silence_ms;           /* no output for so long: the guest hangs */
    const volatile int *stop; /* may be NULL */
};

/* plan: appended to the guest's image. */
int machine_start(struct machine **out, const struct machine_parts *parts, const void *plan,
                  size_t plan_len, const struct machine_options *opt, struct err *e);

struct console *machine_console(struct machine *m);
void machine_stop(struct machine *m);
