// What the kernel says about random seccomp filters, and about calls under them. Calls are made from fixed
// addresses with fixed arguments, so that whoever reads the filters can tell the answers
// (pager/core/tests/seccomp_kernel.rs does).
//
// Arguments: a seed, and how many sets of filters; or one word, for how often filters can be installed.
// Output: a line of addresses; then for each set a line for each filter, its bytes, and a line that says how
// installing went, with a word for each call that is tried.
#include "guest.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum { PROBES = 8, MOST_FILTERS = 4, MOST_INSTRUCTIONS = 4096 };

struct answer {
    int made;     // the call came back
    long result;  // with this
    int trapped;  // or SIGSYS came, which said:
    int error, code, number;
    unsigned arch;
    unsigned long address, rax;
};

static struct shared {
    int installed, install_errno;
    volatile int next;
    struct answer answers[PROBES];
} *shared;

static struct sock_filter instructions[MOST_FILTERS][MOST_INSTRUCTIONS];
static struct sock_fprog programs[MOST_FILTERS];
static void *landing[5];

// Calls without effect, whose results are known beforehand.
static const long numbers[PROBES] = {SYS_getpid, SYS_getppid, SYS_gettid, SYS_getpgrp, SYS_getpid, SYS_gettid, SYS_getppid, SYS_getpgrp};

static unsigned long argument(int probe, int index) {
    unsigned long value = (unsigned long)(probe * 6 + index + 1) * 0x9E3779B97F4A7C15UL;
    switch ((probe + index) % 4) {
    case 0: return value >> 60;
    case 1: return value >> 33;
    case 2: return 0;
    default: return value;
    }
}

extern char made_here[];

static __attribute__((noinline)) long raw(long number, const unsigned long *arguments) {
    register long a4 __asm__("r10") = arguments[3];
    register long a5 __asm__("r8") = arguments[4];
    register long a6 __asm__("r9") = arguments[5];
    long result;
    __asm__ volatile("syscall\n.globl made_here\nmade_here:"
                     : "=a"(result)
                     : "a"(number), "D"(arguments[0]), "S"(arguments[1]), "d"(arguments[2]), "r"(a4), "r"(a5), "r"(a6)
                     : "rcx", "r11", "memory");
    return result;
}

static long make(long number, int probe) {
    unsigned long arguments[6];
    for (int i = 0; i < 6; i++) arguments[i] = argument(probe, i);
    return raw(number, arguments);
}

// Leaves without sigreturn, which the filter may not allow.
static void on_trap(int signal, siginfo_t *info, void *context) {
    struct answer *answer = &shared->answers[shared->next];
    (void)signal;
    answer->trapped = 1;
    answer->error = info->si_errno;
    answer->code = info->si_code;
    answer->number = info->si_syscall;
    answer->arch = info->si_arch;
    answer->address = (unsigned long)info->si_call_addr;
    answer->rax = ((ucontext_t *)context)->uc_mcontext.gregs[13];
    __builtin_longjmp(landing, 1);
}

static void child(int filters) {
    struct rlimit no_core = {0, 0};
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_NODEFER};
    long known[PROBES];
    CHECK(setrlimit(RLIMIT_CORE, &no_core) == 0 && sigaction(SIGSYS, &action, NULL) == 0);
    for (int i = 0; i < PROBES; i++) known[i] = make(numbers[i], i);
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    for (shared->installed = 0; shared->installed < filters; shared->installed++) {
        if (__builtin_setjmp(landing) != 0) {
            shared->answers[shared->next].trapped = 0;
            shared->install_errno = -1;
            break;
        }
        unsigned long program = (unsigned long)&programs[shared->installed];
        long result = raw(SYS_seccomp, (unsigned long[6]){SECCOMP_SET_MODE_FILTER, 0, program, 0, 0, 0});
        if (result != 0) {
            shared->install_errno = (int)-result;
            break;
        }
    }
    for (; shared->next < PROBES; shared->next++) {
        if (__builtin_setjmp(landing) != 0) continue;
        struct answer *answer = &shared->answers[shared->next];
        long result = make(numbers[shared->next], shared->next);
        answer->result = result == known[shared->next] ? 1000000 : result;
        answer->made = 1;
    }
    __asm__ volatile("ud2");
}

static void tell(int probe) {
    struct answer *answer = &shared->answers[probe];
    if (answer->trapped)
        printf(" T%d,%d,%d,%x,%d,%d", answer->error, answer->code, answer->number, answer->arch,
               answer->address == (unsigned long)made_here, answer->rax == (unsigned long)answer->number);
    else if (!answer->made)
        printf(" -");
    else if (answer->result == 1000000)
        printf(" A");
    else
        printf(" E%ld", -answer->result);
}

// Each call that ends the process is tried once: the next child goes on behind it.
static void record(int filters) {
    memset(shared, 0, sizeof *shared);
    while (shared->next < PROBES) {
        shared->install_errno = 0;
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) child(filters);
        int outcome = outcome_of(pid);
        if (outcome == 1000 + SIGILL) break;
        if (shared->installed < filters && shared->install_errno == 0) {
            // It died of installing.
            printf("%d died %d:\n", shared->installed, outcome);
            return;
        }
        shared->answers[shared->next].made = 0;
        shared->answers[shared->next].result = outcome;
        shared->next++;
    }
    printf("%d of %d, %d:", shared->installed, filters, shared->install_errno);
    for (int i = 0; i < PROBES; i++) {
        if (!shared->answers[i].trapped && !shared->answers[i].made) printf(" K%ld", shared->answers[i].result);
        else tell(i);
    }
    printf("\n");
}

static uint64_t state;

static uint32_t chance(uint32_t below) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (uint32_t)((state * 0x2545F4914F6CDD1DUL) >> 32) % below;
}

static const uint16_t plain[] = {BPF_LD | BPF_W | BPF_LEN, BPF_LDX | BPF_W | BPF_LEN, BPF_LD | BPF_IMM, BPF_LDX | BPF_IMM, BPF_MISC | BPF_TAX,
                                 BPF_MISC | BPF_TXA,       BPF_ALU | BPF_NEG};
static const uint16_t memory[] = {BPF_LD | BPF_MEM, BPF_LDX | BPF_MEM, BPF_ST, BPF_STX, BPF_ST, BPF_STX};
static const uint16_t arithmetic[] = {BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_AND, BPF_OR, BPF_XOR, BPF_LSH, BPF_RSH};
static const uint16_t comparisons[] = {BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET};
static const uint32_t actions[] = {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP,  SECCOMP_RET_ERRNO,
                                   SECCOMP_RET_ALLOW,        SECCOMP_RET_TRACE,       SECCOMP_RET_LOG,   SECCOMP_RET_ALLOW,
                                   SECCOMP_RET_ERRNO,        SECCOMP_RET_USER_NOTIF,  SECCOMP_RET_ALLOW, 0x00010000};
static const uint32_t constants[] = {0, 1, 39, 110, 111, 186, 0xc000003e, 0x7fffffff, 0x80000000, 0xffffffff, 31, 32};
#define ONE_OF(list) (list)[chance(sizeof(list) / sizeof *(list))]

static uint32_t constant(void) { return chance(3) == 0 ? chance(0xffffffff) : ONE_OF(constants); }

static uint32_t answer(void) { return ONE_OF(actions) | (chance(2) == 0 ? chance(40) : chance(0x10000)); }

// An instruction with `behind` more to come: a valid one, nearly always.
static struct sock_filter invent(int behind) {
    struct sock_filter made = {0, 0, 0, constant()};
    if (behind == 0) return (struct sock_filter){BPF_RET | (chance(8) == 0 ? BPF_A : BPF_K), 0, 0, answer()};
    switch (chance(16)) {
    case 0: case 1: case 2: case 3:
        made = (struct sock_filter){BPF_LD | BPF_W | BPF_ABS, 0, 0, chance(200) == 0 ? constant() : chance(16) * 4};
        break;
    case 4: made.code = ONE_OF(plain); break;
    case 5:
        made.code = ONE_OF(memory);
        made.k = chance(100) == 0 ? 16 : chance(3);
        break;
    case 6: case 7: case 8:
        made.code = BPF_ALU | ONE_OF(arithmetic) | (chance(2) ? BPF_X : BPF_K);
        if (made.code == (BPF_ALU | BPF_DIV | BPF_K) && made.k == 0 && chance(20)) made.k = 3;
        if ((made.code & 0xef) == (BPF_ALU | BPF_LSH | BPF_K) && chance(40)) made.k %= 32;
        break;
    case 9:
        if (chance(3) != 0) made = (struct sock_filter){BPF_RET | BPF_K, 0, 0, answer()};
        else made = (struct sock_filter){BPF_JMP | BPF_JA, 0, 0, chance(behind + (chance(60) == 0))};
        break;
    case 10:
        if (chance(60) == 0) made.code = chance(0x200);
        else made.code = BPF_MISC | BPF_TAX;
        break;
    default:
        made.code = BPF_JMP | ONE_OF(comparisons) | (chance(3) ? BPF_K : BPF_X);
        made.jt = chance(behind < 8 ? behind : 8) + (chance(200) == 0 ? behind : 0);
        made.jf = chance(behind < 8 ? behind : 8);
    }
    return made;
}

// Every second filter looks at the call's number first and allows what the guest cannot do without.
static int fill(struct sock_filter *filter) {
    int begin = 0, length;
    if (chance(8) != 0) {
        filter[begin++] = (struct sock_filter){BPF_LD | BPF_W | BPF_ABS, 0, 0, 0};
        filter[begin++] = (struct sock_filter){BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_seccomp};
        filter[begin++] = (struct sock_filter){BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
    }
    length = begin + 1 + chance(chance(4) == 0 ? 60 : 12);
    for (int i = begin; i < length; i++) filter[i] = invent(length - 1 - i);
    return length;
}

// Fills a filter with copies of an instruction that means something else for the kernel's count, and installs
// it as often as that goes.
static void tell_depth(struct sock_filter instruction) {
    enum { LENGTH = 400 };
    int depth = 0;
    for (int i = 0; i < LENGTH - 1; i++) instructions[0][i] = instruction;
    // The divisor, and where the last copy's jumps lead.
    instructions[0][0] = instructions[0][LENGTH - 2] = (struct sock_filter){BPF_LDX | BPF_IMM, 0, 0, 1};
    instructions[0][LENGTH - 1] = (struct sock_filter){BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
    programs[0] = (struct sock_fprog){.len = LENGTH, .filter = instructions[0]};
    for (int byte = 0; byte < LENGTH * 8; byte++) printf("%02x", ((unsigned char *)instructions[0])[byte]);
    fflush(stdout);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
        while (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &programs[0]) == 0) depth++;
        CHECK(errno == ENOMEM);
        printf("\n%d\n", depth);
        exit(fflush(stdout) != 0);
    }
    CHECK(outcome_of(pid) == 0);
}

static int tell_depths(void) {
    static const struct sock_filter each[] = {
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, 4},         {BPF_ALU | BPF_DIV | BPF_X, 0, 0, 0}, {BPF_JMP | BPF_JEQ | BPF_K, 1, 1, 5},
        {BPF_JMP | BPF_JGT | BPF_K, 0, 1, 0xffffff00}, {BPF_JMP | BPF_JSET | BPF_K, 0, 1, 5}, {BPF_JMP | BPF_JGE | BPF_X, 1, 0, 5},
    };
    for (size_t i = 0; i < sizeof each / sizeof *each; i++) tell_depth(each[i]);
    return 0;
}

int main(int count, char **arguments) {
    if (count == 2) return tell_depths();
    CHECK(count == 3);
    state = strtoul(arguments[1], NULL, 10) * 2 + 1;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    printf("%lx %lx\n", (unsigned long)made_here, (unsigned long)programs);
    for (int sets = atoi(arguments[2]); sets > 0; sets--) {
        int filters = 1 + (chance(3) == 0 ? chance(MOST_FILTERS) : 0);
        for (int i = 0; i < filters; i++) {
            int length = fill(instructions[i]);
            programs[i] = (struct sock_fprog){.len = length, .filter = instructions[i]};
            for (int byte = 0; byte < length * 8; byte++) printf("%02x", ((unsigned char *)instructions[i])[byte]);
            printf("\n");
        }
        fflush(stdout);
        record(filters);
    }
    return fflush(stdout) == 0 ? 0 : 98;
}
