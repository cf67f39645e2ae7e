/* cowlab doctor: every capability, what it unlocks, how to get the missing ones. */
#include "lab/backends.h"
#include "lab/cli/cli.h"
#include "lab/run/machine.h"
#include "lab/run/paths.h"
#include "probes/json.h"
#include <argp.h>
#include <stdlib.h>
#include <unistd.h>

static const struct argp_option options[] = {
    {"json", 'j', NULL, 0, "as JSON", 0},
    {0},
};

/* Is everything there that a backend needs for a plan that asks for nothing? */
static bool backend_ready(const struct backend *b, struct err *e)
{
    static const struct plan nothing = {.name = "a scenario", .backend = ""};

    return b->check(&nothing, e) == 0;
}

static void add_backends(cJSON *list)
{
    for (size_t i = 0; backends[i]; i++) {
        struct err e = {""};
        cJSON *row = cJSON_CreateObject();

        cJSON_AddStringToObject(row, "name", backends[i]->ability->name);
        cJSON_AddBoolToObject(row, "have", backend_ready(backends[i], &e));
        if (e.msg[0])
            cJSON_AddStringToObject(row, "reason", e.msg);
        cJSON_AddItemToArray(list, row);
    }
}

static void print_backends(void)
{
    printf("\nWhere scenarios can run:\n\n");
    for (size_t i = 0; backends[i]; i++) {
        struct err e = {""};
        bool ready = backend_ready(backends[i], &e);

        printf("  %-14s %-5s %s\n", backends[i]->ability->name, ready ? "yes" : "no", e.msg);
    }
}

/* --- what labs that were killed have left --- */

static void add_left(void *list, const char *path, uid_t user)
{
    cJSON *row = cJSON_CreateObject();

    cJSON_AddStringToObject(row, "path", path);
    cJSON_AddNumberToObject(row, "user", user);
    cJSON_AddItemToArray(list, row);
}

static void print_left(void *count, const char *path, uid_t user)
{
    if ((*(int *)count)++ == 0)
        printf("\nLeft by runs whose lab was killed; the next run of the same user removes it, "
               "unless\n"
               "something else was put there or a process in its cgroup/cgroup.procs cannot be "
               "killed:\n\n");
    printf("  %s, of user %u\n", path, (unsigned int)user);
}

static void visit_left(backend_visit_fn *visit, void *arg)
{
    for (size_t i = 0; backends[i]; i++)
        if (backends[i]->left)
            backends[i]->left(visit, arg);
}

static void print_json(const struct caps *c)
{
    cJSON *o = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(o, "capabilities");
    char *text;

    cJSON_AddStringToObject(o, "kernel", c->kernel);
    cJSON_AddNumberToObject(o, "page_size", (double)c->page_size);
    cJSON_AddNumberToObject(o, "huge_page_size", (double)c->huge_page_size);
    cJSON_AddBoolToObject(o, "helper", c->via_helper);
    for (int i = 0; i < CAP__COUNT; i++) {
        cJSON *row = cJSON_CreateObject();

        cJSON_AddStringToObject(row, "name", cap_rows[i].name);
        cJSON_AddBoolToObject(row, "have", c->have[i]);
        cJSON_AddBoolToObject(row, "hidden", c->hidden[i]);
        cJSON_AddStringToObject(row, "unlocks", cap_rows[i].unlocks);
        cJSON_AddStringToObject(row, "how", cap_rows[i].how);
        if (!c->have[i])
            cJSON_AddStringToObject(row, "reason", c->reason[i]);
        cJSON_AddItemToArray(list, row);
    }
    add_backends(cJSON_AddArrayToObject(o, "backends"));
    visit_left(add_left, cJSON_AddArrayToObject(o, "left"));
    text = json_text(o, false);
    if (!text)
        cli_no_memory();
    puts(text);
    free(text);
}

static void print_missing(const struct caps *c, int i)
{
    printf("  %-14s %-5s %s\n", cap_rows[i].name, c->hidden[i] ? "?" : "no", cap_rows[i].unlocks);
    printf("  %-14s       here: %s; to get it: %s\n", "", c->reason[i], cap_rows[i].how);
}

/* With the path of the helper that this lab would use. */
static void print_setcap(void)
{
    char helper[4096];
    struct err ignored;

    if (find_program("cowprobe", "COWLAB_COWPROBE", helper, sizeof helper, &ignored) < 0)
        snprintf(helper, sizeof helper, "cowprobe");
    printf("\nTo see page frames without running the lab as root, let its helper read them:\n"
           "  sudo setcap cap_sys_admin,cap_dac_read_search=ep '%s'\n"
           "Every user who may execute it then sees states, map counts and flags of the pages of "
           "their own\n"
           "processes, and which share frames; no frame numbers, and nothing of others.\n"
           "Everything runs without it; what cannot be seen is reported as unknown.\n",
           helper);
}

static void print_text(const struct caps *c)
{
    bool green = cli_colour(stdout);
    int missing = 0, left = 0;

    printf("%s, pages of %llu bytes, %s\n\n", c->kernel, (unsigned long long)c->page_size,
           geteuid() == 0  ? "as root"
           : c->via_helper ? "as an ordinary user with a privileged cowprobe"
                           : "as an ordinary user");
    for (int i = 0; i < CAP__COUNT; i++)
        if (c->have[i])
            printf("  %-14s %syes%s   %s\n", cap_rows[i].name, green ? "\033[32m" : "",
                   green ? "\033[0m" : "", cap_rows[i].unlocks);
    for (int i = 0; i < CAP__COUNT; i++)
        if (!c->have[i] && missing++ == 0)
            printf("\nMissing here:\n\n");
    for (int i = 0; i < CAP__COUNT; i++)
        if (!c->have[i])
            print_missing(c, i);
    print_backends();
    visit_left(print_left, &left);
    if (!left)
        printf("\nNothing is left by runs whose lab was killed.\n");
    if (geteuid() && (!c->have[CAP_FRAMES] || !c->have[CAP_KPAGECOUNT] || !c->have[CAP_KPAGEFLAGS]))
        print_setcap();
}

int cmd_doctor(int argc, char **argv)
{
    static const struct argp argp = {
        .options = options,
        .parser = cli_option,
        .doc = "Probes what this machine lets the lab see, and says what would unlock the rest."};
    struct cli_common a = {.json = false};

    cli_parse(&argp, argc, argv, &a);
    if (a.json)
        print_json(machine_caps());
    else
        print_text(machine_caps());
    return EXIT_DONE;
}
