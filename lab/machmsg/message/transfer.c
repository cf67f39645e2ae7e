/* transfer: see transfer.h and ../trace.h. */
#include "lab/machmsg/message/transfer.h"
#include "lab/machmsg/memory/mem.h"
#include <pthread.h>

static struct {
    pthread_mutex_t lock;
    machmsg_trace_fn *fn;
    void *arg;
} hook = {.lock = PTHREAD_MUTEX_INITIALIZER};

void machmsg_trace(machmsg_trace_fn *fn, void *arg)
{
    pthread_mutex_lock(&hook.lock);
    hook.arg = arg;
    __atomic_store_n(&hook.fn, fn, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&hook.lock);
}

bool trace_wanted(void)
{
    return __atomic_load_n(&hook.fn, __ATOMIC_ACQUIRE) != NULL;
}

void trace_call(const struct machmsg_transfer *t)
{
    pthread_mutex_lock(&hook.lock);
    if (hook.fn)
        hook.fn(hook.arg, t);
    pthread_mutex_unlock(&hook.lock);
}

const char *trace_kind(unsigned int type)
{
    static const char *const kinds[] = {"port", "ool", "ool_ports", "ool_volatile"};

    return type < sizeof kinds / sizeof kinds[0] ? kinds[type] : "unknown";
}

const char *machmsg_policy(void)
{
    return mem_native() ? "native" : "xnu";
}
