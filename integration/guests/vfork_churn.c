// A shell's life: thousands of vfork children that execute something with long arguments, or fail to. The
// parent does not grow by them.
#include "guest.h"
#include <sys/wait.h>

extern char **environ;

// Kilobytes that the process has for itself.
static long own_kib(void) {
    FILE *rollup = fopen("/proc/self/smaps_rollup", "r");
    CHECK(rollup != NULL);
    char line[256];
    long sum = 0, kib;
    while (fgets(line, sizeof line, rollup))
        if (sscanf(line, "Private_Clean: %ld", &kib) == 1 || sscanf(line, "Private_Dirty: %ld", &kib) == 1) sum += kib;
    fclose(rollup);
    return sum;
}

static void children(const char *program, int number, int outcome) {
    static char argument[16384];
    memset(argument, 'x', sizeof argument - 1);
    char *argv[] = {(char *)program, "-c", ":", argument, argument, NULL};
    for (int n = 0; n < number; n++) {
        pid_t pid = vfork();
        CHECK(pid >= 0);
        if (pid == 0) {
            execve(program, argv, environ);
            _exit(3);
        }
        CHECK(outcome_of(pid) == outcome);
    }
}

int main(void) {
    children("/bin/sh", 10, 0);
    children("/nowhere", 10, 3);
    long before = own_kib();
    children("/bin/sh", 100, 0);
    children("/nowhere", 100, 3);
    // 200 times two arguments of 16 KiB would be 6.4 MiB.
    CHECK(own_kib() < before + 2048);
    return finish("vfork_churn", 200);
}
