/* What a guest could print: each line of the input is a record's payload, put into a proper record
 * (the checksum is no obstacle to a hostile guest), read, and turned into observations. Nothing may
 * crash, leak, or run on for long. */
#include "lab/gnumach/host/reading.h"
#include "lab/gnumach/protocol.h"
#include "lab/run/backend.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct step steps[] = {
    {.number = 1, .actor = "a", .action = ACT_MAP, .region = "r", .pages = 4},
    {.number = 2, .actor = "a", .action = ACT_WRITE, .region = "r", .select = {SEL_ALL, 0, 0}},
    {.number = 3, .actor = "a", .action = ACT_OOL_SEND, .region = "r", .to = "b"},
    {.number = 4, .actor = "b", .action = ACT_OOL_RECEIVE, .region = "r"},
    {.number = 5, .actor = "b", .action = ACT_WRITE, .region = "r", .select = {SEL_EVERY, 2, 0}},
    {.number = 6, .actor = "b", .action = ACT_READ, .region = "r", .select = {SEL_ALL, 0, 0}},
    {.number = 7, .actor = "a", .action = ACT_EXIT},
};
static char *actors[] = {"a", "b"};
static const struct plan plan = {.name = "fuzz",
                                 .actors = actors,
                                 .nactors = 2,
                                 .steps = steps,
                                 .nsteps = sizeof steps / sizeof *steps};

/* One Z: what was told so far becomes the next step's observation. */
static int observe(struct reading **r, struct snapshot *s, size_t *at, struct err *e)
{
    struct step_result result;
    int rc;

    if (!*r)
        return reading_new(r, &plan, 1 << 27, s, e);
    step_result_init(&result);
    rc = reading_step(*r, &steps[*at % plan.nsteps], s, &result, e);
    step_result_release(&result);
    ++*at;
    return rc;
}

static int one_line(struct record_stream *stream, const char *text, size_t len, struct record *r,
                    char *line, size_t size, struct err *e)
{
    char head[32];
    uint32_t crc;
    int n;

    snprintf(head, sizeof head, "%llu ", (unsigned long long)stream->next);
    crc = guest_crc32(guest_crc32(0, head, strlen(head)), text, len);
    n = snprintf(line, size, "@%016llx %s%zu %08x ", (unsigned long long)stream->nonce, head, len,
                 crc);
    memcpy(line + n, text, len);
    line[(size_t)n + len] = '\0';
    return record_parse(stream, line, (size_t)n + len, r, e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record_stream stream = {.nonce = 7};
    struct reading *r = NULL;
    struct snapshot s;
    struct err e;
    size_t at = 0, step = 0;
    char *line = malloc(size + 128), *raw = malloc(size + 1);
    int rc = 0;

    if (!line || !raw)
        abort();
    snapshot_init(&s);
    while (at < size && rc >= 0) {
        const char *text = (const char *)data + at;
        const char *end = memchr(text, '\n', size - at);
        size_t len = end ? (size_t)(end - text) : size - at;
        struct record_stream other = {.nonce = 7};
        struct record record;

        memcpy(raw, text, len); /* as a line of its own it is mostly refused */
        record_parse(&other, raw, len, &record, &e);
        rc = one_line(&stream, text, len, &record, line, size + 128, &e);
        if (rc > 0 && record.letter == 'Z') {
            rc = observe(&r, &s, &step, &e);
            snapshot_release(&s);
        } else if (rc > 0) {
            rc = snapshot_add(&s, &record, &e);
        }
        at += len + 1;
    }
    snapshot_release(&s);
    reading_free(r);
    free(line);
    free(raw);
    return 0;
}
