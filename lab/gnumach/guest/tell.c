/* tell: what happened, as records (see protocol.h). */
#include "lab/gnumach/guest/run.h"
#include "mach_host.h"

void tell_start(void)
{
    static kernel_version_t version;
    struct host_basic_info info = {0};
    mach_msg_type_number_t n = HOST_BASIC_INFO_COUNT;
    mach_port_t host = mach_host_self();
    host_info(host, HOST_BASIC_INFO, (host_info_t)&info, &n);
    host_get_kernel_version(host, version);
    record_begin('H');
    RECORD_FIELDS("uuuuu", GUEST_VERSION, PAGE, info.memory_size, clock_ns(read_tsc()),
                  clock_khz());
    record_text(version, text_length(version));
    record_end();
}

void tell_failure(const struct run *r, uint32_t step, const char *what)
{
    record_begin('X');
    RECORD_FIELDS("uui", r->index, step, (uint64_t)r->rc);
    record_text(what, text_length(what));
    record_end();
}

static void tell_message(const struct answer *a)
{
    record_begin('M');
    RECORD_FIELDS("iuu", (uint64_t)a->id, a->message_bytes, a->ndescriptors);
    record_text(a->text_bytes ? a->text : "-", a->text_bytes);
    record_end();
    for (uint32_t i = 0; i < a->ndescriptors; i++) {
        const struct descriptor_seen *d = &a->descriptors[i];
        RECORD('V', "uuuuuuu", i, d->kind, d->is_inline, d->deallocate, d->name, d->bytes,
               d->number);
    }
}

void tell_answer(const struct guest_step *s, const struct answer *a)
{
    RECORD('S', "uiuuuu", s->number, (uint64_t)a->rc, clock_ns(a->start_tsc),
           clock_ns(a->end_tsc) - clock_ns(a->start_tsc), a->sent, a->message_bytes);
    if (a->got_message)
        tell_message(a);
    if (a->checked) {
        RECORD('C', "uuuuu", (uint32_t)s->slot, a->checked, a->bad, a->first_bad, a->found);
    }
    if (a->before_bytes || a->after_bytes) {
        RECORD('G', "uuuuu", (uint32_t)s->slot, a->before_bytes, a->before_nonzero, a->after_bytes,
               a->after_nonzero);
    }
}
