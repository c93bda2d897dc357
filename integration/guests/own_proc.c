// What a program reads about itself in /proc: exe, cmdline, maps, auxv, comm, stat.
#include "guest.h"
#include <elf.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/stat.h>

static int mapped(const void *at, const char *wanted) {
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps);
    char line[4096];
    int found = 0;
    while (fgets(line, sizeof line, maps)) {
        unsigned long from, to;
        char protections[8];
        CHECK(sscanf(line, "%lx-%lx %7s", &from, &to, protections) == 3);
        if ((unsigned long)at >= from && (unsigned long)at < to) found = strncmp(protections, wanted, 3) == 0;
    }
    fclose(maps);
    return found;
}
static size_t slurp(const char *path, char *into, size_t room) {
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0);
    ssize_t got = read(fd, into, room);
    CHECK(got >= 0);
    close(fd);
    return (size_t)got;
}

int main(int argc, char **argv) {
    char *buffer = fresh(64 * KIB), path[4096] = {0};
    CHECK(readlink("/proc/self/exe", path, sizeof path - 1) > 0);
    char *resolved = realpath(argv[0], NULL);
    CHECK(resolved && strcmp(resolved, path) == 0);
    struct stat by_link, by_name;
    CHECK(stat("/proc/self/exe", &by_link) == 0 && stat(argv[0], &by_name) == 0 && by_link.st_ino == by_name.st_ino);
    size_t length = slurp("/proc/self/cmdline", buffer, 64 * KIB), wanted = 0;
    for (int i = 0; i < argc; i++) wanted += strlen(argv[i]) + 1;
    CHECK(length == wanted && strcmp(buffer, argv[0]) == 0);
    CHECK(slurp("/proc/self/comm", buffer, 64 * KIB) > 1 && strncmp(buffer, "own_proc", 8) == 0);
    char name[16];
    CHECK(prctl(PR_GET_NAME, name) == 0 && strncmp(name, "own_proc", 8) == 0);
    length = slurp("/proc/self/auxv", buffer, 64 * KIB);
    const Elf64_auxv_t *entries = (void *)buffer;
    int entry_seen = 0;
    for (size_t i = 0; i < length / sizeof *entries; i++)
        entry_seen += entries[i].a_type == AT_ENTRY && entries[i].a_un.a_val == getauxval(AT_ENTRY);
    CHECK(entry_seen == 1);
    int here = 0;
    CHECK(mapped(&here, "rw-") && mapped((void *)(uintptr_t)&mapped, "r-x") && mapped(buffer, "rw-"));
    CHECK(mprotect(buffer, PAGE, PROT_READ) == 0 && mapped(buffer, "r--"));
    return finish("own_proc", (uint64_t)argc);
}
