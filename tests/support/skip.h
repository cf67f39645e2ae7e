/* skip: a skipped test names what it lacks; tests/run.sh prints that line. */
#ifndef TESTS_SUPPORT_SKIP_H
#define TESTS_SUPPORT_SKIP_H

#define skip_needs(what)                                                                           \
    do {                                                                                           \
        print_message("# needs %s\n", what);                                                       \
        skip();                                                                                    \
    } while (0)

#endif
