/* hugefile: a memory object of transparent huge pages, without a change to the machine. */
#pragma once

/* A file without a name on a tmpfs of its own, mounted nowhere, that gives huge pages to whatever
 * is large enough; it is gone with its last descriptor and mapping. A descriptor, or a negative
 * errno: -EPERM without CAP_SYS_ADMIN, -EINVAL where shared memory has no huge pages, -ENOSYS
 * before Linux 5.2. */
int huge_file(void);
