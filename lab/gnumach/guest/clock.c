/* clock: time in the guest.
 * The kernel's clock costs a message per reading and may move in steps of 10 ms; the processor's
 * counter costs nothing and can be read by an actor around its action. So the counter's rate is
 * measured against the kernel's clock once, over 20 ms, and everything is told in its terms. */
#include "lab/gnumach/guest/guest.h"
#include "mach_host.h"

#define CALIBRATE_NS 20000000u

static uint64_t first_tsc, first_ns;
static uint64_t ns_per_tick; /* in 2^-24 ns */
static uint64_t khz;

static uint64_t kernel_ns(void)
{
    time_value64_t t = {0, 0};
    host_get_time64(mach_host_self(), &t);
    return (uint64_t)t.seconds * 1000000000u + (uint64_t)t.nanoseconds;
}

/* A reading taken just after the kernel's clock has moved. */
static uint64_t edge(uint64_t *tsc)
{
    uint64_t before = kernel_ns(), now;
    do {
        now = kernel_ns();
        *tsc = read_tsc();
    } while (now == before);
    return now;
}

void clock_start(void)
{
    uint64_t tsc, ns;
    first_ns = edge(&first_tsc);
    do {
        ns = edge(&tsc);
    } while (ns - first_ns < CALIBRATE_NS);
    ns_per_tick = ((ns - first_ns) << 24) / (tsc - first_tsc);
    khz = (tsc - first_tsc) * 1000000u / (ns - first_ns);
}

uint64_t clock_ns(uint64_t tsc)
{
    return (uint64_t)(((unsigned __int128)(tsc - first_tsc) * ns_per_tick) >> 24);
}

uint64_t clock_khz(void)
{
    return khz;
}
