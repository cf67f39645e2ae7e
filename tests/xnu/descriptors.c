/* One message with every kind of descriptor, from a forked child to its parent, which the child
 * finds by name. */
#include <bootstrap.h>
#include <mach/mach.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define SERVICE "org.cowlab.example.descriptors"

typedef struct {
    mach_msg_header_t header;
    mach_msg_body_t body;
    mach_msg_port_descriptor_t port;
    mach_msg_ool_descriptor_t ool;
    mach_msg_ool_ports_descriptor_t ports;
    mach_msg_ool_descriptor_t volatile_ool;
    uint32_t inline_number;
} message_t;

static int child(void)
{
    static char text[] = "out of line", more[] = "out of line and volatile";
    message_t message = {0};
    mach_port_t parent, own, rights[3];
    kern_return_t kr = bootstrap_look_up(bootstrap_port, SERVICE, &parent);

    if (kr != KERN_SUCCESS)
        return 1;
    mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &own);
    rights[0] = own;
    rights[1] = MACH_PORT_NULL;
    rights[2] = own;
    message.header.msgh_bits =
        MACH_MSGH_BITS_SET(MACH_MSG_TYPE_COPY_SEND, 0, 0, MACH_MSGH_BITS_COMPLEX);
    message.header.msgh_remote_port = parent;
    message.header.msgh_size = sizeof(message);
    message.header.msgh_id = 8;
    message.body.msgh_descriptor_count = 4;
    message.port.name = own;
    message.port.disposition = MACH_MSG_TYPE_MAKE_SEND_ONCE;
    message.port.type = MACH_MSG_PORT_DESCRIPTOR;
    message.ool.address = text;
    message.ool.size = sizeof(text);
    message.ool.copy = MACH_MSG_VIRTUAL_COPY;
    message.ool.type = MACH_MSG_OOL_DESCRIPTOR;
    message.ports.address = rights;
    message.ports.count = 3;
    message.ports.copy = MACH_MSG_PHYSICAL_COPY;
    message.ports.disposition = MACH_MSG_TYPE_MAKE_SEND;
    message.ports.type = MACH_MSG_OOL_PORTS_DESCRIPTOR;
    message.volatile_ool.address = more;
    message.volatile_ool.size = sizeof(more);
    message.volatile_ool.copy = MACH_MSG_PHYSICAL_COPY;
    message.volatile_ool.type = MACH_MSG_OOL_VOLATILE_DESCRIPTOR;
    message.inline_number = 0x1234;
    kr = mach_msg(&message.header, MACH_SEND_MSG, sizeof(message), 0, MACH_PORT_NULL,
                  MACH_MSG_TIMEOUT_NONE, MACH_PORT_NULL);
    if (kr != KERN_SUCCESS)
        return 2;
    /* The parent's answer goes to the right that was made. */
    struct {
        mach_msg_header_t header;
        mach_msg_trailer_t trailer;
    } answer;
    kr = mach_msg(&answer.header, MACH_RCV_MSG, 0, sizeof(answer), own, MACH_MSG_TIMEOUT_NONE,
                  MACH_PORT_NULL);
    return kr == KERN_SUCCESS && answer.header.msgh_id == 9 ? 0 : 3;
}

static void print_descriptors(message_t *message)
{
    const mach_msg_type_descriptor_t *d = (const void *)((char *)message + sizeof(mach_msg_base_t));

    for (mach_msg_size_t i = 0; i < message->body.msgh_descriptor_count; i++) {
        switch (d->type) {
        case MACH_MSG_PORT_DESCRIPTOR:
            printf("%u: port, disposition %u\n", i,
                   ((const mach_msg_port_descriptor_t *)d)->disposition);
            d = (const void *)((const char *)d + sizeof(mach_msg_port_descriptor_t));
            break;
        case MACH_MSG_OOL_PORTS_DESCRIPTOR: {
            const mach_msg_ool_ports_descriptor_t *p = (const void *)d;
            const mach_port_t *rights = p->address;

            printf("%u: %u ports, disposition %u, second is null: %d, first and third the same: "
                   "%d\n",
                   i, p->count, p->disposition, rights[1] == MACH_PORT_NULL,
                   rights[0] == rights[2]);
            d = (const void *)(p + 1);
            break;
        }
        default: {
            const mach_msg_ool_descriptor_t *o = (const void *)d;

            printf("%u: out of line, type %u, copy %u, deallocate %d: %s\n", i, o->type, o->copy,
                   o->deallocate, (char *)o->address);
            d = (const void *)(o + 1);
            break;
        }
        }
    }
}

int main(void)
{
    mach_port_t port;
    struct {
        message_t message;
        mach_msg_trailer_t trailer;
    } in;
    mach_msg_header_t answer = {0};
    int status = 1;

    if (bootstrap_check_in(bootstrap_port, SERVICE, &port) != KERN_SUCCESS)
        return 1;
    if (fork() == 0)
        _exit(child());
    if (mach_msg(&in.message.header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof(in), port, 5000,
                 MACH_PORT_NULL) != KERN_SUCCESS)
        return 1;
    printf("message %d, inline 0x%x\n", in.message.header.msgh_id, in.message.inline_number);
    print_descriptors(&in.message);
    answer.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MOVE_SEND_ONCE, 0);
    answer.msgh_remote_port = in.message.port.name;
    answer.msgh_size = sizeof(answer);
    answer.msgh_id = 9;
    if (mach_msg_send(&answer) != KERN_SUCCESS)
        return 1;
    wait(&status);
    printf("child: %d\n", WEXITSTATUS(status));
    in.message.port.name = MACH_PORT_NULL; /* used up */
    mach_msg_destroy(&in.message.header);
    return WEXITSTATUS(status);
}
