/* Any bytes as /proc/PID/maps or smaps, and as stat: an error or entries that lie in the text. */
#include "probes/footprint.h"
#include "probes/maps.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct maps m = {0};
    struct footprint f;
    struct err e = {""};

    m.text.text = malloc(size + 1);
    if (!m.text.text)
        return 0;
    memcpy(m.text.text, data, size);
    m.text.text[size] = '\0';
    m.text.len = size;
    m.text.cap = size + 1;
    footprint_init(&f, WHY_READ_FAILED);
    footprint_from_stat(&f, &m.text);
    footprint_from_status(&f, &m.text);
    if (maps_parse(&m, &e) == 0) {
        for (size_t i = 0; i < m.n; i++)
            if (m.entries[i].end < m.entries[i].start || strlen(m.entries[i].name) > size)
                abort();
        footprint_from_maps(&f, &m);
        (void)maps_find(&m, 0x1000);
    } else if (!e.msg[0]) {
        abort();
    }
    maps_release(&m);
    return 0;
}
