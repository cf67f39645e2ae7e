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
    record_number(GUEST_VERSION);
    record_number(PAGE);
    record_number(info.memory_size);
    record_number(clock_ns(read_tsc()));
    record_number(clock_khz());
    record_text(version, text_length(version));
    record_end();
}

void tell_failure(const struct run *r, uint32_t step, const char *what)
{
    record_begin('X');
    record_number(r->index);
    record_number(step);
    record_signed(r->rc);
    record_text(what, text_length(what));
    record_end();
}

static void tell_message(const struct answer *a)
{
    record_begin('M');
    record_signed(a->id);
    record_number(a->message_bytes);
    record_number(a->ndescriptors);
    if (a->text_bytes)
        record_text(a->text, a->text_bytes);
    else
        record_text("-", 0);
    record_end();
    for (uint32_t i = 0; i < a->ndescriptors; i++) {
        const struct descriptor_seen *d = &a->descriptors[i];
        record_begin('V');
        record_number(i);
        record_number(d->kind);
        record_number(d->is_inline);
        record_number(d->deallocate);
        record_number(d->name);
        record_number(d->bytes);
        record_number(d->number);
        record_end();
    }
}

void tell_answer(const struct guest_step *s, const struct answer *a)
{
    record_begin('S');
    record_number(s->number);
    record_signed(a->rc);
    record_number(clock_ns(a->start_tsc));
    record_number(clock_ns(a->end_tsc) - clock_ns(a->start_tsc));
    record_number(a->sent);
    record_number(a->message_bytes);
    record_end();
    if (a->got_message)
        tell_message(a);
    if (a->checked) {
        record_begin('C');
        record_number((uint32_t)s->slot);
        record_number(a->checked);
        record_number(a->bad);
        record_number(a->first_bad);
        record_number(a->found);
        record_end();
    }
    if (a->before_bytes || a->after_bytes) {
        record_begin('G');
        record_number((uint32_t)s->slot);
        record_number(a->before_bytes);
        record_number(a->before_nonzero);
        record_number(a->after_bytes);
        record_number(a->after_nonzero);
        record_end();
    }
}
