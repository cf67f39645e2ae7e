/* skip: a skipped test names what it lacks; tests/run.sh prints that line. */
#pragma once

#define skip_needs(what)                                                                           \
    do {                                                                                           \
        print_message("# needs %s\n", what);                                                       \
        skip();                                                                                    \
    } while (0)
