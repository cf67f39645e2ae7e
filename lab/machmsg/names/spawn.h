/* spawn: a process that works for the layer, started by a program that knows only the library.
 *
 * What is started is the running program itself, executed anew with a mark in its environment; a
 * constructor in the library sees the mark and works instead of main(). So there is always a
 * program to start, and it has an address space of its own, whatever threads or memory the caller
 * has. The new process must detach (fork, and let the first process exit). */
#pragma once

/* Executes program (NULL: the running one) with argv and, if mark is not NULL, "mark=value" in
 * the environment; fd becomes descriptor 3 (-1: none). Waits until the first process has exited:
 * its status, or a negative errno. */
int spawn_detached(const char *program, char *const argv[], const char *mark, const char *value,
                   int fd);
