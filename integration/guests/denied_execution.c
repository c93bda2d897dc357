// Memory-Deny-Write-Execute (PR_SET_MDWE): what the kernel refuses, what goes on, in the process, its
// children and what they execute.
#include "guest.h"
#include <dlfcn.h>
#include <sys/prctl.h>

#define SET_MDWE 65
#define GET_MDWE 66
#define RW (PROT_READ | PROT_WRITE)
#define RX (PROT_READ | PROT_EXEC)

static void tell(const char *what, long result) {
    if (result == -1) printf("%s: %s\n", what, strerrorname_np(errno));
    else printf("%s: %s\n", what, result == 0 ? "0" : "somewhere");
}
#define TELL(call) tell(#call, (long)(call))

static void try_all(void) {
    int anonymous = MAP_PRIVATE | MAP_ANONYMOUS, fd = open("/proc/self/exe", O_RDONLY);
    char *data = fresh(64 * PAGE);
    memset(data, 7, 64 * PAGE);
    TELL(mprotect(data, PAGE, RX));
    TELL(mprotect(data, PAGE, RW | PROT_EXEC));
    TELL(mmap(NULL, PAGE, RW | PROT_EXEC, anonymous, -1, 0));
    TELL(mmap(NULL, PAGE, PROT_WRITE | PROT_EXEC, anonymous, -1, 0));
    TELL(mmap(NULL, PAGE, RW | PROT_EXEC, MAP_PRIVATE, fd, 0));
    TELL(mmap(NULL, PAGE, RW | PROT_EXEC, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    TELL(mmap(data + 8 * PAGE, PAGE, RW | PROT_EXEC, anonymous | MAP_FIXED, -1, 0));
    printf("still %d\n", data[8 * PAGE]);
    char *code = mmap(NULL, 4 * PAGE, RX, anonymous, -1, 0);
    CHECK(code != MAP_FAILED);
    printf("code reads %d\n", code[PAGE]);
    TELL(mprotect(code, PAGE, RX));
    TELL(mprotect(code, PAGE, PROT_EXEC));
    TELL(mprotect(code, PAGE, PROT_READ));
    TELL(mprotect(code, PAGE, RX));
    TELL(mprotect(code + PAGE, PAGE, RW));
    code[PAGE] = 5;
    char *moved = mremap(code + 2 * PAGE, PAGE, 3 * PAGE, MREMAP_MAYMOVE);
    TELL(moved);
    TELL(mprotect(moved, 3 * PAGE, RX));
    printf("moved reads %d\n", moved[2 * PAGE]);
    char *file = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
    TELL(mprotect(file, PAGE, RX));
    TELL(mmap(NULL, PAGE, RX, MAP_PRIVATE, fd, 0));
    TELL(mmap(data + 9 * PAGE, PAGE, RX, anonymous | MAP_FIXED, -1, 0));
    printf("replaced by %d\n", data[9 * PAGE]);
    close(fd);
    void *library = dlopen("libm.so.6", RTLD_NOW);
    double (*root)(double) = library ? (double (*)(double))dlsym(library, "cbrt") : NULL;
    printf("a library: %s\n", root && root(27) > 2.9 ? "works" : "does not");
    for (int page = 10; page < 64; page++) CHECK(data[page * (int)PAGE] == 7);
}

int main(int count, char **arguments) {
    if (count > 1) {
        printf("executed, %d\n", prctl(GET_MDWE, 0, 0, 0, 0));
        try_all();
        return 0;
    }
    TELL(prctl(SET_MDWE, 2, 0, 0, 0));
    TELL(prctl(SET_MDWE, 1, 0, 0, 0));
    printf("%d\n", prctl(GET_MDWE, 0, 0, 0, 0));
    TELL(prctl(SET_MDWE, 0, 0, 0, 0));
    try_all();
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        try_all();
        fflush(stdout);
        execl(arguments[0], arguments[0], "again", (char *)NULL);
        _exit(2);
    }
    printf("child %d\n", outcome_of(child));
    return 0;
}
