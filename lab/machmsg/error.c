/* error: a sentence for every return code, of Mach, of messages and of the name server. */
#include <mach/mach_error.h>
#include <mach/message.h>
#include <servers/bootstrap.h>
#include <stdio.h>

struct row {
    kern_return_t code;
    const char *text;
};

static const struct row rows[] = {
    {KERN_SUCCESS, "(os/kern) successful"},
    {KERN_INVALID_ADDRESS, "(os/kern) invalid address"},
    {KERN_PROTECTION_FAILURE, "(os/kern) protection failure"},
    {KERN_NO_SPACE, "(os/kern) no space available"},
    {KERN_INVALID_ARGUMENT, "(os/kern) invalid argument"},
    {KERN_FAILURE, "(os/kern) failure"},
    {KERN_RESOURCE_SHORTAGE, "(os/kern) resource shortage"},
    {KERN_NOT_RECEIVER, "(os/kern) not receiver"},
    {KERN_NO_ACCESS, "(os/kern) no access"},
    {KERN_MEMORY_FAILURE, "(os/kern) memory failure"},
    {KERN_MEMORY_ERROR, "(os/kern) memory error"},
    {KERN_ALREADY_IN_SET, "(os/kern) already in set"},
    {KERN_NOT_IN_SET, "(os/kern) not in set"},
    {KERN_NAME_EXISTS, "(os/kern) name exists"},
    {KERN_ABORTED, "(os/kern) aborted"},
    {KERN_INVALID_NAME, "(os/kern) invalid name"},
    {KERN_INVALID_TASK, "(os/kern) invalid task"},
    {KERN_INVALID_RIGHT, "(os/kern) invalid right"},
    {KERN_INVALID_VALUE, "(os/kern) invalid value"},
    {KERN_UREFS_OVERFLOW, "(os/kern) urefs overflow"},
    {KERN_INVALID_CAPABILITY, "(os/kern) invalid capability"},
    {KERN_RIGHT_EXISTS, "(os/kern) right exists"},
    {KERN_INVALID_HOST, "(os/kern) invalid host"},
    {KERN_MEMORY_PRESENT, "(os/kern) memory present"},
    {KERN_NOT_SUPPORTED, "(os/kern) not supported"},
    {MACH_SEND_IN_PROGRESS, "(ipc/send) in progress"},
    {MACH_SEND_INVALID_DATA, "(ipc/send) invalid data"},
    {MACH_SEND_INVALID_DEST, "(ipc/send) invalid destination port"},
    {MACH_SEND_TIMED_OUT, "(ipc/send) timed out"},
    {MACH_SEND_INVALID_VOUCHER, "(ipc/send) invalid voucher"},
    {MACH_SEND_INTERRUPTED, "(ipc/send) interrupted"},
    {MACH_SEND_MSG_TOO_SMALL, "(ipc/send) msg too small"},
    {MACH_SEND_INVALID_REPLY, "(ipc/send) invalid reply port"},
    {MACH_SEND_INVALID_RIGHT, "(ipc/send) invalid port right"},
    {MACH_SEND_INVALID_NOTIFY, "(ipc/send) invalid notify port"},
    {MACH_SEND_INVALID_MEMORY, "(ipc/send) invalid memory"},
    {MACH_SEND_NO_BUFFER, "(ipc/send) no message buffer"},
    {MACH_SEND_TOO_LARGE, "(ipc/send) msg too large"},
    {MACH_SEND_INVALID_TYPE, "(ipc/send) invalid msg-type"},
    {MACH_SEND_INVALID_HEADER, "(ipc/send) invalid msg-header"},
    {MACH_SEND_INVALID_TRAILER, "(ipc/send) invalid msg-trailer"},
    {MACH_RCV_IN_PROGRESS, "(ipc/rcv) in progress"},
    {MACH_RCV_INVALID_NAME, "(ipc/rcv) invalid name"},
    {MACH_RCV_TIMED_OUT, "(ipc/rcv) timed out"},
    {MACH_RCV_TOO_LARGE, "(ipc/rcv) msg too large"},
    {MACH_RCV_INTERRUPTED, "(ipc/rcv) interrupted"},
    {MACH_RCV_PORT_CHANGED, "(ipc/rcv) port changed"},
    {MACH_RCV_INVALID_NOTIFY, "(ipc/rcv) invalid notify port"},
    {MACH_RCV_INVALID_DATA, "(ipc/rcv) invalid data"},
    {MACH_RCV_PORT_DIED, "(ipc/rcv) port died"},
    {MACH_RCV_IN_SET, "(ipc/rcv) port in set"},
    {MACH_RCV_HEADER_ERROR, "(ipc/rcv) header error"},
    {MACH_RCV_BODY_ERROR, "(ipc/rcv) body error"},
    {MACH_RCV_INVALID_TYPE, "(ipc/rcv) invalid type"},
    {MACH_RCV_SCATTER_SMALL, "(ipc/rcv) scatter list too small"},
    {MACH_RCV_INVALID_TRAILER, "(ipc/rcv) invalid trailer"},
    {MACH_MSG_IPC_SPACE, "(ipc) no room in the port space"},
    {MACH_MSG_VM_SPACE, "(ipc) no room in the address space"},
    {MACH_MSG_IPC_KERNEL, "(ipc) resource shortage for port rights"},
    {MACH_MSG_VM_KERNEL, "(ipc) resource shortage for memory"},
    {BOOTSTRAP_NOT_PRIVILEGED, "(bootstrap) permission denied"},
    {BOOTSTRAP_NAME_IN_USE, "(bootstrap) name in use"},
    {BOOTSTRAP_UNKNOWN_SERVICE, "(bootstrap) unknown service"},
    {BOOTSTRAP_SERVICE_ACTIVE, "(bootstrap) service is active"},
    {BOOTSTRAP_BAD_COUNT, "(bootstrap) bad count"},
    {BOOTSTRAP_NO_MEMORY, "(bootstrap) no memory"},
    {BOOTSTRAP_NO_CHILDREN, "(bootstrap) no children"},
};

static const char *find(kern_return_t code)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].code == code)
            return rows[i].text;
    return NULL;
}

char *mach_error_string(mach_error_t code)
{
    const char *text = find(code);

    /* A message error can carry what was short in extra bits. */
    if (!text && (code & ~MACH_MSG_MASK) != 0)
        text = find(code & ~MACH_MSG_MASK);
    return (char *)(text ? text : "unknown error code");
}

void mach_error(const char *text, mach_error_t code)
{
    fprintf(stderr, "%s: %s (%#x)\n", text, mach_error_string(code), (unsigned int)code);
}

const char *bootstrap_strerror(kern_return_t code)
{
    return mach_error_string(code);
}
