// What sigreturn makes of an extended state that was changed: misaligned, without its magic numbers, with
// sizes that are not true, with bits that the processor refuses; whether the registers come back, and what
// the handler of the fault sees. Segment bases over handlers.
#include "guest.h"
#include <asm/prctl.h>
#include <cpuid.h>
#include <setjmp.h>
#include <sys/syscall.h>
#include <ucontext.h>

#define MAGIC1 0x46505853u
#define MAGIC2 0x46505845u

enum change {
    NOTHING, MAGIC1_GONE, MAGIC2_GONE, BOTH_GONE, SIZE_SMALL, SIZE_LARGE, EXTENDED_SMALL, EXTENDED_HUGE, NO_FEATURES, MXCSR_RESERVED, HEADER_RESERVED,
    FEATURE_RESERVED, COMPACTED, BY_8, BY_16, BY_32, LEGACY_BY_8, LEGACY_BY_16, NO_STATE, AWAY, SHORT_PAGE, LEGACY_ALONE, SHORTENED, SHORTENED_AT_EDGE, CHANGES
};
static const char *const names[CHANGES] = {
    "nothing", "no first magic", "no second magic", "none", "small size", "large size", "small extended size", "huge extended size", "no features",
    "reserved bit of mxcsr", "reserved word of the header", "feature that is not there", "compacted", "moved by 8", "moved by 16", "moved by 32",
    "legacy moved by 8", "legacy moved by 16", "no state", "nowhere", "cut by the end of memory", "legacy at the end of memory",
    "shortened to avx", "shortened, at the end of memory",
};

static volatile enum change change;
static char room[8 * PAGE] __attribute__((aligned(64)));
static char *edge; // the first byte behind memory
static volatile int faults;
static volatile long handler_trap, handler_code, handler_mxcsr, handler_state;
static sigjmp_buf *after;
static ucontext_t *volatile seen;

static unsigned *words(char *state) { return (unsigned *)(state + 464); }

// A state of the first three parts only, as a checkpoint of an older processor holds it.
static char *shortened(char *state, char *to) {
    memmove(to, state, 832);
    words(to)[1] = 836, words(to)[4] = 832, words(to)[2] = 7;
    *(unsigned *)(to + 832) = MAGIC2;
    return to;
}

static char *moved(char *state, char *to) {
    unsigned size = words(state)[0] == MAGIC1 ? words(state)[1] : 512;
    return memcpy(to, state, size);
}

static void alter(int number, siginfo_t *info, void *context) {
    (void)number, (void)info;
    ucontext_t *at = context;
    char *state = (char *)at->uc_mcontext.fpregs;
    unsigned *told = words(state), extended = told[1];
    __asm__ volatile("vzeroall" ::: "memory"); // what comes back is the frame's
    switch (change) {
    case MAGIC1_GONE: told[0] = 0; break;
    case MAGIC2_GONE: *(unsigned *)(state + extended - 4) = 0; break;
    case BOTH_GONE: told[0] = 1, *(unsigned *)(state + extended - 4) = 1; break;
    case SIZE_SMALL: told[4] = 100; break;
    case SIZE_LARGE: told[4] = 1 << 20; break;
    case EXTENDED_SMALL: told[1] = 600; break;
    case EXTENDED_HUGE: told[1] = 0xfffffff0; break;
    case NO_FEATURES: told[2] = told[3] = 0; break;
    case MXCSR_RESERVED: *(unsigned *)(state + 24) |= 1u << 30; break;
    case HEADER_RESERVED: *(uint64_t *)(state + 512 + 16) = 1; break;
    case FEATURE_RESERVED: *(uint64_t *)(state + 512) |= 1ull << 61; break;
    case COMPACTED: *(uint64_t *)(state + 520) = 1ull << 63; break;
    case BY_8: state = moved(state, room + 8); break;
    case BY_16: state = moved(state, room + 16); break;
    case BY_32: state = moved(state, room + 32); break;
    case LEGACY_BY_8: told[0] = 0, state = moved(state, room + 8); break;
    case LEGACY_BY_16: told[0] = 0, state = moved(state, room + 16); break;
    case NO_STATE: state = NULL; break;
    case AWAY: state = (char *)64; break;
    case SHORT_PAGE: state = memcpy(edge - 576, state, 576); break;
    case LEGACY_ALONE: told[0] = 0, state = memcpy(edge - 512, state, 512); break;
    case SHORTENED: state = shortened(state, room); break;
    case SHORTENED_AT_EDGE: state = shortened(state, edge - 896); break;
    default: break;
    }
    at->uc_mcontext.fpregs = (void *)state;
}

static void on_fault(int number, siginfo_t *info, void *context) {
    (void)number;
    ucontext_t *at = context;
    faults++;
    handler_code = info->si_code;
    char *state = (char *)at->uc_mcontext.fpregs;
    handler_state = state != NULL && words(state)[0] == MAGIC1;
    handler_mxcsr = state ? *(int *)(state + 24) : -1;
    // The registers are those of the frame that was to be taken back: those of where the signal came.
    handler_trap = at->uc_mcontext.gregs[REG_R12] == 0x1234567;
    siglongjmp(*after, 1);
}

static sigjmp_buf place;

static void try(enum change which) {
    change = which;
    faults = 0;
    unsigned char low[16], high[32] = {0};
    volatile long kept_by = 0;
    unsigned mxcsr = 0;
    after = &place;
    if (sigsetjmp(place, 1) == 0) {
        long kept;
        memset(low, 0x5a, sizeof low);
        unsigned ours = 0x1f80 | 1 << 15;
        __asm__ volatile("ldmxcsr %[ours]\n\tmovdqu (%[low]), %%xmm6\n\tvinsertf128 $1, (%[low]), %%ymm6, %%ymm6\n\tmov $0x1234567, %%r12d\n\t"
                         "mov $39, %%eax\n\tsyscall\n\tmov %%eax, %%edi\n\tmov $186, %%eax\n\tsyscall\n\tmov %%eax, %%esi\n\tmov $12, %%edx\n\tmov $234, "
                         "%%eax\n\tsyscall\n\tvmovdqu %%ymm6, (%[high])\n\tstmxcsr %[mxcsr]\n\tmov %%r12, %[kept]"
                         : [kept] "=r"(kept), [mxcsr] "=m"(mxcsr)
                         : [ours] "m"(ours), [low] "r"(low), [high] "r"(high)
                         : "rax", "rcx", "r11", "rdi", "rsi", "rdx", "r12", "xmm6", "memory");
        kept_by = kept;
    }
    __asm__ volatile("ldmxcsr %0" ::"m"((unsigned){0x1f80}));
    printf("%s: ", names[which]);
    if (faults) {
        printf("fault, code %ld, registers %s, state %ld, mxcsr %lx\n", handler_code, handler_trap ? "of the frame" : "others", handler_state, handler_mxcsr);
    } else {
        printf("%s, low %02x high %02x, mxcsr %x\n", kept_by == 0x1234567 ? "back" : "lost", high[0], high[16], mxcsr & 0xffc0);
    }
}

static long base_of(int code) {
    long base = 0;
    CHECK(syscall(SYS_arch_prctl, code, &base) == 0);
    return base;
}

static long fs_in, gs_in;

static void look_at_bases(int number) {
    (void)number;
    fs_in = base_of(ARCH_GET_FS), gs_in = base_of(ARCH_GET_GS);
    CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x7000) == 0); // no frame has it: it stays
}

static void bases(void) {
    CHECK(signal(SIGUSR1, look_at_bases) != SIG_ERR);
    long fs = base_of(ARCH_GET_FS);
    CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x5000) == 0);
    raise(SIGUSR1);
    printf("in the handler: fs %d, gs %lx; behind it: fs %d, gs %lx\n", fs == fs_in, gs_in, base_of(ARCH_GET_FS) == fs, base_of(ARCH_GET_GS));
    printf("not canonical: %ld", syscall(SYS_arch_prctl, ARCH_SET_GS, 0x8000000000000000));
    printf(" %d\n", errno);
    unsigned a, b, c, d;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & 1)) {
        unsigned long gs;
        __asm__ volatile("wrgsbase %0" ::"r"(0x9000ul));
        raise(SIGUSR1);
        __asm__ volatile("rdgsbase %0" : "=r"(gs));
        fprintf(stderr, "wrgsbase: in the handler %lx, behind it %lx\n", gs_in, gs);
        CHECK(gs_in == 0x9000 && gs == 0x7000);
        char *copy = fresh(2 * PAGE); // untouched: a base into memory that is not there
        __asm__ volatile("wrgsbase %0" ::"r"(copy));
        __asm__ volatile("movq $77, %%gs:4096" ::: "memory");
        CHECK(copy[PAGE] == 77);
    }
    // Permission for state that has to be asked for: what there is is asked of the kernel.
    uint64_t supported = 0, permitted = 0;
    long answer = syscall(SYS_arch_prctl, 0x1021, &supported), got = syscall(SYS_arch_prctl, 0x1022, &permitted);
    long asked = syscall(SYS_arch_prctl, 0x1023, 18), odd = syscall(SYS_arch_prctl, 0x1023, 63);
    printf("extended features: %ld %llx, %ld %llx; asked for: %ld, %ld\n", answer, (unsigned long long)supported, got, (unsigned long long)permitted,
           asked, odd);
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    edge = (char *)mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + 2 * PAGE;
    CHECK(munmap(edge, 2 * PAGE) == 0);
    CHECK(sigaction(SIGUSR2, &(struct sigaction){.sa_sigaction = alter, .sa_flags = SA_SIGINFO}, NULL) == 0);
    CHECK(sigaction(SIGSEGV, &(struct sigaction){.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO}, NULL) == 0);
    for (int which = 0; which < CHANGES; which++) {
        if (__builtin_cpu_supports("avx")) try((enum change)which);
    }
    bases();
    return 0;
}
