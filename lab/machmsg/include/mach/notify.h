/* Notifications. Only send-once notifications are ever sent by this layer. */
#ifndef COWLAB_MACH_NOTIFY_H
#define COWLAB_MACH_NOTIFY_H

#include <mach/message.h>

#define MACH_NOTIFY_FIRST 64
#define MACH_NOTIFY_PORT_DELETED 65
#define MACH_NOTIFY_PORT_DESTROYED 69
#define MACH_NOTIFY_NO_SENDERS 70
#define MACH_NOTIFY_SEND_ONCE 71
#define MACH_NOTIFY_DEAD_NAME 72
#define MACH_NOTIFY_LAST (MACH_NOTIFY_FIRST + 15)

#pragma pack(push, 4)
typedef struct {
    mach_msg_header_t not_header;
    mach_msg_format_0_trailer_t trailer;
} mach_send_once_notification_t;
#pragma pack(pop)

#endif
