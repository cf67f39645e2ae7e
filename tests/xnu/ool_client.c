/* The other side of ool_server: one message with out-of-line data and a reply port, one without a
 * reply port, one of a header only. */
#include <bootstrap.h>
#include <mach/mach.h>
#include <stdio.h>

#define SERVICE "org.cowlab.example.ool"

typedef struct {
    mach_msg_header_t header;
    mach_msg_body_t body;
    mach_msg_ool_descriptor_t data;
} request_t;

typedef struct {
    mach_msg_header_t header;
    char text[32];
    mach_msg_trailer_t trailer;
} reply_t;

static kern_return_t receive_answer(mach_port_t port, mach_msg_timeout_t timeout, reply_t *reply)
{
    return mach_msg(&reply->header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof(*reply), port,
                    timeout, MACH_PORT_NULL);
}

static void check(kern_return_t kr, const char *what)
{
    if (kr != KERN_SUCCESS) {
        printf("%s: %s\n", what, mach_error_string(kr));
        exit(1);
    }
}

int main(void)
{
    mach_port_t server, reply_port;
    request_t request = {0};
    mach_msg_header_t plain = {0};
    reply_t reply = {0};
    vm_address_t data;

    check(bootstrap_look_up(bootstrap_port, SERVICE, &server), "look up");
    check(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &reply_port), "allocate");
    check(mach_port_insert_right(mach_task_self(), reply_port, reply_port, MACH_MSG_TYPE_MAKE_SEND),
          "insert right");
    check(vm_allocate(mach_task_self(), &data, vm_page_size, VM_PROT_READ | VM_PROT_WRITE),
          "vm_allocate");
    strcpy((char *)data, "Hello, OOL data!");

    request.header.msgh_bits = MACH_MSGH_BITS_SET(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND,
                                                  0, MACH_MSGH_BITS_COMPLEX);
    request.header.msgh_remote_port = server;
    request.header.msgh_local_port = reply_port;
    request.header.msgh_id = 4;
    request.header.msgh_size = sizeof(request);
    request.body.msgh_descriptor_count = 1;
    request.data.address = (void *)data;
    request.data.size = vm_page_size;
    request.data.copy = MACH_MSG_VIRTUAL_COPY;
    request.data.deallocate = false;
    request.data.type = MACH_MSG_OOL_DESCRIPTOR;
    check(mach_msg(&request.header, MACH_SEND_MSG, sizeof(request), 0, MACH_PORT_NULL,
                   MACH_MSG_TIMEOUT_NONE, MACH_PORT_NULL),
          "send");
    check(receive_answer(reply_port, 5000, &reply), "receive");
    printf("answer %d: %s\n", reply.header.msgh_id, reply.text);

    request.header.msgh_bits =
        MACH_MSGH_BITS_SET(MACH_MSG_TYPE_COPY_SEND, 0, 0, MACH_MSGH_BITS_COMPLEX);
    request.header.msgh_local_port = MACH_PORT_NULL;
    request.header.msgh_id = 5;
    check(mach_msg(&request.header, MACH_SEND_MSG, sizeof(request), 0, MACH_PORT_NULL,
                   MACH_MSG_TIMEOUT_NONE, MACH_PORT_NULL),
          "send");
    printf("no answer: %s\n", mach_error_string(receive_answer(reply_port, 200, &reply)));

    plain.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND_ONCE);
    plain.msgh_remote_port = server;
    plain.msgh_local_port = reply_port;
    plain.msgh_id = 6;
    check(mach_msg(&plain, MACH_SEND_MSG, sizeof(plain), 0, MACH_PORT_NULL, MACH_MSG_TIMEOUT_NONE,
                   MACH_PORT_NULL),
          "send");
    check(receive_answer(reply_port, 5000, &reply), "receive");
    printf("answer %d: %s\n", reply.header.msgh_id, reply.text);
    vm_deallocate(mach_task_self(), data, vm_page_size);
    return 0;
}
