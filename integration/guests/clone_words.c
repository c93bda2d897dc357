// Words that clone writes to memory that was never touched, or has long been swapped out: the new process's
// descriptor and number, in the parent and in the child.
#include "guest.h"

#include <sched.h>
#include <sys/syscall.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static long start(unsigned long flags, int *parent_word, int *child_word) {
    return syscall(SYS_clone, flags | SIGCHLD, 0, parent_word, child_word, 0);
}

static int leave(void *nothing) {
    (void)nothing;
    return 6;
}

static void round_of(int *words) {
    int *pidfd = words, *parent = words + 1024, *child = words + 2048, *unwritable = words + 3072;
    long pid = start(CLONE_PIDFD, pidfd, NULL);
    if (pid == 0) _exit(*pidfd == 0 || *pidfd == 9 ? 3 : 4);
    CHECK(pid > 0 && *pidfd > 2);
    siginfo_t ended;
    CHECK(waitid(P_PIDFD, *pidfd, &ended, WEXITED) == 0 && ended.si_status == 3);
    CHECK(close(*pidfd) == 0);
    pid = start(CLONE_PARENT_SETTID, parent, NULL);
    if (pid == 0) _exit(0);
    CHECK(pid > 0 && *parent == pid && outcome_of(pid) == 0);
    pid = start(CLONE_CHILD_SETTID | CLONE_PARENT_SETTID, parent, child);
    if (pid == 0) _exit(*child == getpid() ? 0 : 1);
    CHECK(pid > 0 && *child != pid && *parent == pid && outcome_of(pid) == 0);
    // One word cannot be both.
    CHECK(start(CLONE_PIDFD | CLONE_PARENT_SETTID, parent, NULL) < 0 && errno == EINVAL);
    CHECK(start(CLONE_PIDFD, (int *)8, NULL) < 0 && errno == EFAULT);
    CHECK(mprotect(unwritable, PAGE, PROT_READ) == 0);
    CHECK(start(CLONE_PIDFD, unwritable, NULL) < 0 && errno == EFAULT);
    // The kernel's own complaint about this word is silent.
    pid = start(CLONE_PARENT_SETTID, unwritable, NULL);
    if (pid == 0) _exit(5);
    CHECK(pid > 0 && outcome_of(pid) == 5);
    // A child in our memory writes its number where we see it.
    char *stack = fresh(16 * PAGE);
    int flags = CLONE_VM | CLONE_CHILD_SETTID | CLONE_PIDFD | SIGCHLD;
    pid = clone(leave, stack + 16 * PAGE, flags, NULL, words + 4096, NULL, words + 5120);
    CHECK(pid > 0 && outcome_of(pid) == 6 && words[5120] == pid && words[4096] > 2 && close(words[4096]) == 0);
}

int main(void) {
    round_of(fresh(6 * PAGE));
    int *old = fresh(6 * PAGE);
    for (int i = 0; i < 6 * 1024; i += 1024) old[i] = 9;
    char *crowd = fresh(8 * MIB);
    for (int i = 0; i < 2; i++) memset(crowd, i + 1, 8 * MIB);
    round_of(old);
    return finish("clone_words", 1);
}
