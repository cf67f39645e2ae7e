/* cowlab list: a line per scenario. */
#include "lab/backends.h"
#include "lab/cli/cli.h"
#include "reports/escape.h"
#include <argp.h>
#include <string.h>

static void print_backends(const struct plan *p)
{
    char text[64] = "";

    for (size_t i = 0; i < p->nbackends; i++) {
        size_t used = strlen(text);

        snprintf(text + used, sizeof text - used, "%s%s", i ? "," : "", p->backends[i]);
    }
    printf("%-20s %-14s ", p->name, text);
    escape_terminal(stdout, p->title);
    printf("\n");
}

static int list_one(const struct builtin_scenario *s)
{
    struct plan *plan;
    struct err e;

    if (plan_parse(&plan, s->text, s->len, s->name, backend_abilities, backends[0]->ability->name,
                   backends[0]->page_size(), NULL, 0, NULL, &e) < 0)
        return cli_fail(EXIT_RUNNING, &e);
    print_backends(plan);
    plan_free(plan);
    return EXIT_DONE;
}

int cmd_list(int argc, char **argv)
{
    static const struct argp argp = {
        .doc = "Lists the scenarios that come with cowlab: name, backends, title."};
    int code = EXIT_DONE;

    cli_parse(&argp, argc, argv, NULL);
    for (const struct builtin_scenario *s = builtin_scenarios; s->name; s++)
        code = exit_worse(code, list_one(s));
    return code;
}
