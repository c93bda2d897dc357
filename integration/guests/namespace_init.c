// The first process of a PID namespace: what its own instructions raise ends it, what is sent to it from
// inside does not. Without the privilege for a namespace it tries the same as an ordinary process.
#include "guest.h"
#include <sched.h>
#include <sys/resource.h>

static void misaligned(void) {
    char bytes[16];
    __asm__ volatile("pushfq; orl $0x40000, (%%rsp); popfq; movl 1(%0), %%eax" ::"r"(bytes) : "rax", "memory", "cc");
}

static void way(int which) {
    switch (which) {
    case 0: *(volatile int *)0 = 1; break;
    case 1: __asm__ volatile("ud2"); break;
    case 2: __asm__ volatile("hlt"); break;
    case 3: misaligned(); break;
    case 4: __asm__ volatile("xorl %%ecx, %%ecx; divl %%ecx" ::: "rax", "rcx", "rdx"); break;
    case 5: __asm__ volatile("int3"); break;
    case 6: abort(); break;
    case 7: {
        int file = open("/proc/self/exe", O_RDONLY);
        volatile char *past = mmap(NULL, 1024 * MIB, PROT_READ, MAP_SHARED, file, 0);
        CHECK(past != MAP_FAILED && past[1023 * MIB] != past[1]);
        break;
    }
    case 8: {
        int sent[] = {SIGSEGV, SIGBUS, SIGSYS, SIGTERM, SIGUSR1};
        for (unsigned i = 0; i < sizeof sent / sizeof *sent; i++) kill(getpid(), sent[i]);
        break;
    }
    }
    _exit(7);
}

int main(void) {
    struct rlimit none = {0, 0};
    CHECK(setrlimit(RLIMIT_CORE, &none) == 0);
    for (int which = 0; which < 9; which++) {
        pid_t outer = fork();
        if (outer == 0) {
            int failed = unshare(CLONE_NEWPID);
            pid_t inner = fork();
            if (inner == 0) way(which);
            int status = 0;
            CHECK(waitpid(inner, &status, 0) == inner);
            printf("%s %d: status %x\n", failed ? "process" : "init", which, status & 0xff7f);
            exit(0);
        }
        CHECK(outcome_of(outer) == 0);
    }
    return finish("namespace_init", 0);
}
