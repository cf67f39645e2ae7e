#include "lab/cli/cli.h"
int cmd_vmmap(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return EXIT_RUNNING;
}
