/* exits: the version of the cowlab command, and its exit codes, worst last in `exit_worse`. */
#pragma once

#define COWLAB_VERSION "1.0.0"

enum exit_code {
    EXIT_DONE = 0,         /* done, and all expectations held */
    EXIT_EXPECTATION = 1,  /* an expectation failed */
    EXIT_USAGE = 2,        /* bad usage or bad scenario */
    EXIT_MACHINE = 3,      /* this machine cannot; the capability is named */
    EXIT_RUNNING = 4,      /* a failure while running */
    EXIT_INTERRUPTED = 130 /* by the user */
};

/* Of several outcomes the worst counts: 130, 4, 3, 2, 1, 0; the numbers happen to be in order. */
static inline int exit_worse(int a, int b)
{
    return a > b ? a : b;
}
