/* stream: did a stream take what was written to it? */
#pragma once

#include <stdio.h>

/* Flushes. 0: all was taken, or whoever read it has gone: who goes away ("| head") wants no more,
 * and what was done beside the printing is done. Else a negative errno. SIGPIPE is to be ignored.
 */
int stream_end(FILE *f);
