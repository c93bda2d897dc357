// Flags that a program may set in RFLAGS, and a time stamp counter that it may not read: across calls,
// faults, signals, threads and exec.
#include "guest.h"
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>

#define NESTED_TASK (1UL << 14)
#define ALIGNMENT (1UL << 18)
#define TRAP (1UL << 8)
#define ID (1UL << 21)

static volatile unsigned long in_handler;
static volatile int handled;

static inline unsigned long flags(void) {
    unsigned long value;
    __asm__ volatile("pushfq; popq %0" : "=r"(value));
    return value;
}

static inline void set_flags(unsigned long value) { __asm__ volatile("pushq %0; popfq" ::"r"(value) : "memory", "cc"); }

static void on_signal(int number) {
    (void)number;
    in_handler = flags();
    set_flags(in_handler & ~(NESTED_TASK | ALIGNMENT));
    handled++;
}

static long direct(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}

static void *touch(void *memory) {
    unsigned long before = flags();
    for (unsigned i = 0; i < 64; i++) ((volatile char *)memory)[i * PAGE]++;
    set_flags(before & ~(NESTED_TASK | ALIGNMENT));
    return (void *)(before & (NESTED_TASK | ALIGNMENT));
}

static void with(unsigned long flag, const char *name) {
    volatile char *pages = fresh(128 * PAGE);
    struct sigaction action = {.sa_handler = on_signal};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0 && sigaction(SIGSEGV, &action, NULL) == 0);
    long self = syscall(SYS_gettid), group = getpid();
    unsigned long base = flags(), after[4];
    handled = 0;
    set_flags(base | flag);
    long parent = direct(SYS_getppid, 0, 0, 0);
    after[0] = flags();
    for (unsigned i = 0; i < 128; i++) pages[i * PAGE] = (char)i;
    after[1] = flags();
    long sent = direct(SYS_tgkill, group, self, SIGUSR1);
    after[2] = flags();
    long closed = direct(SYS_close, 9999, 0, 0);
    after[3] = flags();
    set_flags(base);
    CHECK(parent == getppid() && sent == 0 && closed == -EBADF);
    printf("%s: kept", name);
    for (int i = 0; i < 4; i++) printf(" %d", !!(after[i] & flag));
    printf(", in the handler %d of %d\n", !!(in_handler & flag), handled);
    fflush(stdout);
}

static volatile int steps;
static void on_step(int number, siginfo_t *info, void *context) {
    (void)number;
    ucontext_t *at = context;
    CHECK(at->uc_mcontext.gregs[REG_TRAPNO] == 1 && info->si_code == TRAP_TRACE);
    steps++;
}

// One step at a time through calls and faults of its own.
static void in_steps(void) {
    volatile char *pages = fresh(16 * PAGE);
    struct sigaction action = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGTRAP, &action, NULL) == 0);
    long result = 0;
    steps = 0;
    unsigned long base = flags();
    __asm__ volatile("pushq %2; popfq\n nop\n nop\n movb $1, (%1)\n nop\n movl $110, %%eax\n syscall\n nop\n"
                     "movb $2, 4096(%1)\n pushq %3; popfq\n"
                     : "=&a"(result)
                     : "r"(pages), "r"(base | TRAP), "r"(base)
                     : "rcx", "r11", "memory");
    printf("stepped %d times, call %s\n", steps, result == getppid() ? "right" : "wrong");
    fflush(stdout);
}

static void on_fault(int number, siginfo_t *info, void *context) {
    (void)number;
    ucontext_t *at = context;
    printf("counter: code %d address %p trap %lld error %lld\n", info->si_code, info->si_addr,
           (long long)at->uc_mcontext.gregs[REG_TRAPNO], (long long)at->uc_mcontext.gregs[REG_ERR]);
    fflush(stdout);
    at->uc_mcontext.gregs[REG_RIP] += 2;
}

static void *counting(void *unused) {
    (void)unused;
    __builtin_ia32_rdtsc();
    return NULL;
}

static void without_counter(const char *step) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
    int how = -1;
    if (!step) CHECK(prctl(PR_SET_TSC, PR_TSC_SIGSEGV) == 0);
    CHECK(prctl(PR_GET_TSC, &how) == 0);
    printf("counter: set to %d\n", how);
    volatile char *pages = fresh(1024 * PAGE);
    for (unsigned i = 0; i < 1024; i++) pages[i * PAGE] = (char)i;
    counting(NULL);
    struct timespec soon = {0, 1000000};
    CHECK(nanosleep(&soon, NULL) == 0);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, counting, NULL) == 0 && pthread_join(thread, NULL) == 0);
    pid_t child = fork();
    if (child == 0) {
        for (unsigned i = 0; i < 1024; i++) pages[i * PAGE]++;
        counting(NULL);
        if (!step) execl("/proc/self/exe", "processor_flags", "again", NULL);
        _exit(0);
    }
    // The C library's start reads the counter as well.
    printf("counter: child ended with %d\n", outcome_of(child));
    fflush(stdout);
}

int main(int count, char **arguments) {
    if (count > 1) {
        without_counter(arguments[1]);
        return 0;
    }
    with(NESTED_TASK, "nested task");
    with(ALIGNMENT, "alignment check");
    with(ID, "identification");
    with(NESTED_TASK | ALIGNMENT, "both");
    pthread_t thread;
    void *kept;
    CHECK(pthread_create(&thread, NULL, touch, fresh(64 * PAGE)) == 0 && pthread_join(thread, &kept) == 0);
    in_steps();
    pid_t child = fork();
    if (child == 0) {
        without_counter(NULL);
        _exit(0);
    }
    CHECK(outcome_of(child) == 0);
    return finish("processor_flags", 0);
}
