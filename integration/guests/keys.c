// Protection keys and memory that may only be executed: as the processor and the kernel have them, or have
// them not.
#include "guest.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>

#define RW (PROT_READ | PROT_WRITE)
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23

static sigjmp_buf landing;
static volatile int signal_seen, code_seen, key_seen;
static volatile unsigned handlers_register;
static bool has_keys;
static int own_key;

static unsigned register_now(void) {
    unsigned value = 0;
    if (has_keys) __asm__ volatile("rdpkru" : "=a"(value) : "c"(0) : "edx");
    return value;
}
static void set_register(unsigned value) {
    if (has_keys) __asm__ volatile("wrpkru" ::"a"(value), "c"(0), "d"(0) : "memory");
}
static void land(int number, siginfo_t *info, void *context) {
    (void)context;
    signal_seen = number, code_seen = info->si_code, key_seen = info->si_code == SEGV_PKUERR ? (int)info->si_pkey : -1;
    handlers_register = register_now();
    siglongjmp(landing, 1);
}

static void tell(const char *what, long result) {
    if (result < 0) printf("%s: %s\n", what, strerrorname_np(errno));
    else printf("%s: %ld\n", what, result);
}
#define TELL(call) tell(#call, (long)(call))

// A jump out of a handler leaves the handler's register in place.
static void touch(const char *what, volatile char *at, bool write) {
    unsigned before = register_now();
    if (sigsetjmp(landing, 1) == 0) {
        if (write) *at = 7;
        else (void)*at;
        printf("%s: %s\n", what, write ? "written" : "read");
    } else {
        set_register(before);
        printf("%s: signal %d code %d key %d, handler's register %x\n", what, signal_seen, code_seen, key_seen, handlers_register);
    }
}
static void run(const char *what, void *at) {
    unsigned before = register_now();
    if (sigsetjmp(landing, 1) == 0) printf("%s: returns %d\n", what, ((int (*)(void))(uintptr_t)at)());
    else set_register(before), printf("%s: signal %d code %d key %d\n", what, signal_seen, code_seen, key_seen);
}

static void emit(void *at, unsigned char value) { memcpy(at, (unsigned char[]){0xb8, value, 0, 0, 0, 0xc3}, 6); }

// Has whatever is not in use leave memory, under a small cap.
static void crowd_out(void) {
    volatile char *much = fresh(8 * MIB);
    for (size_t at = 0; at < 8 * MIB; at += PAGE) much[at] = 1;
    CHECK(munmap((void *)much, 8 * MIB) == 0);
}

// The key that smaps shows for the mapping that holds `at`.
static long shown_key(const void *at) {
    FILE *maps = fopen("/proc/self/smaps", "r");
    CHECK(maps != NULL);
    char line[512];
    unsigned long start, end;
    long key = -1;
    for (bool inside = false; fgets(line, sizeof line, maps);) {
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2) inside = start <= (unsigned long)at && (unsigned long)at < end;
        else if (inside && sscanf(line, "ProtectionKey: %ld", &key) == 1) break;
    }
    fclose(maps);
    return key;
}

static char *file_of_code(int protection, int flags) {
    char name[] = "keys-XXXXXX", page[PAGE] = {0};
    int fd = mkstemp(name);
    CHECK(fd >= 0 && unlink(name) == 0);
    emit(page, 43);
    CHECK(write(fd, page, sizeof page) == (ssize_t)sizeof page);
    char *at = mmap(NULL, 3 * PAGE, protection, flags, fd, 0);
    CHECK(at != MAP_FAILED && close(fd) == 0);
    return at;
}

static void only_executed(void) {
    char *code = fresh(2 * PAGE);
    emit(code, 42);
    CHECK(mprotect(code, 2 * PAGE, PROT_EXEC) == 0);
    for (int round = 0; round < 2; round++) {
        run("code", code);
        touch("code", code, false);
        touch("code", code, true);
        touch("code behind it", code + PAGE, false);
        crowd_out();
    }
    TELL(shown_key(code));
    TELL(write(1, code, 0));
    errno = 0;
    int null = open("/dev/null", O_WRONLY), zero = open("/dev/zero", O_RDONLY), ends[2];
    CHECK(pipe(ends) == 0);
    TELL(write(ends[1], code, 6));
    TELL(read(zero, code, 6));
    TELL(mlock(code, PAGE));
    TELL(munlock(code, PAGE));
    TELL(madvise(code, PAGE, MADV_POPULATE_READ));
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        run("code in a child", code);
        touch("code in a child", code, false);
        fflush(stdout);
        _exit(0);
    }
    TELL(outcome_of(child));
    TELL(mprotect(code, 2 * PAGE, PROT_READ));
    touch("readable again", code, false);
    CHECK(code[1] == 42);
    TELL(shown_key(code));
    TELL(mprotect(code, 2 * PAGE, PROT_EXEC));
    TELL(mprotect(code, 2 * PAGE, RW));
    touch("writable again", code, true);
    int kinds[] = {MAP_PRIVATE, MAP_SHARED};
    for (int kind = 0; kind < 2; kind++) {
        char *file = file_of_code(PROT_EXEC, kinds[kind]);
        touch("file", file, false);
        run("file", file);
        touch("file", file, false);
        touch("past its end", file + 2 * PAGE, false);
        run("past its end", file + 2 * PAGE);
        TELL(mprotect(file, PAGE, PROT_READ));
        touch("readable file", file, false);
        TELL(mprotect(file, PAGE, PROT_EXEC));
        TELL(mprotect(file, PAGE, RW));
        touch("writable file", file, true);
        TELL(shown_key(file));
    }
    close(null), close(zero), close(ends[0]), close(ends[1]);
}

static void arguments(void) {
    char *area = fresh(4 * PAGE);
    CHECK(munmap(area + 3 * PAGE, PAGE) == 0);
    int keys[] = {-2, -1, 0, own_key, 9, 15, 16, 1 << 20};
    for (int i = 0; i < 8; i++) {
        printf("key %d\n", keys[i]);
        TELL(pkey_mprotect(area, PAGE, RW, keys[i]));
        TELL(pkey_mprotect(area + 1, PAGE, RW, keys[i]));
        TELL(pkey_mprotect(area, 0, RW, keys[i]));
        TELL(pkey_mprotect(area, PAGE, 0x80, keys[i]));
        TELL(pkey_mprotect(area + 3 * PAGE, PAGE, RW, keys[i]));
        TELL(pkey_mprotect(area, 4 * PAGE, RW, keys[i]));
        TELL(pkey_mprotect((void *)0x7ffffffff000, PAGE, RW, keys[i]));
    }
    TELL(pkey_alloc(1, 0));
    TELL(pkey_alloc(0, 4));
    TELL(pkey_free(own_key == -1 ? 1 : -1));
    TELL(pkey_free(0x100));
    int more[16], count = 0;
    while (count < 16 && (more[count] = pkey_alloc(0, 0)) >= 0) count++;
    printf("%d more, then %s\n", count, strerrorname_np(errno));
    while (count > 0) CHECK(pkey_free(more[--count]) == 0);
}

static void denied(char *area, const char *what) {
    printf("-- %s\n", what);
    for (int rights = 0; rights <= 3; rights++) {
        CHECK(pkey_set(own_key, rights) == 0);
        printf("rights %d, register %x\n", rights, register_now());
        touch("touched", area, false);
        touch("touched", area, true);
        touch("untouched", area + (8 + 2 * rights) * PAGE, false);
        touch("untouched", area + (9 + 2 * rights) * PAGE, true);
        TELL(madvise(area + 20 * PAGE, PAGE, MADV_POPULATE_READ));
        TELL(madvise(area + 21 * PAGE, PAGE, MADV_POPULATE_WRITE));
        TELL(mlock(area + 22 * PAGE, PAGE));
        TELL(munlock(area + 22 * PAGE, PAGE));
    }
    CHECK(pkey_set(own_key, 0) == 0);
}

static void calls_with_denied_buffers(char *area) {
    int zero = open("/dev/zero", O_RDONLY), ends[2];
    CHECK(pipe(ends) == 0);
    struct iovec *vector = (void *)area;
    *vector = (struct iovec){area + PAGE, 8};
    strcpy(area + 2 * PAGE, "/dev/null");
    struct sigaction *action = (void *)(area + 3 * PAGE);
    *action = (struct sigaction){.sa_handler = SIG_IGN};
    for (int rights = 0; rights <= 2; rights++) {
        CHECK(pkey_set(own_key, rights) == 0);
        TELL(read(zero, area + PAGE, 8));
        TELL(read(zero, area + 30 * PAGE, 8));
        TELL(write(ends[1], area + PAGE, 8));
        TELL(readv(zero, vector, 1));
        TELL(writev(ends[1], vector, 1));
        TELL(access(area + 2 * PAGE, F_OK));
        TELL(syscall(SYS_rt_sigaction, SIGUSR2, action, NULL, 8));
        TELL(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, area + 4 * PAGE, 8));
        TELL(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, area + 4 * PAGE));
        TELL(process_vm_readv(getpid(), &(struct iovec){(char[8]){0}, 8}, 1, &(struct iovec){area + PAGE, 8}, 1, 0));
    }
    CHECK(pkey_set(own_key, 0) == 0);
    close(zero), close(ends[0]), close(ends[1]);
}

// The handler lifts the denial in its frame, and the instruction runs again.
static volatile int lifted;
static unsigned register_offset(void) {
    unsigned eax, ebx, ecx, edx;
    __asm__("cpuid" : "=a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx) : "a"(0xd), "c"(9));
    return ebx;
}
static void lift(int number, siginfo_t *info, void *context) {
    (void)number, (void)info;
    char *state = (char *)((ucontext_t *)context)->uc_mcontext.fpregs;
    *(unsigned *)(state + register_offset()) = 0;
    *(uint64_t *)(state + 512) |= 1 << 9;
    lifted++;
}
static void lifted_in_the_frame(char *area) {
    struct sigaction old, action = {.sa_sigaction = lift, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGSEGV, &action, &old) == 0);
    unsigned before = register_now();
    CHECK(pkey_set(own_key, PKEY_DISABLE_ACCESS) == 0);
    area[5 * PAGE] = 55;
    area[40 * PAGE] = 56;
    printf("lifted %d, register %x\n", lifted, register_now());
    set_register(before);
    CHECK(sigaction(SIGSEGV, &old, NULL) == 0);
}

static void note_register(int number) { (void)number, handlers_register = register_now(); }
static void *in_thread(void *area) {
    printf("a thread's register %x\n", register_now());
    touch("in a thread", area, false);
    set_register(0);
    return NULL;
}

static void registers(char *area) {
    CHECK(pkey_set(own_key, PKEY_DISABLE_ACCESS) == 0);
    unsigned before = register_now();
    signal(SIGUSR1, note_register);
    raise(SIGUSR1);
    printf("register %x, in a handler %x, after it %x\n", before, handlers_register, register_now());
    for (int i = 0; i < 100; i++) syscall(SYS_getppid), syscall(SYS_clock_getres, 0, NULL), sched_yield();
    printf("after calls %x\n", register_now());
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, in_thread, area) == 0 && pthread_join(thread, NULL) == 0);
    printf("after a thread %x\n", register_now());
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        printf("a child's register %x, key %ld\n", register_now(), shown_key(area));
        touch("in a child", area, false);
        set_register(0x55555554 & ~(3u << (2 * own_key)));
        touch("in a child", area, false);
        fflush(stdout);
        _exit(0);
    }
    TELL(outcome_of(child));
    set_register(0);
    int key = pkey_alloc(0, PKEY_DISABLE_WRITE);
    printf("register %x after key %d\n", register_now(), key);
    char *code = mmap(NULL, PAGE, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    printf("register %x after memory that may only be executed\n", register_now());
    touch("it", code, false);
    CHECK(pkey_free(key) == 0 && munmap(code, PAGE) == 0);
    set_register(0x55555554 & ~(3u << (2 * own_key)));
    // Key 0 without writes, where nothing is written meanwhile: the register, not the memory, is asked about.
    unsigned kept = register_now();
    long pid;
    unsigned after;
    __asm__ volatile("wrpkru" ::"a"(kept | 2), "c"(0), "d"(0) : "memory");
    __asm__ volatile("syscall" : "=a"(pid) : "a"(SYS_getppid) : "rcx", "r11");
    __asm__ volatile("rdpkru" : "=a"(after) : "c"(0) : "edx");
    __asm__ volatile("wrpkru" ::"a"(kept), "c"(0), "d"(0) : "memory");
    printf("key 0 without writes: %x\n", after);
}

static void kept(void) {
    char *area = fresh(512 * PAGE);
    CHECK(pkey_mprotect(area, 512 * PAGE, RW, own_key) == 0);
    for (long page = 0; page < 512; page++) memset(area + page * (long)PAGE, (int)page, PAGE);
    CHECK(pkey_set(own_key, PKEY_DISABLE_ACCESS) == 0);
    crowd_out();
    CHECK(pkey_set(own_key, 0) == 0);
    uint64_t sum = mix_bytes(0, area, 512 * PAGE);
    char *moved = mremap(area, 512 * PAGE, 600 * PAGE, MREMAP_MAYMOVE);
    CHECK(moved != MAP_FAILED);
    sum = mix_bytes(sum, moved, 600 * PAGE);
    printf("sum %llx, key %ld and %ld\n", (unsigned long long)sum, shown_key(moved), shown_key(moved + 550 * PAGE));
    CHECK(pkey_set(own_key, PKEY_DISABLE_WRITE) == 0);
    touch("moved", moved, true);
    touch("added", moved + 599 * PAGE, true);
    TELL(mprotect(moved, PAGE, PROT_NONE));
    touch("without access", moved, false);
    TELL(mprotect(moved, PAGE, PROT_READ));
    touch("read-only", moved, true);
    printf("key %ld\n", shown_key(moved));
    TELL(pkey_mprotect(moved, PAGE, RW, 0));
    touch("key 0", moved, true);
    TELL(pkey_mprotect(moved, PAGE, PROT_EXEC, own_key));
    touch("executable with a key", moved, false);
    TELL(mprotect(moved, PAGE, PROT_EXEC));
    touch("only executable", moved, false);
    TELL(mprotect(moved, PAGE, RW));
    touch("key 0 again", moved, true);
    CHECK(pkey_set(own_key, 0) == 0);
    char *file = file_of_code(PROT_READ, MAP_PRIVATE);
    TELL(pkey_mprotect(file, PAGE, PROT_READ, own_key));
    TELL(mprotect(file, PAGE, RW));
    printf("a file's key %ld\n", shown_key(file));
    CHECK(pkey_set(own_key, PKEY_DISABLE_WRITE) == 0);
    touch("file", file, false);
    touch("file", file, true);
    CHECK(pkey_set(own_key, 0) == 0);
}

int main(void) {
    static char alternate[64 * KIB];
    struct sigaction action = {.sa_sigaction = land, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    CHECK(sigaltstack(&(stack_t){.ss_sp = alternate, .ss_size = sizeof alternate}, NULL) == 0);
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0 && sigaction(SIGBUS, &action, NULL) == 0);
    only_executed();
    own_key = pkey_alloc(0, 0);
    has_keys = own_key > 0;
    tell("alloc", own_key);
    arguments();
    if (!has_keys) return 0;
    char *area = fresh(64 * PAGE);
    area[0] = 1;
    CHECK(pkey_mprotect(area, 64 * PAGE, RW, own_key) == 0);
    denied(area, "as it is");
    crowd_out();
    denied(area, "after it left memory");
    calls_with_denied_buffers(area);
    lifted_in_the_frame(area);
    registers(area);
    kept();
    TELL(pkey_free(own_key));
    TELL(pkey_free(own_key));
    return 0;
}
