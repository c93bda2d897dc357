// Which flags of an action are kept, by which programs find out what there is; exec where the last descriptor
// is taken, which natively the dynamic linker complains about.
#include "guest.h"
#include <sys/resource.h>
#include <sys/syscall.h>

struct kernel_action {
    uint64_t handler, flags, restorer, mask;
};

int main(void) {
    static const int NUMBERS[] = {SIGUSR1, SIGSEGV, SIGBUS, SIGSYS, SIGCHLD, 40};
    for (unsigned i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++) {
        for (int bit = 0; bit < 64; bit++) {
            // With a handler that is never called.
            struct kernel_action action = {1000, 1UL << bit, 0, ~0UL}, kept = {0, 0, 0, 0};
            CHECK(syscall(SYS_rt_sigaction, NUMBERS[i], &action, NULL, 8) == 0);
            CHECK(syscall(SYS_rt_sigaction, NUMBERS[i], NULL, &kept, 8) == 0);
            if (kept.flags) printf("%d keeps %llx, mask %llx\n", NUMBERS[i], (unsigned long long)kept.flags, (unsigned long long)kept.mask);
            CHECK(signal(NUMBERS[i], SIG_DFL) != SIG_ERR);
        }
    }
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit few = {12, 12};
        CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
        while (dup(2) >= 0) {}
        execl("/bin/true", "true", NULL);
        _exit(98);
    }
    printf("without descriptors: %d\n", outcome_of(child));
    return finish("action_flags", 0);
}
