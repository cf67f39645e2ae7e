/* A program as people write it for XNU: a service that waits for messages for ever, prints the
 * out-of-line data in them, and answers those who want an answer. */
#include <bootstrap.h>
#include <mach/mach.h>
#include <stdio.h>

#define SERVICE "org.cowlab.example.ool"

typedef struct {
    mach_msg_header_t header;
    mach_msg_body_t body;
    mach_msg_ool_descriptor_t data;
    mach_msg_trailer_t trailer;
} request_t;

typedef struct {
    mach_msg_header_t header;
    char text[32];
} reply_t;

static void answer(const mach_msg_header_t *request, const char *text)
{
    reply_t reply = {0};
    kern_return_t kr;

    if (request->msgh_remote_port == MACH_PORT_NULL) {
        printf("nobody waits for an answer\n");
        return;
    }
    reply.header.msgh_bits = MACH_MSGH_BITS_SET(MACH_MSGH_BITS_REMOTE(request->msgh_bits), 0, 0, 0);
    reply.header.msgh_remote_port = request->msgh_remote_port;
    reply.header.msgh_size = sizeof(reply);
    reply.header.msgh_id = request->msgh_id + 100;
    strcpy(reply.text, text);
    kr = mach_msg(&reply.header, MACH_SEND_MSG, sizeof(reply), 0, MACH_PORT_NULL,
                  MACH_MSG_TIMEOUT_NONE, MACH_PORT_NULL);
    if (kr != KERN_SUCCESS)
        printf("cannot answer: %s\n", mach_error_string(kr));
}

int main(void)
{
    mach_port_t bootstrap, port;
    kern_return_t kr;

    setvbuf(stdout, NULL, _IOLBF, 0);
    kr = task_get_special_port(mach_task_self(), TASK_BOOTSTRAP_PORT, &bootstrap);
    if (kr == KERN_SUCCESS)
        kr = mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port);
    if (kr == KERN_SUCCESS)
        kr = mach_port_insert_right(mach_task_self(), port, port, MACH_MSG_TYPE_MAKE_SEND);
    if (kr == KERN_SUCCESS)
        kr = bootstrap_register(bootstrap, SERVICE, port);
    if (kr != KERN_SUCCESS) {
        printf("cannot serve: %s\n", mach_error_string(kr));
        return 1;
    }
    printf("serving\n");
    while (true) {
        request_t request;

        kr = mach_msg(&request.header, MACH_RCV_MSG, 0, sizeof(request), port,
                      MACH_MSG_TIMEOUT_NONE, MACH_PORT_NULL);
        if (kr != KERN_SUCCESS) {
            printf("cannot receive: %s\n", mach_error_string(kr));
            continue;
        }
        if (!(request.header.msgh_bits & MACH_MSGH_BITS_COMPLEX)) {
            printf("message %d without a body\n", request.header.msgh_id);
            answer(&request.header, "plain");
            continue;
        }
        printf("message %d: %u bytes out of line, copy %u: %s\n", request.header.msgh_id,
               request.data.size, request.data.copy, (char *)request.data.address);
        answer(&request.header, "thank you");
        vm_deallocate(mach_task_self(), (vm_address_t)request.data.address, request.data.size);
    }
}
