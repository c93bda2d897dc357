// What a paged process is refused that traces another paged one. Natively all of it works.
#include "guest.h"
#include <sys/ptrace.h>

static int failure(long result) { return result == -1 ? errno : 0; }

int main(void) {
    int status;
    printf("traceme %d\n", failure(ptrace(PTRACE_TRACEME, 0, 0, 0)));
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
        raise(SIGSTOP);
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
    printf("step %d\n", failure(ptrace(PTRACE_SINGLESTEP, pid, 0, 0)));
    printf("emulate %d\n", failure(ptrace(31 /* PTRACE_SYSEMU */, pid, 0, 0)));
    printf("block %d\n", failure(ptrace(33 /* PTRACE_SINGLEBLOCK */, pid, 0, 0)));
    CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
    printf("ended %d\n", outcome_of(pid));
    return 0;
}
