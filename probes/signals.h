/* signals: what cowlab's programs do with the signals that they are started with.
 *
 * A signal that was ignored at the start stays so (nohup, a shell's background job), with two
 * exceptions without which a program of ours cannot work: an ignored SIGCHLD, whose children
 * nobody can wait for, and blocked signals, which would never arrive. */
#pragma once

/* First in main. A reader that has gone (SIGPIPE) and a file that may not grow (SIGXFSZ,
 * RLIMIT_FSIZE) become failed writes. */
void signals_begin(void);
/* SIGINT, SIGTERM and SIGHUP go to the handler unless they are ignored. */
void signals_catch(void (*handler)(int number));
/* Between fork and exec of a command of the user's: all as it was given to this program. */
void signals_as_given(void);
