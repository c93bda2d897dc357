// What a program is started with: arguments, environment and auxiliary vector.
#include "guest.h"
#include <elf.h>
#include <sys/auxv.h>

extern char **environ;
int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) printf("argument %d: %s\n", i, argv[i]);
    CHECK(argv[argc] == NULL);
    for (char **entry = environ; *entry; entry++)
        if (strncmp(*entry, "GUEST_", 6) == 0) puts(*entry);
    CHECK(getauxval(AT_PAGESZ) == PAGE && getauxval(AT_UID) == getuid() && getauxval(AT_EGID) == getegid());
    CHECK(getauxval(AT_CLKTCK) == 100 && getauxval(AT_SECURE) == 0 && getauxval(AT_PHENT) == sizeof(Elf64_Phdr));
    const Elf64_Phdr *headers = (void *)getauxval(AT_PHDR);
    CHECK(headers && getauxval(AT_PHNUM) > 2);
    unsigned loads = 0;
    for (unsigned long i = 0; i < getauxval(AT_PHNUM); i++) loads += headers[i].p_type == PT_LOAD;
    const unsigned char *random = (void *)getauxval(AT_RANDOM);
    uint64_t zero = 0;
    CHECK(random && memcmp(random, &zero, 8) != 0);
    const char *file = (void *)getauxval(AT_EXECFN);
    const char *base = file ? strrchr(file, '/') : NULL;
    printf("program headers to load: %u, executed as: %s\n", loads, base ? base + 1 : "?");
    printf("hwcap %lx platform %s\n", getauxval(AT_HWCAP), (char *)getauxval(AT_PLATFORM));
    return 0;
}
