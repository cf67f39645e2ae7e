/* Copy-on-write after fork, seen through mach_vm_region_recurse: share mode, references and pages
 * after each step. */
#include <mach/mach.h>
#include <mach/mach_vm.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const modes[] = {"?",
                                    "SM_COW",
                                    "SM_PRIVATE",
                                    "SM_EMPTY",
                                    "SM_SHARED",
                                    "SM_TRUESHARED",
                                    "SM_PRIVATE_ALIASED",
                                    "SM_SHARED_ALIASED",
                                    "SM_LARGE_PAGE"};

static void show(const char *step, mach_vm_address_t address)
{
    vm_region_submap_info_data_64_t info = {0};
    mach_msg_type_number_t count = VM_REGION_SUBMAP_INFO_COUNT_64;
    mach_vm_address_t start = address;
    mach_vm_size_t size = 0;
    natural_t depth = 99;
    kern_return_t kr = mach_vm_region_recurse(mach_task_self(), &start, &size, &depth,
                                              (vm_region_recurse_info_t)&info, &count);

    if (kr != KERN_SUCCESS) {
        printf("%s: %s\n", step, mach_error_string(kr));
        exit(1);
    }
    printf("%s: %s, refs %u, resident %u, size %llu, depth %u\n", step, modes[info.share_mode],
           info.ref_count, info.pages_resident, size / vm_page_size, depth);
    fflush(stdout);
}

int main(void)
{
    mach_vm_address_t address = 0;
    int to_child[2], to_parent[2];
    char byte;

    if (pipe(to_child) || pipe(to_parent))
        return 1;
    if (mach_vm_map(mach_task_self(), &address, vm_page_size, 0, VM_FLAGS_ANYWHERE,
                    MEMORY_OBJECT_NULL, 0, FALSE, VM_PROT_READ | VM_PROT_WRITE,
                    VM_PROT_READ | VM_PROT_WRITE, VM_INHERIT_COPY) != KERN_SUCCESS)
        return 1;
    show("map", address);
    strcpy((char *)address, "parent");
    show("write", address);
    if (fork() == 0) {
        show("fork, child", address);
        strcpy((char *)address, "child");
        show("child wrote, child", address);
        if (write(to_parent[1], "x", 1) != 1 || read(to_child[0], &byte, 1) != 1)
            _exit(1);
        _exit(strcmp((char *)address, "child") != 0);
    }
    if (read(to_parent[0], &byte, 1) != 1)
        return 1;
    show("child wrote, parent", address);
    strcpy((char *)address, "again");
    show("parent wrote, parent", address);
    if (write(to_child[1], "x", 1) != 1)
        return 1;
    while (wait(NULL) > 0)
        continue;
    return mach_vm_deallocate(mach_task_self(), address, vm_page_size) != KERN_SUCCESS;
}
