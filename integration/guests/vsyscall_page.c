// The calls at fixed addresses above user space, with results that go to memory which nobody has touched, and
// to none.
#include "guest.h"
#include <sys/time.h>

typedef long (*time_call)(long *);
typedef int (*day_call)(struct timeval *, void *);
typedef int (*processor_call)(unsigned *, unsigned *, void *);

// On a stack of its own, whose pages are gone: the return address is all that is there.
static void *bottom;
static long on_fresh_stack(time_call time_of, long *into) {
    long result;
    char *top = (char *)bottom + 64 * PAGE;
    __asm__ volatile("mov %%rsp, %%rbx\n mov %[top], %%rsp\n call *%[call]\n mov %%rbx, %%rsp"
                     : "=a"(result) : [top] "r"(top), [call] "r"(time_of), "D"(into) : "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "memory");
    return result;
}

static void leave(int number) { _exit(number); }

int main(void) {
    time_call time_of = (time_call)0xffffffffff600400;
    day_call day_of = (day_call)0xffffffffff600000;
    processor_call processor_of = (processor_call)0xffffffffff600800;
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    int there = 0;
    CHECK(maps != NULL);
    while (fgets(line, sizeof line, maps)) there |= strstr(line, "[vsyscall]") != NULL;
    fclose(maps);
    if (!there) return puts("no vsyscall page") < 0;
    char *area = fresh(256 * PAGE);
    bottom = fresh(64 * PAGE);
    CHECK(time_of(NULL) > 1000000);
    long *second = (long *)(area + 20 * PAGE);
    long told = time_of(second);
    CHECK(told > 1000000 && *second == told);
    struct timeval *day = (struct timeval *)(area + 61 * PAGE - 8);
    CHECK(day_of(day, NULL) == 0 && day->tv_sec - told < 100);
    CHECK(day_of(NULL, area + 80 * PAGE) == 0);
    unsigned *processor = (unsigned *)(area + 100 * PAGE), *node = (unsigned *)(area + 140 * PAGE);
    *processor = 4242;
    CHECK(processor_of(processor, node, NULL) == 0 && *processor < 4242);
    CHECK(on_fresh_stack(time_of, (long *)(area + 160 * PAGE)) - told < 100);
    puts("all three");
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, leave);
        time_of((long *)8);
        _exit(0);
    }
    printf("a bad pointer: %d\n", outcome_of(child));
    return 0;
}
