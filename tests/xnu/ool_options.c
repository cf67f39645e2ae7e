/* The eight out-of-line transfers: copy option, size and deallocate. Only the first page is
 * written; the receiver prints what arrived and what the region looks like. Nothing is released
 * between, so that small ones can be seen to join. An argument gives the vm_allocate flags. */
#include <bootstrap.h>
#include <mach/mach.h>
#include <mach/mach_vm.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define SERVICE "org.cowlab.example.options"

typedef struct {
    mach_msg_header_t header;
    mach_msg_body_t body;
    mach_msg_ool_descriptor_t data;
} message_t;

static int send_all(int flags)
{
    mach_port_t to;

    if (bootstrap_look_up(bootstrap_port, SERVICE, &to) != KERN_SUCCESS)
        return 1;
    for (int i = 0; i < 8; i++) {
        vm_size_t size = (i & 2 ? 16 : 1) * vm_page_size;
        message_t message = {0};
        vm_address_t data;

        if (vm_allocate(mach_task_self(), &data, size, flags) != KERN_SUCCESS)
            return 1;
        *(char *)data = 'A' + i;
        message.header.msgh_bits =
            MACH_MSGH_BITS_SET(MACH_MSG_TYPE_COPY_SEND, 0, 0, MACH_MSGH_BITS_COMPLEX);
        message.header.msgh_remote_port = to;
        message.header.msgh_size = sizeof(message);
        message.header.msgh_id = i + 1;
        message.body.msgh_descriptor_count = 1;
        message.data.address = (void *)data;
        message.data.size = size;
        message.data.copy = i & 4 ? MACH_MSG_PHYSICAL_COPY : MACH_MSG_VIRTUAL_COPY;
        message.data.deallocate = i & 1;
        message.data.type = MACH_MSG_OOL_DESCRIPTOR;
        if (mach_msg_send(&message.header) != KERN_SUCCESS)
            return 1;
    }
    pause(); /* its memory is to stay while the receiver looks */
    return 0;
}

int main(int argc, char **argv)
{
    int flags = argc > 1 ? atoi(argv[1]) : VM_PROT_READ | VM_PROT_WRITE;
    mach_port_t port;
    int sender;

    if (bootstrap_check_in(bootstrap_port, SERVICE, &port) != KERN_SUCCESS)
        return 1;
    sender = fork();
    if (sender == 0)
        _exit(send_all(flags));
    for (int i = 0; i < 8; i++) {
        struct {
            message_t message;
            mach_msg_trailer_t trailer;
        } in;
        vm_region_submap_info_data_64_t info = {0};
        mach_msg_type_number_t count = VM_REGION_SUBMAP_INFO_COUNT_64;
        mach_vm_address_t start;
        mach_vm_size_t size = 0;
        natural_t depth = 0;

        if (mach_msg(&in.message.header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof(in), port, 5000,
                     MACH_PORT_NULL) != KERN_SUCCESS)
            return 1;
        start = (mach_vm_address_t)in.message.data.address;
        if (mach_vm_region_recurse(mach_task_self(), &start, &size, &depth,
                                   (vm_region_recurse_info_t)&info, &count) != KERN_SUCCESS)
            return 1;
        printf("%d: %c, copy %u, region of %llu pages, mode %u, refs %u, resident %u\n",
               in.message.header.msgh_id, *(char *)in.message.data.address, in.message.data.copy,
               size / vm_page_size, info.share_mode, info.ref_count, info.pages_resident);
    }
    kill(sender, SIGTERM);
    wait(NULL);
    return 0;
}
