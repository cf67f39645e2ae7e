#include "probes/signals.h"

#include <signal.h>
#include <stddef.h>

/* What we change and exec would hand on; a handler becomes the default again by itself. */
static const int changed[] = {SIGCHLD, SIGPIPE, SIGXFSZ};
static struct sigaction given[sizeof changed / sizeof *changed];
static sigset_t given_mask;

void signals_begin(void)
{
    sigset_t none;

    for (size_t i = 0; i < sizeof changed / sizeof *changed; i++)
        sigaction(changed[i], NULL, &given[i]);
    signal(SIGCHLD, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, &given_mask);
}

void signals_catch(void (*handler)(int number))
{
    static const int end[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = handler}, now;

    for (size_t i = 0; i < sizeof end / sizeof *end; i++)
        if (sigaction(end[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
            sigaction(end[i], &action, NULL);
}

void signals_as_given(void)
{
    for (size_t i = 0; i < sizeof changed / sizeof *changed; i++)
        sigaction(changed[i], &given[i], NULL);
    sigprocmask(SIG_SETMASK, &given_mask, NULL);
}
