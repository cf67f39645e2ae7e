#include "lab/gnumach/host/image.h"

#include "probes/slurp.h"
#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The program's last segment is the plan's: it gets its place at the end of the file. */
static int point_at_plan(char *program, size_t len, size_t plan_at, size_t plan_len, struct err *e)
{
    Elf64_Ehdr head;
    Elf64_Phdr last;
    size_t at;

    if (len < sizeof head)
        return err_set(e, EINVAL, "the guest is no program");
    memcpy(&head, program, sizeof head);
    at = head.e_phoff + (head.e_phnum - 1u) * sizeof last;
    if (memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_ident[EI_CLASS] != ELFCLASS64 ||
        head.e_phnum == 0 || head.e_phoff > len || at + sizeof last > len)
        return err_set(e, EINVAL, "the guest is no 64-bit program");
    memcpy(&last, program + at, sizeof last);
    last.p_offset = plan_at;
    last.p_filesz = last.p_memsz = plan_len;
    memcpy(program + at, &last, sizeof last);
    return 0;
}

int image_make(const char *guest, const void *plan, size_t plan_len, struct err *e)
{
    static const char zeros[4096];
    struct slurp program = {0};
    int fd = -1, rc = slurp_path(&program, guest);
    size_t len = program.len, padding = (sizeof zeros - len % sizeof zeros) % sizeof zeros;

    if (rc < 0)
        err_sys(e, -rc, "cannot read '%s'", guest);
    else
        rc = point_at_plan(program.text, len, len + padding, plan_len, e);
    if (rc == 0 && (fd = memfd_create("cowlab-guest", MFD_CLOEXEC)) < 0)
        rc = err_sys(e, errno, "cannot create the guest's image");
    if (rc == 0 && ((rc = fd_write_all(fd, program.text, len)) < 0 ||
                    (rc = fd_write_all(fd, zeros, padding)) < 0 ||
                    (rc = fd_write_all(fd, plan, plan_len)) < 0))
        rc = err_sys(e, -rc, "cannot write the guest's image");
    slurp_release(&program);
    if (rc < 0 && fd >= 0)
        close(fd);
    return rc < 0 ? rc : fd;
}
