// Wait statuses and process groups: every way to end, as each of the wait calls tells it, and signals to a
// group.
#include "guest.h"
#include <sys/resource.h>
#include <termios.h>

static void end_by(int way) {
    switch (way) {
    case 0: _exit(0);
    case 1: _exit(0x1ff);
    case 2: raise(SIGKILL); break;
    case 3: abort();
    case 4: *(volatile int *)8 = 1; break;
    case 5: raise(SIGTERM); break;
    case 6: raise(SIGRTMIN + 3); break;
    default: exit(7);
    }
}

static uint64_t ends(void) {
    uint64_t sum = 0;
    for (int way = 0; way < 8; way++) {
        pid_t pid = fork();
        if (pid == 0) end_by(way);
        siginfo_t info;
        CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0 && info.si_pid == pid);
        int status = 0;
        struct rusage usage;
        CHECK(wait4(pid, &status, 0, &usage) == pid);
        CHECK(waitpid(pid, &status, 0) == -1 && errno == ECHILD);
        sum = mix(mix(mix(sum, (uint64_t)status), (uint64_t)info.si_code), (uint64_t)info.si_status);
    }
    return sum;
}

static uint64_t stops(void) {
    int until[2];
    char none;
    CHECK(pipe(until) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(until[1]);
        raise(SIGSTOP);
        // If it ended before it was seen to go on, its end would be seen instead.
        _exit(read(until[0], &none, 1) == 0 ? 5 : 6);
    }
    int stopped, continued, ended;
    CHECK(waitpid(pid, &stopped, WUNTRACED) == pid && WIFSTOPPED(stopped) && WSTOPSIG(stopped) == SIGSTOP);
    CHECK(waitpid(pid, &continued, WNOHANG) == 0);
    CHECK(kill(pid, SIGCONT) == 0);
    CHECK(waitpid(pid, &continued, WCONTINUED) == pid && WIFCONTINUED(continued));
    CHECK(close(until[0]) == 0 && close(until[1]) == 0);
    CHECK(waitpid(pid, &ended, 0) == pid && WIFEXITED(ended));
    return (uint64_t)WEXITSTATUS(ended);
}

// Two processes in a group of their own: the group is waited for and signalled as one.
static uint64_t groups(void) {
    pid_t first = fork();
    if (first == 0) for (;;) pause();
    CHECK(setpgid(first, first) == 0 && getpgid(first) == first && getpgrp() != first);
    pid_t second = fork();
    if (second == 0) for (;;) pause();
    CHECK(setpgid(second, first) == 0 && getpgid(second) == first && getsid(second) == getsid(0));
    CHECK(setpgid(second, 1 << 22) == -1 && errno == EPERM);
    CHECK(kill(-first, SIGUSR1) == 0);
    int status;
    for (int i = 0; i < 2; i++) CHECK(waitpid(-first, &status, 0) > 0 && WTERMSIG(status) == SIGUSR1);
    CHECK(waitpid(-first, &status, 0) == -1 && errno == ECHILD);
    CHECK(kill(-first, 0) == -1 && errno == ESRCH);
    return (uint64_t)status;
}

int main(void) {
    struct rlimit none = {0, 0};
    CHECK(setrlimit(RLIMIT_CORE, &none) == 0);
    CHECK(tcgetpgrp(0) == -1 && errno == ENOTTY && !isatty(0));
    return finish("statuses", mix(mix(ends(), stops()), groups()));
}
