// A tracer and its children, which execute nothing: which stops it sees, what it can read and write, and how
// they end.
#include "guest.h"
#include <sys/ptrace.h>
#include <sys/user.h>

static volatile long shared_word = 41;
static char *bytes;

static void touch_memory(void) {
    char *fresh_memory = fresh(MIB);
    for (int i = 0; i < 64; i++) fresh_memory[i * PAGE] = (char)i, bytes[i * PAGE]++;
}

// Resumes a child until it ends, and prints the signals that it stopped by.
static void watch(pid_t pid, int inject) {
    int status, seen[65] = {0};
    for (int rounds = 0; rounds < 100000; rounds++) {
        CHECK(waitpid(pid, &status, __WALL) == pid);
        if (!WIFSTOPPED(status)) break;
        seen[WSTOPSIG(status) & 63]++;
        int stop = WSTOPSIG(status) == SIGSTOP || WSTOPSIG(status) == SIGTRAP;
        CHECK(ptrace(PTRACE_CONT, pid, 0, stop || !inject ? 0 : WSTOPSIG(status)) == 0);
    }
    for (int i = 1; i < 65; i++)
        if (seen[i]) printf("  %d stops by signal %d\n", seen[i], i);
    if (WIFEXITED(status)) printf("  exited with %d\n", WEXITSTATUS(status));
    else printf("  died of %d\n", WTERMSIG(status));
}

static void seized(void) {
    int ends[2];
    char byte;
    CHECK(pipe(ends) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(read(ends[0], &byte, 1) == 1);
        touch_memory();
        _exit(7);
    }
    printf("seize %ld\n", ptrace(PTRACE_SEIZE, pid, 0, 0));
    CHECK(write(ends[1], "x", 1) == 1);
    watch(pid, 1);
}

static void asks_to_be_traced(void) {
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
        CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == -1 && errno == EPERM);
        touch_memory();
        raise(SIGSTOP);
        touch_memory();
        raise(SIGUSR1);
        _exit(8);
    }
    printf("traceme\n");
    watch(pid, 0);
}

// The tracer waits for something else first: nobody hangs.
static void talks_before_it_stops(void) {
    int ends[2];
    char byte = 0;
    CHECK(pipe(ends) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
        touch_memory();
        CHECK(write(ends[1], "y", 1) == 1);
        _exit(9);
    }
    CHECK(read(ends[0], &byte, 1) == 1);
    printf("talked %c\n", byte);
    watch(pid, 1);
}

static void attached(void) {
    int ends[2], status;
    char byte;
    CHECK(pipe(ends) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(read(ends[0], &byte, 1) == 1);
        printf("  the child has %ld\n", shared_word);
        fflush(stdout);
        _exit(10);
    }
    printf("attach %ld\n", ptrace(PTRACE_ATTACH, pid, 0, 0));
    CHECK(waitpid(pid, &status, 0) == pid);
    printf("  stopped by %d\n", WSTOPSIG(status));
    errno = 0;
    printf("  word %ld, errno %d\n", ptrace(PTRACE_PEEKDATA, pid, &shared_word, 0), errno);
    printf("  poke %ld\n", ptrace(PTRACE_POKEDATA, pid, &shared_word, 42));
    struct user_regs_struct registers;
    printf("  registers %ld\n", ptrace(PTRACE_GETREGS, pid, 0, &registers));
    fflush(stdout);
    printf("  detach %ld\n", ptrace(PTRACE_DETACH, pid, 0, 0));
    fflush(stdout);
    CHECK(write(ends[1], "x", 1) == 1);
    printf("  exited with %d\n", outcome_of(pid));
}

extern char faults_here[];
static __attribute__((noinline, noclone)) void fault(volatile char *at) {
    __asm__ volatile(".globl faults_here\nfaults_here: movb $1, (%0)" : : "r"(at) : "memory");
}

static void on_fault(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    _exit(info->si_addr == (void *)0x1230 ? 11 : 12);
}

// A fault of the program's own is one stop, at the instruction, with its address, whatever becomes of it.
static void faults(int handled, int inject) {
    int status;
    siginfo_t info;
    struct user_regs_struct registers;
    pid_t pid = fork();
    if (pid == 0) {
        struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
        if (handled) CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
        CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
        raise(SIGSTOP);
        fault((char *)0x1230);
        _exit(13);
    }
    printf("fault, handled %d, let through %d\n", handled, inject);
    CHECK(waitpid(pid, &status, 0) == pid && WSTOPSIG(status) == SIGSTOP);
    CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0 && waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
    CHECK(ptrace(PTRACE_GETSIGINFO, pid, 0, &info) == 0 && ptrace(PTRACE_GETREGS, pid, 0, &registers) == 0);
    printf("  signal %d code %d at %p, by the instruction %d\n", info.si_signo, info.si_code, info.si_addr, registers.rip == (unsigned long)faults_here);
    if (!inject) {
        // Past the instruction, whose length is three bytes.
        registers.rip += 3;
        CHECK(ptrace(PTRACE_SETREGS, pid, 0, &registers) == 0);
    }
    CHECK(ptrace(PTRACE_CONT, pid, 0, inject ? SIGSEGV : 0) == 0);
    watch(pid, 1);
}

static void waited_for_by_others(void) {
    siginfo_t info;
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
        raise(SIGSTOP);
        touch_memory();
        raise(SIGUSR2);
        touch_memory();
        raise(SIGUSR1);
        _exit(14);
    }
    memset(&info, 0, sizeof info);
    CHECK(waitid(P_PID, pid, &info, WSTOPPED | WEXITED) == 0);
    printf("waitid %d %d\n", info.si_code, info.si_status);
    CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0 && waitid(P_PID, pid, &info, WSTOPPED | WEXITED) == 0);
    printf("  %d %d\n", info.si_code, info.si_status);
    CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0 && wait(NULL) == pid);
    CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
    while (waitpid(pid, &status, WNOHANG) == 0) CHECK(status == 0);
    printf("  exited with %d\n", WEXITSTATUS(status));
}

int main(int count, char **arguments) {
    bytes = fresh(MIB);
    if (count > 1 && strcmp(arguments[1], "unhandled") == 0) {
        faults(0, 1);
        return 0;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    seized();
    asks_to_be_traced();
    talks_before_it_stops();
    attached();
    faults(0, 0);
    faults(1, 0);
    faults(1, 1);
    waited_for_by_others();
    return fflush(stdout) == 0 ? 0 : 98;
}
