// Children that are confined: in PID namespaces of their own, by seccomp filters, and across exec with
// signals pending.
#ifndef DIFFERENTIAL_CONFINED_H
#define DIFFERENTIAL_CONFINED_H
#include "process.h"
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

// The first process of a namespace: it knows itself and its children by small numbers, and is not ended by
// what they send.
static uint64_t act_as_init(struct span seen, struct span written) {
    uint64_t hash = mix((uint64_t)getpid(), (uint64_t)getppid());
    hash = mix(hash, act_as_child(seen, written));
    for (uint64_t children = 1 + below(2), i = 0; i < children; i++) {
        bool waits = one_in(2), faults = one_in(3);
        pid_t inner = fork();
        if (inner == 0) {
            if (kill(1, one_in(2) ? SIGKILL : SIGTERM) != 0) _exit(90);
            if (waits) for (;;) pause();
            if (faults) signal(SIGSEGV, SIG_DFL), (void)*(volatile char *)8;
            _exit((int)(act_as_child(written, seen) & 31));
        }
        hash = mix(hash, (uint64_t)(inner > 1)); // the thread engine has a thread that takes a number
        if (waits) hash = mix(hash, (uint64_t)kill(inner, SIGKILL));
        hash = mix(hash, (uint64_t)outcome_of(inner));
    }
    return mix(hash, pages_hash(page_at(seen.start), seen.count));
}

static void use_namespace(void) {
    struct span seen = random_span(), written = random_span();
    int ends[2];
    CHECK(pipe(ends) == 0);
    tell("namespace %lu+%lu %lu+%lu", seen.start, seen.count, written.start, written.count);
    unsigned long flags = SIGCHLD | CLONE_NEWPID | (geteuid() == 0 ? 0 : CLONE_NEWUSER);
    long child = syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
    if (child == 0) {
        uint64_t hash = act_as_init(seen, written);
        if (write(ends[1], &hash, sizeof hash) != sizeof hash) _exit(94);
        if (one_in(4)) signal(SIGSEGV, SIG_DFL), (void)*(volatile char *)8;
        if (one_in(4) && fork() == 0) for (;;) pause(); // ends with its namespace
        _exit((int)(step & 63));
    }
    if (child < 0) {
        tell_result(child);
        close(ends[0]), close(ends[1]);
    } else {
        hear_child((pid_t)child, ends);
    }
    tell_pages(seen);
    tell_pages(written);
}

static const int filtered[] = {SYS_getppid, SYS_getuid, SYS_sched_yield, SYS_munmap, SYS_mprotect, SYS_madvise, SYS_getpgid, SYS_pread64};
#define FILTERED (sizeof filtered / sizeof *filtered)
static volatile uint64_t trapped;

static void on_trap(int number, siginfo_t *info, void *context) {
    trapped = mix(mix(trapped, (uint64_t)number), (uint64_t)(unsigned)info->si_syscall << 16 | (unsigned)info->si_errno);
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RAX] = -info->si_errno;
}

// A filter that does something about one call, where its first argument's lower half says so.
static long add_filter(void) {
    static const unsigned actions[] = {SECCOMP_RET_ERRNO, SECCOMP_RET_TRAP, SECCOMP_RET_ALLOW, SECCOMP_RET_LOG, SECCOMP_RET_TRACE};
    unsigned call = (unsigned)filtered[below(FILTERED)], action = one_in(12) ? SECCOMP_RET_KILL_PROCESS : actions[below(5)];
    if (one_in(24)) action = SECCOMP_RET_KILL_THREAD;
    unsigned data = (unsigned)below(100), test = one_in(2) ? BPF_JSET : BPF_JGE;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
        BPF_JUMP(BPF_JMP | test | BPF_K, (unsigned)below(8) * PAGE, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, action | data),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, one_in(3) ? SECCOMP_FILTER_FLAG_TSYNC : 0, &program);
}

static uint64_t act_under_filters(struct span span) {
    uint64_t hash = (uint64_t)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    for (uint64_t count = 1 + below(4); count > 0; count--) hash = mix(hash, (uint64_t)(add_filter() < 0 ? errno : 0));
    hash = mix(hash, (uint64_t)prctl(PR_GET_SECCOMP));
    for (unsigned i = 0; i < FILTERED; i++) {
        if (filtered[i] == SYS_getppid || filtered[i] == SYS_getpgid) continue; // their results are no one's business
        long first = filtered[i] == SYS_pread64 ? files[0] : (long)page_at(span.start), second = (long)PAGE;
        long result = syscall(filtered[i], first, second, filtered[i] == SYS_madvise ? MADV_NORMAL : PROT_READ | PROT_WRITE, 0);
        hash = mix(hash, result < 0 ? (uint64_t)errno : 1000);
    }
    hash = mix(hash, syscall(SYS_getpgid, 0) < 0 ? (uint64_t)errno : 1000);
    return mix(mix(hash, trapped), pages_hash(page_at(span.start), span.count));
}

static void use_filters(void) {
    struct span span = random_span();
    int ends[2];
    CHECK(pipe(ends) == 0);
    tell("filters %lu+%lu", span.start, span.count);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        trapped = 1;
        struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_ONSTACK};
        if (one_in(3)) action = (struct sigaction){.sa_handler = SIG_DFL};
        CHECK(sigaction(SIGSYS, &action, NULL) == 0);
        uint64_t hash = act_under_filters(span);
        pid_t heir = one_in(3) ? fork() : -1;
        if (heir == 0) _exit((int)(act_under_filters(span) & 31));
        if (heir > 0) hash = mix(hash, (uint64_t)outcome_of(heir));
        if (write(ends[1], &hash, sizeof hash) != sizeof hash) _exit(94);
        _exit((int)(step & 63));
    }
    hear_child(child, ends);
    tell_pages(span);
}

static const int carried[] = {SIGUSR1, SIGUSR2, SIGSEGV, SIGBUS, SIGSYS, SIGFPE, SIGHUP};
#define CARRIED (sizeof carried / sizeof *carried)

// What a program finds of the signals of the one before it.
static int after_exec(int into) {
    sigset_t pending, blocked;
    CHECK(sigpending(&pending) == 0 && sigprocmask(SIG_SETMASK, NULL, &blocked) == 0);
    uint64_t hash = 1;
    for (unsigned i = 0; i < CARRIED; i++) {
        struct sigaction action;
        CHECK(sigaction(carried[i], NULL, &action) == 0);
        hash = mix(hash, (uint64_t)(sigismember(&pending, carried[i]) | sigismember(&blocked, carried[i]) << 1));
        hash = mix(hash, action.sa_handler == SIG_IGN ? 2 : action.sa_handler == SIG_DFL);
    }
    siginfo_t info;
    struct timespec none = {0, 0};
    for (int number; (number = sigtimedwait(&blocked, &info, &none)) > 0;) {
        hash = mix(mix(hash, (uint64_t)number), (uint64_t)(unsigned)info.si_code);
    }
    CHECK(write(into, &hash, sizeof hash) == sizeof hash);
    return 0;
}

static void use_exec(void) {
    int ends[2];
    CHECK(pipe(ends) == 0);
    tell("exec");
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        sigset_t some;
        sigemptyset(&some);
        unsigned ignored = (unsigned)below(1 << CARRIED), sent = (unsigned)below(1 << CARRIED);
        for (unsigned i = 0; i < CARRIED; i++) sigaddset(&some, carried[i]);
        CHECK(sigprocmask(SIG_BLOCK, &some, NULL) == 0);
        for (unsigned i = 0; i < CARRIED; i++) {
            if (ignored >> i & 1 && one_in(2)) signal(carried[i], SIG_IGN);
            if (sent >> i & 1) kill(getpid(), carried[i]);
        }
        char into[16];
        snprintf(into, sizeof into, "%d", ends[1]);
        execl("/proc/self/exe", "differential", "after-exec", into, NULL);
        _exit(93);
    }
    hear_child(child, ends);
}
#endif
