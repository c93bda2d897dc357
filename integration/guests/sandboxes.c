// Programs that confine themselves by seccomp: modes, errors, every action, the trapped call's signal,
// threads, fork, vfork and exec.
#include "guest.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ucontext.h>

extern char **environ;

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IS(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip)
#define ANSWER(value) BPF_STMT(BPF_RET | BPF_K, value)

static long install(unsigned flags, struct sock_filter *filter, int length) {
    struct sock_fprog program = {length, filter};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

// Answers one call with `answer`, allows the rest.
static long forbid(unsigned flags, int number, unsigned answer) {
    struct sock_filter filter[] = {LOAD(nr), IS(number, 1), ANSWER(answer), ANSWER(SECCOMP_RET_ALLOW)};
    return install(flags, filter, 4);
}

static int failure(long result) { return result == -1 ? errno : (int)result; }

static void in_child(const char *name, void (*action)(void)) {
    fflush(stdout);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        struct rlimit no_core = {0, 0};
        CHECK(setrlimit(RLIMIT_CORE, &no_core) == 0);
        action();
        fflush(stdout);
        _exit(0);
    }
    printf("%s: ended with %d\n", name, outcome_of(pid));
}

static void errors(void) {
    static const unsigned known[] = {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP, SECCOMP_RET_ERRNO,
                                     SECCOMP_RET_TRACE,        SECCOMP_RET_LOG,         SECCOMP_RET_ALLOW, 0x12340000};
    struct sock_filter allow[] = {ANSWER(SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {1, allow}, empty = {0, allow}, nowhere = {1, NULL}, unmapped = {1, (void *)8}, two_jumps = {1, allow};
    unsigned short sizes[3] = {0};
    printf("mode %d, bad mode %d\n", prctl(PR_GET_SECCOMP), failure(prctl(PR_SET_SECCOMP, 3, 0)));
    for (unsigned flag = 1; flag <= 16; flag *= 2)
        if (flag != 8) printf("flag %u %d\n", flag, failure(syscall(SYS_seccomp, 1, flag, NULL)));
    printf("flags %d, operation %d\n", failure(syscall(SYS_seccomp, 1, 0x1000, &program)), failure(syscall(SYS_seccomp, 9, 0, NULL)));
    printf("strict with flags %d, with an argument %d\n", failure(syscall(SYS_seccomp, 0, 1, NULL)), failure(syscall(SYS_seccomp, 0, 0, &program)));
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) printf("action %x %d\n", known[i], failure(syscall(SYS_seccomp, 2, 0, &known[i])));
    printf("action, flags %d, nowhere %d\n", failure(syscall(SYS_seccomp, 2, 1, known)), failure(syscall(SYS_seccomp, 2, 0, NULL)));
    printf("sizes %d", failure(syscall(SYS_seccomp, 3, 0, sizes)));
    printf(" %d %d %d, nowhere %d\n", sizes[0], sizes[1], sizes[2], failure(syscall(SYS_seccomp, 3, 0, NULL)));
    printf("empty %d, null %d, unmapped %d\n", failure(syscall(SYS_seccomp, 1, 0, &empty)), failure(syscall(SYS_seccomp, 1, 0, &nowhere)),
           failure(syscall(SYS_seccomp, 1, 0, &unmapped)));
    two_jumps.len = 4097;
    printf("too long %d\n", failure(syscall(SYS_seccomp, 1, 0, &two_jumps)));
    CHECK(setresuid(65534, 65534, 65534) == 0);
    printf("without privilege %d, by prctl %d\n", failure(syscall(SYS_seccomp, 1, 0, &program)), failure(prctl(PR_SET_SECCOMP, 2, &program)));
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    printf("then %d", failure(prctl(PR_SET_SECCOMP, 2, &program)));
    printf(", strict on top %d, mode %d\n", failure(prctl(PR_SET_SECCOMP, 1)), prctl(PR_GET_SECCOMP));
}

static void strict(void) {
    fflush(stdout);
    CHECK(prctl(PR_SET_SECCOMP, 1) == 0);
    CHECK(write(1, "strict writes\n", 14) == 14);
    syscall(SYS_exit, 3);
}

static void strict_breach(void) {
    CHECK(syscall(SYS_seccomp, 0, 0, NULL) == 0);
    syscall(SYS_getpid);
}

static void kill_thread(void) { CHECK(forbid(0, SYS_getppid, SECCOMP_RET_KILL_THREAD) == 0); getppid(); }
static void kill_process(void) { CHECK(forbid(0, SYS_getppid, SECCOMP_RET_KILL_PROCESS) == 0); getppid(); }
static void unknown_action(void) { CHECK(forbid(0, SYS_getppid, 0x00010000) == 0); getppid(); }
static void trap_without_handler(void) { CHECK(forbid(0, SYS_getppid, SECCOMP_RET_TRAP) == 0); getppid(); }

static void trap_ignored(void) {
    signal(SIGSYS, SIG_IGN);
    CHECK(forbid(0, SYS_getppid, SECCOMP_RET_TRAP) == 0);
    getppid();
}

static void gentle(void) {
    CHECK(forbid(SECCOMP_FILTER_FLAG_LOG, SYS_getppid, SECCOMP_RET_ERRNO | 99) == 0);
    printf("errno %d\n", failure(syscall(SYS_getppid)));
    CHECK(forbid(0, SYS_getuid, SECCOMP_RET_ERRNO) == 0);
    printf("success %ld\n", syscall(SYS_getuid));
    CHECK(forbid(0, SYS_getgid, SECCOMP_RET_TRACE | 7) == 0);
    printf("trace %d\n", failure(syscall(SYS_getgid)));
    CHECK(forbid(SECCOMP_FILTER_FLAG_SPEC_ALLOW, SYS_geteuid, SECCOMP_RET_LOG) == 0);
    printf("log %d\n", syscall(SYS_geteuid) >= 0);
    CHECK(forbid(0, SYS_getegid, SECCOMP_RET_ERRNO | 0xffff) == 0);
    printf("large %ld\n", syscall(SYS_getegid));
    CHECK(forbid(0, 5555, SECCOMP_RET_ERRNO | 1) == 0);
    printf("no such call %d, another %d\n", failure(syscall(5555)), failure(syscall(5556)));
    CHECK(forbid(0, SYS_getsid, SECCOMP_RET_ERRNO | 512) == 0);
    printf("the kernel's own %d\n", failure(syscall(SYS_getsid, 0)) == 512);
    printf("mode %d, no_new_privs %d\n", prctl(PR_GET_SECCOMP), prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

static sigset_t blocked_in_handler;

// As a broker does: answers the call with a number made of its arguments.
static void answer_call(int signal, siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    int there = info->si_call_addr == (void *)registers[REG_RIP];
    printf("signal %d code %d errno %d call %d arch %x, at the place %d, rax %lld\n", signal, info->si_code, info->si_errno, info->si_syscall,
           info->si_arch, there, (long long)registers[REG_RAX]);
    pthread_sigmask(SIG_BLOCK, NULL, &blocked_in_handler);
    registers[REG_RAX] = registers[REG_RDI] * 10 + registers[REG_RSI];
}

static void trap_handled(void) {
    struct sigaction action = {.sa_sigaction = answer_call, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGSYS, &action, NULL) == 0);
    CHECK(forbid(0, SYS_setpgid, SECCOMP_RET_TRAP | 77) == 0);
    printf("answered %ld\n", syscall(SYS_setpgid, 12, 3));
    printf("blocked meanwhile %d\n", sigismember(&blocked_in_handler, SIGSYS));
    // Blocked, it ends the process.
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGSYS);
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    fflush(stdout);
    syscall(SYS_setpgid, 12, 3);
}

static void no_return_from_handlers(void) {
    struct sigaction action = {.sa_sigaction = answer_call, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGSYS, &action, NULL) == 0);
    CHECK(forbid(0, SYS_setpgid, SECCOMP_RET_TRAP | 1) == 0 && forbid(0, SYS_rt_sigreturn, SECCOMP_RET_KILL_PROCESS) == 0);
    setvbuf(stdout, NULL, _IONBF, 0);
    syscall(SYS_setpgid, 1, 1);
}

// Only calls made at one place are allowed: what the Chromium sandbox does for its own.
extern char allowed_place[];
static __attribute__((noinline, noclone)) long call_there(long number) {
    long result;
    __asm__ volatile("syscall\n.globl allowed_place\nallowed_place:" : "=a"(result) : "a"(number) : "rcx", "r11", "memory");
    return result;
}

static void by_place(void) {
    unsigned long place = (unsigned long)allowed_place;
    struct sock_filter filter[] = {LOAD(nr), IS(SYS_getppid, 5), LOAD(instruction_pointer), IS((unsigned)place, 2),
                                   BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 12), IS((unsigned)(place >> 32), 0), ANSWER(SECCOMP_RET_ERRNO | 5),
                                   ANSWER(SECCOMP_RET_ALLOW)};
    filter[3].jf = 2, filter[5].jt = 1, filter[5].jf = 0;
    CHECK(install(0, filter, 8) == 0);
    printf("there %d, elsewhere %d\n", call_there(SYS_getppid) == getpgid(0) || call_there(SYS_getppid) > 0, failure(syscall(SYS_getppid)));
}

static pthread_barrier_t barrier;
static int told[4];
static pid_t stray;

static void *waits_and_asks(void *argument) {
    int at = (int)(long)argument;
    if (at == 3) {
        CHECK(forbid(0, SYS_getgid, SECCOMP_RET_ERRNO | 3) == 0);
        stray = syscall(SYS_gettid);
    }
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    told[at] = failure(syscall(SYS_getppid)) * 10 + prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
    return NULL;
}

static void synchronised(int threads) {
    pthread_t thread[4];
    CHECK(pthread_barrier_init(&barrier, NULL, threads + 1) == 0);
    for (long i = 0; i < threads; i++) CHECK(pthread_create(&thread[i], NULL, waits_and_asks, (void *)i) == 0);
    pthread_barrier_wait(&barrier);
    if (threads == 4) {
        printf("stray %d", forbid(SECCOMP_FILTER_FLAG_TSYNC, SYS_getppid, SECCOMP_RET_ERRNO | 6) == stray);
        printf(", no such thread %d\n", failure(forbid(SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH, SYS_getppid, SECCOMP_RET_ERRNO | 6)));
    } else {
        CHECK(forbid(SECCOMP_FILTER_FLAG_TSYNC, SYS_getppid, SECCOMP_RET_ERRNO | 6) == 0);
    }
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < threads; i++) CHECK(pthread_join(thread[i], NULL) == 0);
    for (int i = 0; i < threads; i++) printf("thread %d: %d\n", i, told[i] / 10 == getppid() ? told[i] % 10 : told[i]);
    printf("own %d\n", failure(syscall(SYS_getppid)) == 6);
}

static void with_three(void) { synchronised(3); }
static void with_a_stray(void) { synchronised(4); }

static void *breaks_the_rule(void *action) {
    CHECK(forbid(0, SYS_getppid, (unsigned)(long)action) == 0);
    syscall(SYS_getppid);
    return "goes on";
}

static void thread_killed(void) {
    pthread_t thread;
    void *end = "nothing";
    CHECK(pthread_create(&thread, NULL, breaks_the_rule, (void *)SECCOMP_RET_KILL_THREAD) == 0);
    // The kernel clears the thread's word, so that it can be joined; what it returned was never written.
    CHECK(pthread_join(thread, &end) == 0);
    printf("joined, without a word %d; %d\n", end == NULL, getppid() > 0);
    fflush(stdout);
    CHECK(pthread_create(&thread, NULL, breaks_the_rule, (void *)(long)SECCOMP_RET_KILL_PROCESS) == 0);
    pthread_join(thread, &end);
}

static void strict_thread_body(void) { prctl(PR_SET_SECCOMP, 1), syscall(SYS_getpid); }
static void *strict_thread(void *unused) { return strict_thread_body(), unused; }

static void thread_killed_strictly(void) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, strict_thread, NULL) == 0 && pthread_join(thread, NULL) == 0);
    printf("the process goes on in mode %d\n", prctl(PR_GET_SECCOMP));
}

static void children(void) {
    char *arguments[] = {"/proc/self/exe", "inner", NULL};
    pid_t pid;
    CHECK(forbid(0, SYS_getppid, SECCOMP_RET_ERRNO | 44) == 0 && forbid(0, SYS_getpgrp, SECCOMP_RET_ERRNO | 45) == 0);
    fflush(stdout);
    if ((pid = fork()) == 0) {
        printf("forked %d %d\n", prctl(PR_GET_SECCOMP), failure(syscall(SYS_getppid)));
        CHECK(forbid(0, SYS_getuid, SECCOMP_RET_ERRNO | 46) == 0);
        fflush(stdout);
        execv(arguments[0], arguments);
        _exit(98);
    }
    CHECK(outcome_of(pid) == 0);
    if ((pid = vfork()) == 0) {
        execv(arguments[0], arguments);
        _exit(98);
    }
    CHECK(outcome_of(pid) == 0);
    CHECK(posix_spawn(&pid, arguments[0], NULL, NULL, arguments, environ) == 0 && outcome_of(pid) == 0);
    CHECK(forbid(0, SYS_execve, SECCOMP_RET_ERRNO | EPERM) == 0);
    printf("exec %d\n", failure(execv(arguments[0], arguments)));
}

// A vfork child's own filter is not its parent's, and its end by one is its own.
static void vforked(void) {
    pid_t pid = vfork();
    if (pid == 0) {
        struct sock_filter filter[] = {LOAD(nr), IS(SYS_getppid, 1), ANSWER(SECCOMP_RET_KILL_THREAD), ANSWER(SECCOMP_RET_ALLOW)};
        struct sock_fprog program = {4, filter};
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (syscall(SYS_seccomp, 1, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0) _exit(97);
        syscall(SYS_getppid);
        _exit(98);
    }
    printf("vforked %d; mode %d\n", outcome_of(pid), prctl(PR_GET_SECCOMP));
}

static void tell_status(void) {
    char line[256];
    FILE *status = fopen("/proc/self/status", "r");
    CHECK(status != NULL);
    while (fgets(line, sizeof line, status))
        if (strncmp(line, "Seccomp", 7) == 0 || strncmp(line, "NoNewPrivs", 10) == 0) printf("%s", line);
    CHECK(fclose(status) == 0);
}

// Executes what the arguments say, under filters: `sealed` by one that forbids the next, `narrow` by one that
// allows execve from here only.
static int execute(const char *how, char **arguments) {
    CHECK(forbid(0, SYS_mkdir, SECCOMP_RET_ERRNO | EPERM) == 0);
    CHECK(forbid(0, SYS_rmdir, SECCOMP_RET_ERRNO | EPERM) == 0);
    if (strcmp(how, "sealed") == 0) CHECK(forbid(0, SYS_seccomp, SECCOMP_RET_ERRNO | EPERM) == 0);
    if (strcmp(how, "narrow") == 0) {
        struct sock_filter filter[] = {LOAD(nr), IS(SYS_execve, 3), LOAD(args[0]), IS((unsigned)(unsigned long)arguments[0], 0),
                                       ANSWER(SECCOMP_RET_ERRNO | EXDEV), ANSWER(SECCOMP_RET_ALLOW)};
        filter[3].jt = 1, filter[3].jf = 0;
        CHECK(install(0, filter, 6) == 0);
    }
    execv(arguments[0], arguments);
    printf("not executed: %d\n", errno);
    return 7;
}

int main(int count, char **arguments) {
    if (count > 3 && strcmp(arguments[1], "execute") == 0) return execute(arguments[2], arguments + 3);
    if (count > 1 && strcmp(arguments[1], "inner") == 0) {
        printf("executed: mode %d, %d %d %d\n", prctl(PR_GET_SECCOMP), failure(syscall(SYS_getppid)), failure(syscall(SYS_getpgrp)),
               failure(syscall(SYS_getuid)) == 46);
        tell_status();
        return 0;
    }
    tell_status();
    in_child("errors", errors);
    in_child("strict", strict);
    in_child("strict breach", strict_breach);
    in_child("kill thread", kill_thread);
    in_child("kill process", kill_process);
    in_child("unknown action", unknown_action);
    in_child("trap without handler", trap_without_handler);
    in_child("trap ignored", trap_ignored);
    in_child("gentle", gentle);
    in_child("trap handled", trap_handled);
    in_child("no return", no_return_from_handlers);
    in_child("by place", by_place);
    in_child("synchronised", with_three);
    in_child("stray", with_a_stray);
    in_child("thread killed", thread_killed);
    in_child("thread killed strictly", thread_killed_strictly);
    in_child("children", children);
    in_child("vforked", vforked);
    printf("mode %d\n", prctl(PR_GET_SECCOMP));
    return fflush(stdout) == 0 ? 0 : 98;
}
